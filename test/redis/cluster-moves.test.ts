// Slots that move while events are appended and projected lose nothing and double nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, projection, SnapshotStore, StreamProcessor } from 'millrace';
import { expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { slotOf, startCluster, type TestCluster } from '../support/cluster.ts';
import { whyNoEngine } from '../support/engine.ts';
import { lists, project } from '../support/processors.ts';
import { collect, note, notes, numbersOf } from '../support/store.ts';

const PARTITIONS = 16;
const STREAMS = 48;
const MOVES = 12;
const DIGITS = 10;

/** Counts the notes by their last digit: each document gets events of all partitions. */
const byDigit = projection({
  name: 'by-digit',
  categories: [notes],
  key: ({ data }) => String(data.n % DIGITS),
  initialState: () => ({ count: 0, sum: 0 }),
  evolve: ({ count, sum }, { data }) => ({ count: count + 1, sum: sum + data.n }),
});

/** Appends until told to stop; what was appended to which stream. Any failure fails the test: a move loses nothing. */
async function append(stores: readonly EventStore[], isOver: () => boolean): Promise<ReadonlyMap<string, number[]>> {
  const appended = new Map<string, number[]>();
  let next = 0;
  const oneStream = async (stream: number): Promise<void> => {
    const [id, store] = [String(stream), stores[stream % stores.length] as EventStore];
    const mine: number[] = [];
    appended.set(id, mine);
    while (!isOver()) {
      const n = next;
      next += 1;
      // A sending that was run twice would be a conflict, or a version too many.
      await store.append(notes.stream(id), note(n), { expectedVersion: mine.length });
      mine.push(n);
      await delay(2);
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, (_, stream) => oneStream(stream)));
  return appended;
}

async function moveSlots(cluster: TestCluster, namespace: string): Promise<void> {
  const keys = new Keys(namespace, PARTITIONS);
  for (let move = 0; move < MOVES; move += 1) {
    const slot = slotOf(keys.head((move * 5) % PARTITIONS));
    const owner = await cluster.ownerOf(slot);
    const others = (await cluster.primaries()).filter((node) => node !== owner);
    await cluster.moveSlot(slot, others[move % others.length] ?? owner, () => delay(50));
  }
}

test('slots that move while events are appended, projected and followed lose nothing and double nothing', { timeout: 90_000 }, async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  await using cluster = await startCluster({ replicas: 0 });
  const namespace = uniqueNamespace();
  const { urls: nodes } = cluster;
  const timeoutMs = 15_000;
  await using one = await EventStore.connect({ nodes, library: 'node-redis', namespace, partitions: PARTITIONS, timeoutMs });
  await using two = await EventStore.connect({ nodes, library: 'ioredis', namespace, timeoutMs });
  await using first = new StreamProcessor(one, { projections: [byDigit, lists()] });
  await using second = new StreamProcessor(two, { projections: [byDigit, lists()] });
  for (const processor of [first, second]) processor.start();
  const subscription = await two.subscribe({ categories: [notes] });
  const followed: number[] = [];
  const following = (async () => {
    for await (const { data } of subscription) followed.push(data.n);
  })();

  let isOver = false;
  const appending = append([one, two], () => isOver);
  await moveSlots(cluster, namespace);
  isOver = true;
  const appended = await appending;

  const numbers = [...appended.values()].flat().sort((a, b) => a - b);
  expect(numbers.length).toBeGreaterThan(STREAMS * MOVES);
  expect(numbers).toEqual(Array.from(numbers, (_, n) => n));
  expect(numbersOf(await collect(one.readAll())).sort((a, b) => a - b)).toEqual(numbers);
  await first.runUntilCaughtUp();
  const snapshots = new SnapshotStore(two);
  for (const [id, mine] of appended) expect(await snapshots.get(lists(), id)).toEqual(mine);
  const digits = [
    ...(
      await snapshots.getMany(
        byDigit,
        Array.from({ length: DIGITS }, (_, digit) => String(digit)),
      )
    ).values(),
  ];
  expect(digits.reduce((total, { count }) => total + count, 0)).toBe(numbers.length);
  expect(digits.reduce((total, { sum }) => total + sum, 0)).toBe(numbers.reduce((total, n) => total + n, 0));
  await expect.poll(() => followed.length, { timeout: 10_000 }).toBe(numbers.length);
  await subscription.return();
  await following;
  expect(followed.sort((a, b) => a - b)).toEqual(numbers);
  const keys = [];
  for await (const key of snapshots.keys(lists())) keys.push(key);
  expect(keys.sort()).toEqual([...appended.keys()].sort());
});

test('the keys of documents are all found, also while their slot stands half here and half there', { timeout: 90_000 }, async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  await using cluster = await startCluster({ replicas: 0 });
  const namespace = uniqueNamespace();
  await using store = await EventStore.connect({ nodes: cluster.urls, namespace, partitions: 1 });
  const ids = Array.from({ length: 200 }, (_, id) => String(id)).sort();
  await Promise.all(ids.map((id) => store.append(notes.stream(id), note(1))));
  await project(store, lists());
  const found: string[] = [];
  let finding: Promise<void> = Promise.resolve();
  const find = async (): Promise<void> => {
    for await (const key of new SnapshotStore(store).keys(lists())) found.push(key);
  };
  const slot = slotOf(new Keys(namespace, 1).head(0));
  const owner = await cluster.ownerOf(slot);
  const other = (await cluster.primaries()).find((node) => node !== owner);
  if (!other) return expect.fail('expected another primary');
  await cluster.moveSlot(slot, other, async () => {
    finding = find();
    await delay(300);
  });
  await finding;
  expect(found.sort()).toEqual(ids);
  // Nobody has told this client yet that the slot moved on.
  await cluster.moveSlot(slot, owner);
  found.length = 0;
  await find();
  expect(found.sort()).toEqual(ids);
});
