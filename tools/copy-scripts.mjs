// Copies the Lua scripts beside the compiled modules that load them.
import { cpSync } from 'node:fs';

cpSync(new URL('../src/redis/scripts', import.meta.url), new URL('../dist/redis/scripts', import.meta.url), { recursive: true });
