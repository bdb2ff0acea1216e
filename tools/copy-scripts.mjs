// Copies what is no TypeScript beside the compiled modules that load it: the Lua scripts, and the thread of the embedded engine.
import { cpSync } from 'node:fs';

for (const path of ['redis/scripts', 'embedded/worker.mjs']) {
  cpSync(new URL(`../src/${path}`, import.meta.url), new URL(`../dist/${path}`, import.meta.url), { recursive: true });
}
