// Faults of the server's clock: a library, compiled here, is loaded before its own and shifts the time of day while it runs.
import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Fault, Unavailable } from '../schedule.ts';

const SOURCE = fileURLToPath(new URL('../../../faults/inject/clock.c', import.meta.url));

/** Results of idempotency keys are kept for an hour by the server's clock: two jumps must not add up to that. */
const JUMP_MS_MAX = 20 * 60_000;

export interface Clock {
  /** Comes before the server's program. */
  readonly prefix: readonly string[];
  readonly faults: readonly Fault[];
  readonly unavailable: readonly Unavailable[];
}

/** In `folder` lie the library and the file with the offset. */
export async function clockIn(folder: string): Promise<Clock> {
  const library = join(folder, 'clock.so');
  const file = join(folder, 'clock-offset');
  try {
    await promisify(execFile)('gcc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE]);
  } catch (error) {
    return {
      prefix: [],
      faults: [],
      unavailable: [{ kind: 'clock jump', why: `gcc cannot compile the library that makes it: ${String(error).slice(0, 200)}` }],
    };
  }
  setOffset(file, 0);
  return { prefix: ['env', `LD_PRELOAD=${library}`, `MILLRACE_CLOCK_FILE=${file}`], faults: [jumping(file)], unavailable: [] };
}

/** Forward or back, and back again: what was written meanwhile is of another time. */
function jumping(file: string): Fault {
  return {
    kind: 'clock jump',
    lane: 'server',
    lastsMs: [500, 4_000],
    async inject(random, lastsMs) {
      setOffset(file, (random.next() < 0.5 ? -1 : 1) * (1_000 + random.below(JUMP_MS_MAX)));
      await delay(lastsMs);
      setOffset(file, 0);
    },
  };
}

/** Written in place: the server has this very file mapped. */
function setOffset(file: string, offsetMs: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(offsetMs));
  writeFileSync(file, bytes, { flag: existsSync(file) ? 'r+' : 'w' });
}
