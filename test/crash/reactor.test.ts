// Kills and pauses processes in the middle of handlers: every event is handled, each stream in its order, and what handlers append is there once.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, ProcessorControl, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { versionFaults } from '../support/history.ts';
import { until } from '../support/processors.ts';
import { collect, openStore } from '../support/store.ts';
import { summaryOf, WorkerPool } from '../support/workers.ts';
import { answers, type Effect, effects, EFFECTS_REACTOR, isPoison, ledgers, questions, targetOf } from '../workers/effects.ts';
import { Feeder, LEASE_MS, someHeld } from './bench.ts';
import { KILLS } from '../support/size.ts';

const PAUSES = Math.ceil(KILLS / 4);
const PARTITIONS = 4;
const WORKERS = 3;
const EVENTS_A_SECOND = 200;
const EVENTS = 150 * KILLS;
/** So short that a batch's record is often gone before the next one. */
const WRITER_TTL_MS = 100;
/** What a process may have in hand in one partition when it dies: two events for each handler, and a page. */
const IN_HAND_MAX = 2 * 16 + 1_000;
const TIMEOUT_MS = 90_000 + KILLS * 6_000;

interface Bench extends AsyncDisposable {
  readonly store: EventStore;
  readonly raw: RawClient;
  readonly outside: RawClient;
  readonly keys: Keys;
  readonly effectsKey: string;
  pool(isMended: boolean): WorkerPool;
}

async function openBench(): Promise<Bench> {
  const namespace = uniqueNamespace('reactor');
  const effectsKey = `${namespace}:outside`;
  const [raw, outside] = [await connectRaw(), await connectRaw(testUrl())];
  const store = await openStore({ namespace, partitions: PARTITIONS });
  const keys = new Keys(namespace, PARTITIONS);
  const checkpoints = Array.from({ length: PARTITIONS }, (_, partition) => keys.checkpoint(partition, EFFECTS_REACTOR, 1));
  const settings = { url: testUrl(), namespace, library: testClient(), leaseMs: LEASE_MS, effectsKey, writerTtlMs: WRITER_TTL_MS };
  const pool = (isMended: boolean): WorkerPool => new WorkerPool(raw, { ...settings, isMended }, checkpoints);
  const close = async (): Promise<void> => {
    await outside.send('DEL', effectsKey);
    await store.close();
    for (const client of [raw, outside]) client.close();
  };
  return { store, raw, outside, keys, effectsKey, pool, [Symbol.asyncDispose]: close };
}

function feed({ store }: Bench, total: number): Feeder {
  const append = async (id: string, n: number): Promise<void> => {
    await store.append(questions.stream(String(Number(id) % 50)), { type: 'Asked', data: { n } });
  };
  return new Feeder(append, { total, perSecond: EVENTS_A_SECOND });
}

async function effectsOf({ outside, effectsKey }: Bench): Promise<Effect[]> {
  return ((await outside.send('LRANGE', effectsKey, '0', '-1')) as string[]).map((line) => JSON.parse(line) as Effect);
}

function onlookerOf({ store }: Bench): StreamProcessor {
  return new StreamProcessor(store, { reactors: [effects(async () => undefined, true)] });
}

async function untilReacted(bench: Bench): Promise<void> {
  const onlooker = onlookerOf(bench);
  await until('all is reacted to', async () => (await onlooker.progress()).reactors.every(({ lagEvents }) => lagEvents === 0), TIMEOUT_MS);
}

/** What is wrong with the order of handlings. In the list they stand in the order in which they were done with. */
function orderFaults(list: readonly Effect[]): string[] {
  const faults: string[] = [];
  const done = new Map<string, number>();
  const inEpoch = new Map<string, number>();
  for (const { stream, version, epoch } of list) {
    const last = done.get(stream) ?? 0;
    if (version > last + 1) faults.push(`${stream}: ${version} was done when ${last} was the last`);
    done.set(stream, Math.max(last, version));
    const before = inEpoch.get(`${stream}/${epoch}`) ?? 0;
    if (version <= before) faults.push(`${stream}: ${version} was done behind ${before} in epoch ${epoch}`);
    inEpoch.set(`${stream}/${epoch}`, version);
  }
  return faults;
}

/** Each event that was handled, or given up behind its appends, is answered once in each target; the others are not. */
async function checkAnswers({ store }: Bench, reactedTo: ReadonlySet<string>): Promise<void> {
  const asked = await collect(store.readCategory(questions));
  const [answered, commanded] = [await collect(store.readCategory(answers)), await collect(store.readCategory(ledgers))];
  const found = [...answered, ...commanded].map(({ streamName, data: { by } }) => `${by} in ${streamName}`).toSorted();
  const expected = asked.flatMap(({ id, streamName, data: { n } }) => {
    if (!reactedTo.has(id)) return [];
    const own = streamName.slice('questions:'.length);
    const targets = [`answers:${targetOf(n)}`, `answers:${own}`, ...(n % 4 === 0 ? [`ledgers:${targetOf(n + 1)}`] : [])];
    return targets.map((target) => `${id} in ${target}`);
  });
  expect(found.length).toBe(expected.length);
  expect(found).toEqual(expected.toSorted());
  expect([...versionFaults(answered), ...versionFaults(commanded)]).toEqual([]);
}

/** What is kept for events beside the epoch, in all partitions. */
async function keptFor({ raw, keys }: Bench): Promise<string[]> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const hashes = partitions.flatMap((from) => partitions.map((to) => keys.reactions(to, EFFECTS_REACTOR, 1, from)));
  const fields = (await Promise.all(hashes.map((key) => raw.send('HKEYS', key)))) as string[][];
  return fields.flat().filter((field) => field !== 'epoch');
}

interface Left {
  readonly letters: readonly string[];
  readonly waiting: number;
}

async function leftOf(bench: Bench): Promise<Left> {
  const letters: string[] = [];
  for await (const { event } of new ProcessorControl(bench.store).deadLetters({ name: EFFECTS_REACTOR }).list()) letters.push(event?.id ?? '');
  const { reactors } = await onlookerOf(bench).progress();
  return { letters, waiting: reactors.reduce((sum, { eventsWaiting }) => sum + eventsWaiting, 0) };
}

function eventOf({ stream, version }: Effect): string {
  return `${stream}@${version}`;
}

/** Every event is handled, a letter, or waits behind one: and none is two of these. */
async function checkSums(bench: Bench, events: number): Promise<ReadonlySet<string>> {
  const list = await effectsOf(bench);
  const handled = new Set(list.map(eventOf));
  const { letters, waiting } = await leftOf(bench);
  expect(handled.size + letters.length + waiting).toBe(events);
  expect(letters.filter((id) => handled.has(id))).toEqual([]);
  expect(orderFaults(list).slice(0, 5)).toEqual([]);
  return new Set([...handled, ...letters]);
}

/** With a reactor that can handle everything now: retried, handled in order, appended once, and nothing is left. */
async function mend(bench: Bench, events: number): Promise<void> {
  await using pool = bench.pool(true);
  await pool.start(2);
  const letters = new ProcessorControl(bench.store).deadLetters({ name: EFFECTS_REACTOR });
  await letters.retryAll();
  const held = await someHeld(pool);
  await pool.kill((held[0] as (typeof held)[number]).worker); // in the middle of that
  await pool.start();
  await letters.settled({ signal: AbortSignal.timeout(TIMEOUT_MS) });
  await untilReacted(bench);
  expect(await leftOf(bench)).toEqual({ letters: [], waiting: 0 });
  const reactedTo = await checkSums(bench, events);
  expect(reactedTo.size).toBe(events);
  await checkAnswers(bench, reactedTo);
  expect(pool.unexpectedEnds).toEqual([]);
  expect(new Set(await pool.stop())).toEqual(new Set([0]));
  await using last = bench.pool(true);
  await last.start();
  await until('nothing is kept any more', async () => (await keptFor(bench)).length === 0);
}

describe('three processes that react, over four partitions', () => {
  test(`handle every event, in order, and append once for each, when one is killed ${KILLS} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench();
    const feeder = feed(bench, EVENTS);
    const took: number[] = [];
    {
      await using pool = bench.pool(false);
      await pool.start(WORKERS);
      for (let kill = 0; kill < KILLS; kill += 1) {
        const held = await someHeld(pool);
        await pool.kill((held[0] as (typeof held)[number]).worker);
        const restarted = pool.start();
        took.push(...(await pool.takenOver(held, LEASE_MS + 15_000)));
        await restarted;
        await delay(Math.random() * 100);
      }
      await feeder.finish();
      await untilReacted(bench);
      expect(pool.unexpectedEnds).toEqual([]);
      expect(new Set(await pool.stop())).toEqual(new Set([0]));
    }
    const events = feeder.acknowledged.length;
    const reactedTo = await checkSums(bench, events);
    const again = (await effectsOf(bench)).length - new Set((await effectsOf(bench)).map(eventOf)).size;
    const { letters, waiting } = await leftOf(bench);
    console.log(
      `${KILLS} kills, ${events} events, ${again} handled again, ${letters.length} letters, ${waiting} waiting; leases taken over after: ${summaryOf(took)}`,
    );
    expect(letters.length).toBeGreaterThan(0);
    expect(again).toBeLessThan(took.length * IN_HAND_MAX);
    await checkAnswers(bench, reactedTo);
    await mend(bench, events);
  });

  test(`handle every event, in order, and append once for each, when one is paused past its lease ${PAUSES} times`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    await using bench = await openBench();
    const feeder = feed(bench, EVENTS / 2);
    {
      await using pool = bench.pool(false);
      await pool.start(WORKERS);
      for (let pause = 0; pause < PAUSES; pause += 1) {
        const held = await someHeld(pool);
        const [{ worker }] = held as [(typeof held)[number]];
        worker.kill('SIGSTOP');
        await pool.takenOver(held, LEASE_MS + 15_000);
        await delay(Math.random() * 200);
        worker.kill('SIGCONT');
        await delay(Math.random() * 200);
      }
      await feeder.finish();
      await untilReacted(bench);
      expect(pool.unexpectedEnds).toEqual([]);
      expect(new Set(await pool.stop())).toEqual(new Set([0]));
    }
    const events = feeder.acknowledged.length;
    const reactedTo = await checkSums(bench, events);
    console.log(`${PAUSES} pauses, ${events} events, ${(await effectsOf(bench)).length} handlings`);
    await checkAnswers(bench, reactedTo);
    await mend(bench, events);
  });
});

test('the reactor of these tests gives some events up', () => {
  expect(Array.from({ length: EVENTS / 2 }, (_, n) => n).filter(isPoison).length).toBeGreaterThan(1);
});
