// Scheduled events over restarts of the server, and while its clock jumps: each once, none lost.
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { EventStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { run, until } from '../support/processors.ts';
import { collect, note, notes, numbersOf, openStore } from '../support/store.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const SHIFTER = fileURLToPath(new URL('../../faults/inject/clock.c', import.meta.url));

async function left(store: EventStore): Promise<number> {
  let count = 0;
  for await (const { id } of store.readScheduled()) count += Number(id !== '');
  return count;
}

async function numbersIn(store: EventStore): Promise<number[]> {
  return numbersOf(await collect(store.readAll()));
}

/** Schedules a note for each moment from now on, a few milliseconds apart. */
async function scheduleAhead(store: EventStore, count: number, stepMs: number): Promise<void> {
  const start = Date.now() + 200;
  await Promise.all(range(count).map((n) => store.schedule(notes.stream(`${n % 7}`), note(n), { deliverAt: start + n * stepMs })));
}

describe('a server that is restarted', () => {
  test('while events come due has them all, once, in order', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using engine = await startEngine();
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: engine.url, namespace, timeoutMs: 15_000 });
    await using other = await openStore({ url: engine.url, namespace, timeoutMs: 15_000 });
    await scheduleAhead(store, 600, 5);
    await using first = run(store, { leaseMs: 300 });
    await using second = run(other, { leaseMs: 300 });
    for (const restart of [100, 300]) {
      await until('some are delivered', async () => (await numbersIn(store).catch(() => [])).length >= restart);
      await engine.restart();
    }
    await until('nothing is left', async () => (await left(store)) === 0);
    expect(await numbersIn(store)).toEqual(range(600));
    expect([...first.failed, ...second.failed]).toEqual([]);
  });
});

/** An engine whose time of day is shifted by what is written into a file. */
class ShiftedEngine implements AsyncDisposable {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'millrace-clock-'));
  #engine: TestEngine | undefined;

  /** Why there is none; undefined where it runs. */
  async start(): Promise<string | undefined> {
    const why = whyNoEngine();
    if (why !== undefined) return why;
    const library = join(this.#folder, 'clock.so');
    try {
      await promisify(execFile)('gcc', ['-shared', '-fPIC', '-O2', '-o', library, SHIFTER]);
    } catch {
      return 'gcc cannot compile the library that shifts a clock';
    }
    writeFileSync(this.#file, Buffer.alloc(8));
    this.#engine = await startEngine({ prefix: ['env', `LD_PRELOAD=${library}`, `MILLRACE_CLOCK_FILE=${this.#file}`] });
    return undefined;
  }

  get url(): string {
    return this.#engine?.url ?? '';
  }

  get #file(): string {
    return join(this.#folder, 'offset');
  }

  /** Written in place, for the server has this very file mapped. */
  shift(ms: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(ms));
    writeFileSync(this.#file, bytes, { flag: 'r+' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

describe('a clock that jumps', () => {
  test('forth delivers early, back delays, and neither ever delivers twice', async ({ skip }) => {
    await using engine = new ShiftedEngine();
    const why = await engine.start();
    if (why !== undefined) skip(why);
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: engine.url, namespace });
    await using other = await openStore({ url: engine.url, namespace });
    const hour = 3_600_000;
    const now = Date.now();
    for (const n of range(300)) await store.schedule(notes.stream(`${n % 5}`), note(n), { deliverAt: now + hour + n + (n < 150 ? 0 : hour / 2) });
    await using first = run(store, { leaseMs: 300 });
    await using second = run(other, { leaseMs: 300 });
    engine.shift(hour + 150 - (Date.now() - now));
    await until('some of them are delivered', async () => (await numbersIn(store)).length >= 100);
    engine.shift(-hour);
    await store.schedule(notes.stream('1'), note(1_000), { deliverAt: now + 1_000 });
    await store.append(notes.stream('back'), note(2_000)); // the clock is back: behind what was delivered early
    expect(await numbersIn(store)).not.toContain(1_000);
    expect(await left(store)).toBeGreaterThan(150);
    engine.shift(0);
    await until('what is due now is delivered', async () => (await numbersIn(store)).includes(1_000));
    engine.shift(2 * hour);
    await until('nothing is left', async () => (await left(store)) === 0);
    const numbers = await numbersIn(store);
    expect(numbers.filter((n) => n < 1_000)).toEqual(range(300));
    expect(numbers.toSorted((a, b) => a - b)).toEqual([...range(300), 1_000, 2_000]);
    expect([...first.failed, ...second.failed]).toEqual([]);
  });
});
