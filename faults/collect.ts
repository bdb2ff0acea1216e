// What is there at the end: the log in every way it can be read, every document in every way it can be come by, every decider's state.
import { type EventStore, type Projection, SnapshotStore, StreamProcessor, streamName } from 'millrace';
import type { Documents, Logged } from './checkers/finding.ts';
import {
  type Bucket,
  bucketed,
  bucketOf,
  buckets,
  idOf,
  isProduced,
  NO_BUCKET,
  NO_TALLY,
  type Noted,
  order,
  type Tally,
  tallied,
  tallies,
} from './workload/model.ts';

export interface Content {
  readonly log: readonly Logged[];
  readonly streams: ReadonlyMap<string, readonly Logged[]>;
  readonly documents: readonly Documents[];
  readonly loaded: ReadonlyMap<string, { readonly version: number; readonly state: unknown }>;
}

/** Reads everything, and builds each projection anew beside the one that is stored. */
export async function collect(store: EventStore): Promise<Content> {
  const log = await loggedOf(store.readAll());
  const names = [...new Set(log.map((event) => event.streamName))];
  const streams = new Map<string, readonly Logged[]>();
  for (const name of names) streams.set(name, await loggedOf(store.readStream(streamName(name))));
  return { log, streams, documents: await documentsOf(store, log), loaded: await loadedOf(store, names) };
}

export async function loggedOf(
  events: AsyncIterable<{ readonly streamName: string; readonly streamVersion: number; readonly position: string; readonly data: unknown }>,
): Promise<Logged[]> {
  const logged: Logged[] = [];
  for await (const { streamName: name, streamVersion, position, data } of events)
    logged.push({ streamName: name, streamVersion, position, data: data as Noted });
  return logged;
}

/** The version that the run folds is 1; it is folded again as 2. */
async function documentsOf(store: EventStore, log: readonly Logged[]): Promise<Documents[]> {
  await using processor = new StreamProcessor(store, { projections: [tallies(2), buckets(2)] });
  await processor.runUntilCaughtUp();
  const folds = log.filter(isProduced);
  const [folded, inBuckets] = [talliesOf(folds), bucketsOf(folds)];
  return [
    { how: 'stored tally', found: await stored(store, tallies(1)), folded },
    { how: 'rebuilt tally', found: await stored(store, tallies(2)), folded },
    { how: 'live tally', found: await new SnapshotStore(store).getMany(tallies(1, 'live'), [...folded.keys()]), folded },
    { how: 'stored bucket', found: await stored(store, buckets(1)), folded: inBuckets },
    { how: 'rebuilt bucket', found: await stored(store, buckets(2)), folded: inBuckets },
  ];
}

/** All documents that there are, also those that should not be. */
async function stored<State>(store: EventStore, projection: Projection<State>): Promise<ReadonlyMap<string, State>> {
  const snapshots = new SnapshotStore(store);
  const keys: string[] = [];
  for await (const key of snapshots.keys(projection)) keys.push(key);
  return await snapshots.getMany(projection, keys);
}

function talliesOf(log: readonly Logged[]): Map<string, Tally> {
  const folded = new Map<string, Tally>();
  for (const event of log) folded.set(idOf(event.streamName), tallied(folded.get(idOf(event.streamName)) ?? NO_TALLY, event));
  return folded;
}

function bucketsOf(log: readonly Logged[]): Map<string, Bucket> {
  const folded = new Map<string, Bucket>();
  for (const {
    data: { n },
  } of log)
    folded.set(bucketOf(n), bucketed(folded.get(bucketOf(n)) ?? NO_BUCKET, n));
  return folded;
}

/** By commands that decide nothing: they load a snapshot and its tail. */
async function loadedOf(store: EventStore, names: readonly string[]): Promise<Content['loaded']> {
  const loaded = new Map<string, { version: number; state: unknown }>();
  for (const name of names.filter((each) => each.startsWith('orders:'))) {
    const { streamVersion: version, state } = await store.execute(order, idOf(name), { op: 'look', numbers: [] });
    loaded.set(name, { version, state });
  }
  return loaded;
}
