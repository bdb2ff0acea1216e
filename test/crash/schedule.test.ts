// Kills and pauses processes that deliver scheduled events, at random, and counts: every event once, in the order of its time.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { lossFaults, positionFaults, type Recorded, versionFaults } from '../support/history.ts';
import { until } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { summaryOf, WorkerPool } from '../support/workers.ts';
import { counted } from '../workers/tally.ts';
import { Feeder, LEASE_MS, someHeld } from './bench.ts';
import { KILLS as KILLS_ASKED } from '../support/size.ts';

/** So many kills (more in .ci/run). */
const KILLS = Math.ceil(KILLS_ASKED / 2);
const PAUSES = Math.ceil(KILLS / 3);
const EVENTS = KILLS * 1_000;
const EVENTS_A_SECOND = 1_500;
const PARTITIONS = 6;
const WORKERS = 3;
const AHEAD_MS = 1_000;
const TIMEOUT_MS = 60_000 + KILLS * 4_000;

interface Bench extends AsyncDisposable {
  readonly store: EventStore;
  readonly raw: RawClient;
  readonly pool: WorkerPool;
}

/** Three workers over six partitions, seen by the leases on their delivery. */
async function openBench(): Promise<Bench> {
  const namespace = uniqueNamespace('crash-schedule');
  const raw = await connectRaw();
  const store = await openStore({ namespace, partitions: PARTITIONS });
  const keys = new Keys(namespace, PARTITIONS);
  const leaseKeys = Array.from({ length: PARTITIONS }, (_, partition) => keys.delivery(partition));
  const pool = new WorkerPool(raw, { url: testUrl(), namespace, library: testClient(), leaseMs: LEASE_MS }, leaseKeys);
  await pool.start(WORKERS);
  const close = async (): Promise<void> => (await pool[Symbol.asyncDispose](), await store.close(), raw.close());
  return { store, raw, pool, [Symbol.asyncDispose]: close };
}

/** Schedules events at a steady pace, each for some time after the next second; notes those that were there before their time came. */
class Schedule {
  readonly feeder: Feeder;
  /** When each is due, of those that were acknowledged before: their order is promised. */
  readonly dueInTime = new Map<number, number>();
  readonly #store: EventStore;

  constructor(store: EventStore, total: number) {
    this.#store = store;
    this.feeder = new Feeder((id, n) => this.#schedule(id, n), { total, perSecond: EVENTS_A_SECOND });
  }

  async #schedule(id: string, n: number): Promise<void> {
    const due = Date.now() + AHEAD_MS + Math.floor(Math.random() * AHEAD_MS);
    await this.#store.schedule(counted.stream(id), { type: 'Counted', data: { n } }, { deliverAt: due });
    if (Date.now() < due) this.dueInTime.set(n, due);
  }
}

async function count(store: EventStore): Promise<number> {
  let scheduled = 0;
  for await (const { id } of store.readScheduled()) scheduled += Number(id !== '');
  return scheduled;
}

const keyOf = ({ streamName, data }: Recorded): string => `${streamName.slice(streamName.indexOf(':') + 1)}#${numberOf({ data })}`;
const numberOf = ({ data }: { readonly data: unknown }): number => (data as { readonly n: number }).n;

async function checkDelivered({ store, pool }: Bench, { feeder, dueInTime }: Schedule): Promise<void> {
  await feeder.finish();
  await until('all is delivered', async () => (await count(store)) === 0, 30_000);
  expect(pool.unexpectedEnds).toEqual([]);
  expect(new Set(await pool.stop())).toEqual(new Set([0]));
  const events: Recorded[] = [];
  const last = new Map<string, number>();
  let disordered = 0;
  for await (const event of store.readAll()) {
    events.push(event);
    const due = dueInTime.get(numberOf(event));
    if (due === undefined) continue;
    expect(event.recordedAt.getTime()).toBeGreaterThanOrEqual(due);
    const [, partition = '0'] = event.position.split('@');
    if (due < (last.get(partition) ?? 0)) disordered += 1;
    last.set(partition, due);
  }
  expect(events.length).toBe(feeder.acknowledged.length);
  expect([...versionFaults(events), ...positionFaults(events), ...lossFaults(feeder.acknowledged, events, keyOf)].slice(0, 5)).toEqual([]);
  expect(dueInTime.size).toBeGreaterThan(events.length / 2);
  expect(disordered).toBe(0);
}

describe('three processes that deliver over six partitions', () => {
  test(`deliver every event once and in order when one of them is killed, ${KILLS} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench();
    const schedule = new Schedule(bench.store, EVENTS);
    const took: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const held = await someHeld(bench.pool);
      await bench.pool.kill((held[0] as (typeof held)[number]).worker);
      const restarted = bench.pool.start();
      took.push(...(await bench.pool.takenOver(held, LEASE_MS + 10_000)));
      await restarted;
      await delay(Math.random() * 100);
    }
    await checkDelivered(bench, schedule);
    console.log(`${KILLS} kills, ${schedule.feeder.acknowledged.length} scheduled; taken over after: ${summaryOf(took)}`);
  });

  test(`deliver every event once and in order when one of them is paused past its lease, ${PAUSES} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench();
    const schedule = new Schedule(bench.store, EVENTS / 2);
    for (let pause = 0; pause < PAUSES; pause += 1) {
      const held = await someHeld(bench.pool);
      const [{ worker }] = held as [(typeof held)[number]];
      worker.kill('SIGSTOP');
      await bench.pool.takenOver(held, LEASE_MS + 10_000);
      await delay(Math.random() * 200);
      worker.kill('SIGCONT');
      await delay(Math.random() * 200);
    }
    await checkDelivered(bench, schedule);
  });

  test('share the partitions evenly', { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench();
    await until(
      'each has two',
      async () => {
        const owners = (await bench.pool.owners()).map(({ owner }) => owner);
        return (
          new Set(owners).size === WORKERS &&
          owners.length === PARTITIONS &&
          owners.every((owner) => owners.filter((each) => each === owner).length === 2)
        );
      },
      30_000,
    );
    await new StreamProcessor(bench.store, { leaseMs: LEASE_MS }).runUntilCaughtUp();
  });
});
