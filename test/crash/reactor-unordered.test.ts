// Kills and pauses processes that run a reactor without order, in the middle of handlers, and counts: every event handled, appended once for each.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type EventStore, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { until } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { answers, jobs, type UnorderedSettings, work } from '../workers/unordered.ts';
import { KILLS } from '../support/size.ts';

const PROGRAM = fileURLToPath(new URL('../../build/workers/unordered.js', import.meta.url));
const PAUSES = Math.ceil(KILLS / 4);
const PARTITIONS = 4;
const WORKERS = 3;
const LEASE_MS = 500;
const EVENTS_A_SECOND = 500;
const TIMEOUT_MS = 60_000 + KILLS * 3_000;

/** The processes of one test, in its namespace. */
class Workers implements AsyncDisposable {
  readonly unexpectedEnds: string[] = [];
  readonly #settings: UnorderedSettings;
  readonly #all = new Set<ChildProcess>();

  constructor(namespace: string) {
    this.#settings = { url: testUrl(), namespace, library: testClient(), leaseMs: LEASE_MS };
  }

  async start(): Promise<void> {
    const worker = fork(PROGRAM, [], {
      env: { ...process.env, MILLRACE_UNORDERED: JSON.stringify(this.#settings), NODE_OPTIONS: '' },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    worker.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    this.#all.add(worker);
    worker.once('exit', (code, signal) => {
      if (this.#all.delete(worker)) this.unexpectedEnds.push(`a worker ended with ${signal ?? code}: ${said}`);
    });
    await Promise.race([once(worker, 'message'), once(worker, 'exit')]);
  }

  /** Any of them. */
  one(): ChildProcess {
    return [...this.#all][Math.floor(Math.random() * this.#all.size)] as ChildProcess;
  }

  async kill(worker: ChildProcess): Promise<void> {
    this.#all.delete(worker);
    worker.kill('SIGKILL');
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
  }

  /** Their exit codes: 0 for one that ended by itself once it had stopped. */
  async stop(): Promise<(number | null)[]> {
    const workers = [...this.#all];
    this.#all.clear();
    const exits = workers.map((worker) => once(worker, 'exit') as Promise<[number | null]>);
    for (const worker of workers) worker.kill('SIGTERM');
    return (await Promise.all(exits)).map(([code]) => code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map((worker) => this.kill(worker)));
  }
}

/** Appends jobs at a steady pace until `whenDone` resolves; how many. */
async function give(store: EventStore, whenDone: Promise<void>): Promise<number> {
  const isOver = { now: false };
  void whenDone.finally(() => {
    isOver.now = true;
  });
  let given = 0;
  while (!isOver.now) {
    const batch = Array.from({ length: EVENTS_A_SECOND / 50 }, () => given++);
    const appends = batch.map((n) => store.append(jobs.stream(`j${n % 300}`), { type: 'Given', data: { n } }));
    await Promise.all([...appends, delay(20)]);
  }
  await whenDone;
  return given;
}

/** Each job was answered once, those that cannot be done are letters, and nothing is left in hand. */
async function checkAnswers(store: EventStore, namespace: string, given: number): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors: [work()], leaseMs: LEASE_MS });
  await processor.runUntilCaughtUp();
  const answered: number[] = [];
  for await (const { data } of store.readCategory(answers)) answered.push(data.n);
  expect(answered.toSorted((a, b) => a - b)).toEqual(Array.from({ length: given }, (_, n) => n));
  const { reactors } = await processor.progress();
  const sumOf = (what: 'eventsDone' | 'lagEvents' | 'deadLetters'): number => reactors.reduce((sum, each) => sum + each[what], 0);
  expect({ eventsDone: sumOf('eventsDone'), lagEvents: sumOf('lagEvents'), deadLetters: sumOf('deadLetters') }).toEqual({
    eventsDone: given,
    lagEvents: 0,
    deadLetters: Math.floor((given + 92) / 100),
  });
  await using raw = await connectRaw();
  const keys = new Keys(namespace, PARTITIONS);
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const [pending] = (await raw.send('XPENDING', keys.log(partition, 'jobs'), 'millrace:work@1')) as [number];
    expect(pending).toBe(0);
  }
}

async function runUnder(fault: (workers: Workers) => Promise<void>): Promise<void> {
  const namespace = uniqueNamespace('crash');
  await using store = await openStore({ namespace, partitions: PARTITIONS });
  await using workers = new Workers(namespace);
  await Promise.all(Array.from({ length: WORKERS }, () => workers.start()));
  const given = await give(store, fault(workers));
  await until('nothing is left', async () => await hasEnded(store), 30_000);
  expect(workers.unexpectedEnds).toEqual([]);
  expect(new Set(await workers.stop())).toEqual(new Set([0]));
  await checkAnswers(store, namespace, given);
}

async function hasEnded(store: EventStore): Promise<boolean> {
  const { reactors } = await new StreamProcessor(store, { reactors: [work()] }).progress();
  return reactors.every(({ lagEvents }) => lagEvents === 0);
}

describe('three processes with a reactor without order', () => {
  test(`handle every event, and append once for each, when one is killed, ${KILLS} times`, { timeout: TIMEOUT_MS }, async () => {
    await runUnder(async (workers) => {
      for (let kill = 0; kill < KILLS; kill += 1) {
        await delay(Math.random() * 400);
        await workers.kill(workers.one());
        await workers.start();
      }
    });
  });

  test(`handle every event, and append once for each, when one is paused past its claims, ${PAUSES} times`, { timeout: TIMEOUT_MS }, async () => {
    await runUnder(async (workers) => {
      for (let pause = 0; pause < PAUSES; pause += 1) {
        const worker = workers.one();
        worker.kill('SIGSTOP');
        await delay(LEASE_MS * 2.5);
        worker.kill('SIGCONT');
        await delay(Math.random() * LEASE_MS);
      }
    });
  });
});
