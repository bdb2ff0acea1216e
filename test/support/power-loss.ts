// An engine whose machine can lose its power: what it had written and not synced is gone then.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectRaw } from './clients.ts';
import { startEngine, type TestEngine } from './engine.ts';

const SOURCE = fileURLToPath(new URL('./synced.c', import.meta.url));

export interface FallibleEngine extends AsyncDisposable {
  readonly engine: TestEngine;
  /** Kills it, cuts its append-only file back to what was synced, and starts it again. How many bytes were cut. */
  losePower(): Promise<number>;
}

/** Why the power cannot be cut here, for `skip(reason)`; undefined where it can. */
export function whyNoPowerLoss(): string | undefined {
  if (process.platform !== 'linux') return 'what was synced is noted by a library that is preloaded, on Linux only';
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'a C compiler (cc) is needed for the library that notes what was synced';
  }
}

export async function startFallible(args: readonly string[]): Promise<FallibleEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-synced-'));
  const [library, notes] = [join(folder, 'synced.so'), join(folder, 'notes')];
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE]);
  const engine = await startEngine({ args, prefix: ['env', `LD_PRELOAD=${library}`, `MILLRACE_SYNCED_FILE=${notes}`] });
  return {
    engine,
    async losePower() {
      const files = await appendOnlyFolder(engine.url);
      await engine.kill();
      const lost = cut(await filesIn(files), syncedSizes(notes));
      await engine.restart();
      return lost;
    },
    async [Symbol.asyncDispose]() {
      await engine.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function appendOnlyFolder(url: string): Promise<string> {
  await using raw = await connectRaw(url);
  const flat = (await raw.send('CONFIG', 'GET', 'dir', 'appenddirname')) as string[];
  const setting = (name: string): string => flat[flat.indexOf(name) + 1] ?? '';
  return join(setting('dir'), setting('appenddirname'));
}

async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).map((name) => join(folder, name));
}

/** The last size that each file had when it was synced, by its path. */
function syncedSizes(notes: string): ReadonlyMap<string, number> {
  const lines = existsSync(notes) ? readFileSync(notes, 'utf8').trimEnd().split('\n') : [];
  return new Map(lines.map((line) => [line.slice(line.indexOf(' ') + 1), Number(line.slice(0, line.indexOf(' ')))]));
}

/** Only files that grow: the others are synced under another name, before they get theirs. */
function cut(files: readonly string[], synced: ReadonlyMap<string, number>): number {
  let lost = 0;
  for (const file of files.filter((name) => name.endsWith('.incr.aof'))) {
    const kept = synced.get(file) ?? 0;
    lost += statSync(file).size - kept;
    truncateSync(file, kept);
  }
  return lost;
}
