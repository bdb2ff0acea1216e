// Retries a great many dead letters while those who ask for it, and those who handle them, are killed: none is lost, none comes twice.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type DeadLetters, type EventStore, ProcessorControl, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { until } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { answered, answers, asked, type LettersSettings } from '../workers/letters.ts';
import { KILLS } from '../support/size.ts';

const PROGRAM = fileURLToPath(new URL('../../build/workers/letters.js', import.meta.url));
/** A hundred thousand in .ci/run. */
const LETTERS = KILLS >= 30 ? 100_000 : 3_000;
const PARTITIONS = 4;
const TIMEOUT_MS = 120_000 + LETTERS * 10;
/** What a process may hold at most, in MiB. All letters at once, with their events and errors, would take several times as much. */
const HEAP_MIB = 128;

/** Every tenth stream has more events, which wait behind the letter. */
function eventsOf(stream: number): number {
  return stream % 10 === 0 ? 3 : 1;
}

/** The processes of one test, in its namespace. */
class Workers implements AsyncDisposable {
  readonly namespace: string = uniqueNamespace();
  readonly #all = new Set<ChildProcess>();
  readonly said: string[] = [];

  /** V8 ends one that would hold more than `HEAP_MIB`. */
  async start(settings: Pick<LettersSettings, 'task' | 'isMended' | 'diesAfter'>): Promise<ChildProcess> {
    const where = { url: testUrl(), namespace: this.namespace, library: testClient() };
    const worker = fork(PROGRAM, [], {
      env: { ...process.env, MILLRACE_LETTERS: JSON.stringify({ ...where, ...settings }), NODE_OPTIONS: '' },
      execArgv: [`--max-old-space-size=${HEAP_MIB}`],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    worker.stderr?.on('data', (data: Buffer) => this.said.push(data.toString()));
    this.#all.add(worker);
    if (settings.task === 'react') await Promise.race([once(worker, 'message'), once(worker, 'exit')]);
    if (worker.exitCode !== null) throw new Error(`a worker ended with ${worker.exitCode}: ${this.said.join('')}`);
    return worker;
  }

  async end(worker: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    worker.kill(signal);
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map((worker) => this.end(worker, 'SIGKILL')));
  }
}

/** Appends the events of all streams. */
async function ask(store: EventStore): Promise<void> {
  const text = 'x'.repeat(1_000);
  for (let from = 0; from < LETTERS; from += 500) {
    const streams = Array.from({ length: Math.min(500, LETTERS - from) }, (_, index) => from + index);
    const events = (stream: number) =>
      Array.from({ length: eventsOf(stream) }, (_, index) => ({ type: 'Noted' as const, data: { n: index + 1, text } }));
    await Promise.all(streams.map((stream) => store.append(asked.stream(String(stream)), events(stream))));
  }
}

/** Runs the reactor as it is broken, until every first event is a letter and the others wait. */
async function makeLetters(store: EventStore, workers: Workers, letters: DeadLetters): Promise<void> {
  await ask(store);
  const broken = await workers.start({ task: 'react' });
  const onlooker = new StreamProcessor(store, { reactors: [answers(false)] });
  await until('all are given up', async () => (await onlooker.progress()).reactors.every(({ lagEvents }) => lagEvents === 0), TIMEOUT_MS);
  await workers.end(broken, 'SIGTERM');
  expect(workers.said).toEqual([]);
  expect(await letters.count()).toBe(LETTERS);
}

/** The process that asks is killed when it asked for half of them, and another one asks for all. */
async function retryAll(workers: Workers, letters: DeadLetters): Promise<number> {
  const first = await workers.start({ task: 'retry', diesAfter: LETTERS / 2 });
  const [, signal] = (await once(first, 'exit')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  const states = { dead: 0, retrying: 0 };
  if (LETTERS <= 3_000) for await (const { state } of letters.list()) states[state] += 1;
  if (LETTERS <= 3_000) expect(states.dead).toBeGreaterThanOrEqual(LETTERS / 2);
  const second = await workers.start({ task: 'retry' });
  const [message] = (await once(second, 'message')) as [{ readonly asked: number }];
  return message.asked;
}

/** Kills one who handles them each time that a share of them is done. */
async function killAgainAndAgain(workers: Workers, handling: ChildProcess[], letters: DeadLetters): Promise<number> {
  const kills = Math.ceil(KILLS / 4);
  let killed = 0;
  for (let kill = 1; kill <= kills; kill += 1) {
    const left = LETTERS * (1 - (0.7 * kill) / kills);
    await until(`${left} letters are left`, async () => (await letters.count()) <= left, TIMEOUT_MS);
    if ((await letters.count()) > 0) killed += 1;
    await workers.end(handling.shift() as ChildProcess, 'SIGKILL');
    handling.push(await workers.start({ task: 'react', isMended: true }));
  }
  return killed;
}

/** Each answer once, in order. */
async function checkAnswers(store: EventStore, extra: ReadonlySet<number>): Promise<void> {
  const answers = new Map<string, number[]>();
  for await (const { streamName, data } of store.readCategory(answered)) {
    const id = streamName.slice('answered:'.length);
    answers.set(id, [...(answers.get(id) ?? []), data.n]);
  }
  const wrong: string[] = [];
  for (let stream = 0; stream < LETTERS; stream += 1) {
    const count = eventsOf(stream) + (extra.has(stream) ? 1 : 0);
    const expected = Array.from({ length: count }, (_, index) => index + 1).join(' ');
    const found = (answers.get(String(stream)) ?? []).join(' ');
    if (found !== expected) wrong.push(`${stream}: expected ${expected}, found ${found}`);
  }
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(answers.size).toBe(LETTERS);
}

describe('dead letters that are retried', () => {
  test(`are all handled, once and in order, when processes are killed, ${LETTERS} of them`, { timeout: TIMEOUT_MS }, async () => {
    await using workers = new Workers();
    const { namespace } = workers;
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using redis = await connectRaw();
    const letters = new ProcessorControl(store).deadLetters({ name: 'answers' });
    await makeLetters(store, workers, letters);
    const retried = await retryAll(workers, letters);
    const handling = [await workers.start({ task: 'react', isMended: true }), await workers.start({ task: 'react', isMended: true })];
    const killing = killAgainAndAgain(workers, handling, letters);
    // What comes while they are worked off is handled behind what waits.
    const extra = new Set(Array.from({ length: LETTERS / 20 }, (_, index) => index * 20 + (index % 2)));
    for (const stream of extra) await store.append(asked.stream(String(stream)), { type: 'Noted', data: { n: eventsOf(stream) + 1, text: '' } });
    const killed = await killing;
    await letters.settled({ signal: AbortSignal.timeout(TIMEOUT_MS) });
    const onlooker = new StreamProcessor(store, { reactors: [answers(true)] });
    await until('all is handled', async () => (await onlooker.progress()).reactors.every(({ lagEvents }) => lagEvents === 0), TIMEOUT_MS);
    console.log(`${LETTERS} letters, ${retried} asked for by the second process, ${killed} kills of who handled them`);
    expect(retried).toBe(LETTERS);
    expect(killed).toBeGreaterThan(KILLS / 8);
    expect(workers.said).toEqual([]);
    expect(await letters.count()).toBe(0);
    expect((await onlooker.progress()).reactors.map(({ eventsWaiting }) => eventsWaiting)).toEqual([0, 0, 0, 0]);
    await checkAnswers(store, extra);
    // Nothing is left of them, once others have taken over.
    for (const worker of handling) await workers.end(worker, 'SIGTERM');
    const keys = new Keys(namespace, PARTITIONS);
    await using last = new StreamProcessor(store, { reactors: [answers(true)] });
    await last.runUntilCaughtUp();
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      for (const key of [keys.letters(partition, 'answers', 1), keys.blocked(partition, 'answers', 1), keys.retrying(partition, 'answers', 1)])
        expect(await redis.send('EXISTS', key)).toBe(0);
      for (let from = 0; from < PARTITIONS; from += 1) {
        const key = keys.reactions(partition, 'answers', 1, from);
        await until(`only the epoch is left in ${key}`, async () => Number(await redis.send('HLEN', key)) <= 1);
      }
    }
  });
});
