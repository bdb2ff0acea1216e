// The bench of the crash tests: worker processes, uneven events at a steady pace, and the final count.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, SnapshotStore, StreamProcessor } from 'millrace';
import { expect } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { documentFaults, foldAll, lossFaults, positionFaults, type Recorded, versionFaults } from '../support/history.ts';
import { until } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { type HeldLease, WorkerPool } from '../support/workers.ts';
import { type Bucket, bucketOf, buckets, NO_BUCKET, NO_TALLY, tallied, tallies } from '../workers/tally.ts';

const STREAMS = 2_000;
const PARTITIONS = 6;
const WORKERS = 3;

/** Short, so that many takeovers fit a test. */
export const LEASE_MS = 500;

/** Uneven: the first stream gets hundreds of times as many events as the last ones. */
function unevenId(): string {
  return String(Math.floor(STREAMS ** Math.random()) - 1);
}

/** Appends so many events a second until told to stop and there are enough; what was acknowledged comes back, by id and number. */
export class Feeder {
  readonly acknowledged: string[] = [];
  readonly #append: (id: string, n: number) => Promise<void>;
  readonly #done: Promise<void>;
  #appended = 0;
  #isStopping = false;

  constructor(append: (id: string, n: number) => Promise<void>, { total, perSecond }: { readonly total: number; readonly perSecond: number }) {
    this.#append = append;
    this.#done = this.#run(total, perSecond);
  }

  async #run(total: number, perSecond: number): Promise<void> {
    const startedAt = performance.now();
    while (this.#appended < total || !this.#isStopping) {
      const due = this.#isStopping ? total : ((performance.now() - startedAt) * perSecond) / 1_000;
      const count = Math.min(1_000, Math.floor(due) - this.#appended);
      await Promise.all([...Array.from({ length: Math.max(0, count) }, () => this.#appendOne(this.#appended++)), delay(10)]);
    }
  }

  async #appendOne(n: number): Promise<void> {
    const id = unevenId();
    await this.#append(id, n);
    this.acknowledged.push(`${id}#${n}`);
  }

  /** Appends what is missing up to the total, at once. */
  async finish(): Promise<void> {
    this.#isStopping = true;
    await this.#done;
  }
}

const keyOf = ({ streamName, data }: Recorded): string => `${streamName.slice(streamName.indexOf(':') + 1)}#${(data as { n: number }).n}`;

/** Waits until everything is folded, ends the workers, and compares what is stored with what was appended. */
export async function checkExact({ store, pool }: Bench, acknowledged: readonly string[]): Promise<void> {
  const onlooker = new StreamProcessor(store, { projections: [tallies, buckets] });
  await until('all is folded', async () => (await onlooker.progress()).projections.every(({ lagEvents }) => lagEvents === 0), 30_000);
  expect(pool.unexpectedEnds).toEqual([]);
  expect(new Set(await pool.stop())).toEqual(new Set([0]));
  const events: Recorded[] = [];
  for await (const event of store.readAll()) events.push(event);
  expect(events.length).toBe(acknowledged.length);
  expect([...versionFaults(events), ...positionFaults(events), ...lossFaults(acknowledged, events, keyOf)].slice(0, 5)).toEqual([]);
  const expected = foldAll(events, NO_TALLY, (tally, { streamVersion, data }) => tallied(tally, streamVersion, (data as { n: number }).n));
  const documents = await new SnapshotStore(store).getMany(
    tallies,
    Array.from({ length: STREAMS }, (_, id) => String(id)),
  );
  expect(documentFaults(documents, expected).slice(0, 5)).toEqual([]);
  expect(
    documentFaults(
      await new SnapshotStore(store).getMany(
        buckets,
        Array.from({ length: 100 }, (_, n) => bucketOf(n)),
      ),
      expectedBuckets(events),
    ),
  ).toEqual([]);
  const total = [...documents.values()].reduce((sum, { count, faults }) => ({ count: sum.count + count, faults: sum.faults + faults }), {
    count: 0,
    faults: 0,
  });
  expect(total).toEqual({ count: acknowledged.length, faults: 0 });
}

function expectedBuckets(events: readonly Recorded[]): Map<string, Bucket> {
  const expected = new Map<string, Bucket>();
  for (const { data } of events) {
    const { n } = data as { n: number };
    const { count, sum } = expected.get(bucketOf(n)) ?? NO_BUCKET;
    expected.set(bucketOf(n), { count: count + 1, sum: sum + n });
  }
  return expected;
}

export interface Bench extends AsyncDisposable {
  readonly store: EventStore;
  readonly raw: RawClient;
  readonly pool: WorkerPool;
}

/** Three workers over six partitions. With a source they import it, and its lease is the one that is looked at. */
export async function openBench(sourceKey?: string): Promise<Bench> {
  const namespace = uniqueNamespace('crash');
  const raw = await connectRaw();
  const store = await openStore({ namespace, partitions: PARTITIONS });
  const keys = new Keys(namespace, PARTITIONS);
  const checkpoints = Array.from({ length: PARTITIONS }, (_, partition) => keys.checkpoint(partition, tallies.name, tallies.version));
  const leaseKeys = sourceKey === undefined ? checkpoints : [keys.source(0, sourceKey)];
  const settings = { url: testUrl(), namespace, library: testClient(), leaseMs: LEASE_MS, ...(sourceKey === undefined ? {} : { sourceKey }) };
  const pool = new WorkerPool(raw, settings, leaseKeys);
  await pool.start(WORKERS);
  const close = async (): Promise<void> => (await pool[Symbol.asyncDispose](), await store.close(), raw.close());
  return { store, raw, pool, [Symbol.asyncDispose]: close };
}

/** All leases of a worker that holds one at this moment, whichever worker that is. */
export async function someHeld(pool: WorkerPool): Promise<readonly HeldLease[]> {
  let held: readonly HeldLease[] = [];
  await until('a worker holds a lease', async () => (held = await pool.held()).length > 0);
  const chosen = held[Math.floor(Math.random() * held.length)] as HeldLease;
  return held.filter(({ worker }) => worker === chosen.worker);
}
