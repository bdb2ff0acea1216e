// Kills and pauses processes that run a process manager, and loses replies: each event's effects are there once, by the state of the pure fold.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, ProcessorControl, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { isAppend } from '../support/faults.ts';
import { versionFaults } from '../support/history.ts';
import { keysIn, until } from '../support/processors.ts';
import { startProxy } from '../support/proxy.ts';
import { collect, openStore } from '../support/store.ts';
import { summaryOf, WorkerPool } from '../support/workers.ts';
import {
  type Done,
  evolved,
  hasEnded,
  isCommanded,
  isPoison,
  isReminded,
  ledgers,
  NO_SAGA,
  orders,
  outcomes,
  payments,
  reminders,
  type Saga,
  saga,
  SAGA,
} from '../workers/saga.ts';
import { Feeder, LEASE_MS, someHeld } from './bench.ts';
import { KILLS as KILLS_ASKED } from '../support/size.ts';

/** So many kills (more in .ci/run), over the numbers of partitions. */
const KILLS = Math.ceil(KILLS_ASKED / 2);
const PAUSES = Math.ceil(KILLS / 2);
const WORKERS = 3;
const IDS = 40;
const EVENTS = 150 * KILLS;
const EVENTS_A_SECOND = 250;
const TIMEOUT_MS = 90_000 + KILLS * 6_000;

interface Bench extends AsyncDisposable {
  readonly namespace: string;
  /** Where the store is, if not where all tests are. */
  readonly url: string | undefined;
  readonly store: EventStore;
  readonly feeder: Feeder;
  readonly disturbing: Disturbing;
  pool(options: { readonly isMended: boolean }): WorkerPool;
}

async function openBench(
  partitions: number,
  { url, workersUrl = testUrl() }: { readonly url?: string; readonly workersUrl?: string } = {},
): Promise<Bench> {
  const namespace = uniqueNamespace('process');
  const raw: RawClient = await connectRaw(url);
  const store = await openStore({ namespace, partitions, ...(url !== undefined && { url }) });
  const keys = new Keys(namespace, partitions);
  const checkpoints = Array.from({ length: partitions }, (_, partition) => keys.checkpoint(partition, SAGA, 1));
  const settings = { runs: 'manager', url: workersUrl, namespace, library: testClient(), leaseMs: LEASE_MS } as const;
  const feed = async (id: string, n: number): Promise<void> => {
    const name = String(Number(id) % IDS);
    if (n % 2 === 0) await store.append(orders.stream(name), { type: 'Ordered', data: { n } });
    else await store.append(payments.stream(name), { type: 'Paid', data: { n } });
  };
  const disturbing = new Disturbing(store);
  return {
    namespace,
    url,
    store,
    feeder: new Feeder(feed, { total: EVENTS, perSecond: EVENTS_A_SECOND }),
    disturbing,
    pool: (options) => new WorkerPool(raw, { ...settings, ...options }, checkpoints),
    [Symbol.asyncDispose]: async () => {
      await disturbing.stop();
      await store.close();
      raw.close();
    },
  };
}

/** Appends to the streams that are commanded, until it is told to stop. */
class Disturbing {
  count = 0;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  constructor(store: EventStore) {
    this.#done = this.#run(store);
  }

  async #run(store: EventStore): Promise<void> {
    for (; !this.#stopping.signal.aborted; this.count += 1) {
      await store.append(ledgers.stream(String(Math.floor(IDS ** Math.random()) - 1)), { type: 'Disturbed', data: {} });
      await delay(Math.random() * 10);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }
}

async function untilHandled({ store }: Bench): Promise<void> {
  const onlooker = new StreamProcessor(store, { reactors: [saga(true)] });
  await until('all is handled', async () => (await onlooker.progress()).reactors.every(({ lagEvents }) => lagEvents === 0), 60_000);
}

interface Expected {
  readonly done: Map<string, Done['data'][]>;
  readonly noted: Map<string, string[]>;
  readonly reminded: string[];
  readonly running: Map<string, Saga>;
}

function added<T>(map: Map<string, T[]>, key: string, value: T): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}

/** The fold of the log as it is, without anything of what runs it. */
async function expectedOf({ store }: Bench): Promise<Expected> {
  const expected: Expected = { done: new Map(), noted: new Map(), reminded: [], running: new Map() };
  for await (const { id: by, streamName, data } of store.readAll()) {
    const [category, id = ''] = streamName.split(':');
    if (category !== orders.name && category !== payments.name) continue;
    const { n } = data as { readonly n: number };
    const before = expected.running.get(id) ?? NO_SAGA;
    const after = evolved(before, n);
    if (hasEnded(after)) expected.running.delete(id);
    else expected.running.set(id, after);
    const { count, hash } = hasEnded(after) ? before : after; // what reacts to the end sees the last state
    added(expected.done, id, { by, count, hash });
    if (isCommanded(n)) added(expected.noted, id, by);
    if (isReminded(n)) expected.reminded.push(by);
  }
  return expected;
}

/** What is there, in the same shape. */
async function foundIn({ store, namespace, url }: Bench): Promise<Expected> {
  const found: Expected = { done: new Map(), noted: new Map(), reminded: [], running: new Map() };
  const idOf = (streamName: string): string => streamName.slice(streamName.indexOf(':') + 1);
  const events = await collect(store.readAll());
  expect(versionFaults(events)).toEqual([]);
  for await (const { streamName, data, metadata } of store.readCategory(outcomes)) {
    added(found.done, idOf(streamName), data);
    expect(metadata.causationId).toBe(data.by);
  }
  for await (const { type, streamName, streamVersion, data } of store.readCategory(ledgers)) {
    if (type !== 'Noted') continue;
    added(found.noted, idOf(streamName), data.by);
    expect(data.index).toBe(streamVersion); // it was decided on all that others had appended
  }
  for await (const { data } of store.readCategory(reminders)) found.reminded.push(data.by);
  for await (const { events: later } of store.readScheduled()) for (const { data } of later) found.reminded.push((data as { by: string }).by);
  await using raw = await connectRaw(url);
  for (const key of (await keysIn(namespace, url)).filter((each) => each.includes(`:snapshot:${SAGA}@1:`))) {
    const fields = (await raw.send('HMGET', key, 'count', 'hash')) as string[];
    found.running.set(key.slice(key.lastIndexOf(':') + 1), { count: Number(fields[0]), hash: Number(fields[1]) });
  }
  return found;
}

async function checkExact(bench: Bench): Promise<void> {
  const [found, expected] = [await foundIn(bench), await expectedOf(bench)];
  expect(found.done).toEqual(expected.done);
  expect(found.noted).toEqual(expected.noted);
  expect(found.reminded.toSorted()).toEqual(expected.reminded.toSorted());
  expect(found.running).toEqual(expected.running);
  expect(expected.running.size).toBeGreaterThan(0);
  const left = (await keysIn(bench.namespace, bench.url)).filter((key) => key.includes(`:${SAGA}@1`) && !/:(snapshot|checkpoint):/.test(key));
  expect(left).toEqual([]);
}

/** Those that could not be handled are handled now, and what waited behind them; one dies in the middle of that. */
async function mend(bench: Bench): Promise<number> {
  const letters = new ProcessorControl(bench.store).deadLetters({ name: SAGA });
  const count = await letters.count();
  await using pool = bench.pool({ isMended: true });
  await pool.start(2);
  await letters.retryAll();
  const held = await someHeld(pool);
  await pool.kill((held[0] as (typeof held)[number]).worker);
  await pool.start();
  await letters.settled({ signal: AbortSignal.timeout(60_000) });
  await untilHandled(bench);
  await bench.disturbing.stop();
  await until('what was due is delivered', async () => (await dueNow(bench)) === 0, 30_000);
  expect(pool.unexpectedEnds).toEqual([]);
  expect(new Set(await pool.stop())).toEqual(new Set([0]));
  await using last = new StreamProcessor(bench.store, { reactors: [saga(true)] });
  await last.runUntilCaughtUp(); // sweeps what one left that died between an end and its removal
  return count;
}

async function dueNow({ store }: Bench): Promise<number> {
  let due = 0;
  for await (const { deliverAt } of store.readScheduled()) due += Number(deliverAt.getTime() < Date.now());
  return due;
}

async function endFeeding(bench: Bench, pool: WorkerPool): Promise<void> {
  await bench.feeder.finish();
  await untilHandled(bench);
  expect(pool.unexpectedEnds).toEqual([]);
  expect(new Set(await pool.stop())).toEqual(new Set([0]));
}

describe.each([1, 4])('three processes that run a process manager over %i partitions', (partitions) => {
  test(`carry out each effect once, by the right state, when one is killed ${KILLS} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench(partitions);
    const took: number[] = [];
    {
      await using pool = bench.pool({ isMended: false });
      await pool.start(WORKERS);
      for (let kill = 0; kill < KILLS; kill += 1) {
        const held = await someHeld(pool);
        await pool.kill((held[0] as (typeof held)[number]).worker);
        const restarted = pool.start();
        took.push(...(await pool.takenOver(held, LEASE_MS + 15_000)));
        await restarted;
        await delay(Math.random() * 100);
      }
      await endFeeding(bench, pool);
    }
    const letters = await mend(bench);
    console.log(
      `${KILLS} kills, ${bench.feeder.acknowledged.length} events, ${bench.disturbing.count} appends of others, ${letters} letters; taken over after: ${summaryOf(took)}`,
    );
    expect(letters).toBeGreaterThan(0);
    await checkExact(bench);
  });

  test(`carry out each effect once, by the right state, when one is paused past its lease ${PAUSES} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench(partitions);
    {
      await using pool = bench.pool({ isMended: false });
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
      await endFeeding(bench, pool);
    }
    await mend(bench);
    await checkExact(bench);
  });
});

test(`a process manager whose replies are lost ${KILLS} times carries out each effect once`, { timeout: TIMEOUT_MS }, async () => {
  await using proxy = await startProxy(testUrl());
  await using bench = await openBench(4, { url: testUrl(), workersUrl: proxy.url });
  {
    await using pool = bench.pool({ isMended: false });
    await pool.start(2);
    for (let loss = 0; loss < KILLS; loss += 1) {
      await proxy.loseReplyOf(isAppend);
      await delay(Math.random() * 200);
    }
    await endFeeding(bench, pool);
  }
  await mend(bench);
  await checkExact(bench);
});

test('the process manager of these tests gives some events up', () => {
  expect(Array.from({ length: EVENTS }, (_, n) => n).filter(isPoison).length).toBeGreaterThan(1);
});
