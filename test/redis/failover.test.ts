// Appends go on by themselves after a primary was killed, in a cluster and by sentinels: each is appended once, or said to be unknown.
import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, isMillraceError, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { startCluster } from '../support/cluster.ts';
import { whyNoEngine } from '../support/engine.ts';
import { project, sums } from '../support/processors.ts';
import { startSentinels } from '../support/sentinel.ts';
import { collect, note, notes, numbersOf } from '../support/store.ts';

const LONG_MS = 90_000;
/** Longer than a failover takes here. */
const TIMEOUT_MS = 30_000;
const STREAMS = 16;

/** What became of the appends, by their numbers. */
interface Outcomes {
  readonly appended: Set<number>;
  /** Of those, the ones that were begun after the failover. */
  readonly later: Set<number>;
  readonly unknown: Set<number>;
}

/** Appends to many streams until told to stop. Anything but a success and an unknown outcome fails the test. */
async function appendThrough(store: EventStore, state: () => 'before' | 'after' | 'over'): Promise<Outcomes> {
  const outcomes: Outcomes = { appended: new Set(), later: new Set(), unknown: new Set() };
  let next = 0;
  const oneStream = async (id: string): Promise<void> => {
    while (state() !== 'over') {
      const n = next++;
      const isLater = state() === 'after';
      try {
        await store.append(notes.stream(id), note(n));
        outcomes.appended.add(n);
        if (isLater) outcomes.later.add(n);
      } catch (error) {
        if (!isMillraceError(error, 'outcome-unknown')) throw error;
        outcomes.unknown.add(n);
      }
      await delay(5);
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, (_, stream) => oneStream(String(stream))));
  return outcomes;
}

/** Runs appends while the primary is killed, and looks at what is there at the end. */
async function check(store: EventStore, failover: () => Promise<unknown>): Promise<Outcomes> {
  let state: 'before' | 'after' | 'over' = 'before';
  const appending = appendThrough(store, () => state);
  await delay(500);
  await failover();
  state = 'after';
  await delay(1_500);
  state = 'over';
  const outcomes = await appending;
  const { appended, later, unknown } = outcomes;

  const found = numbersOf(await collect(store.readAll()));
  expect(new Set(found).size).toBe(found.length);
  expect(found.filter((n) => !appended.has(n) && !unknown.has(n))).toEqual([]);
  expect(later.size).toBeGreaterThan(STREAMS);
  expect([...later].filter((n) => !found.includes(n))).toEqual([]);
  await project(store, sums());
  const documents = await new SnapshotStore(store).getMany(
    sums(),
    Array.from({ length: STREAMS }, (_, id) => String(id)),
  );
  expect([...documents.values()].reduce((total, { count }) => total + count, 0)).toBe(found.length);
  return outcomes;
}

describe.each(['node-redis', 'ioredis'] as const)('after a primary was killed, through %s', (library) => {
  test('appends to a cluster go on at its replica, each once or unknown', { timeout: LONG_MS }, async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using cluster = await startCluster();
    const namespace = uniqueNamespace();
    await using store = await EventStore.connect({ nodes: cluster.urls, library, namespace, partitions: 16, timeoutMs: TIMEOUT_MS });
    await check(store, async () => await cluster.failover(await cluster.ownerOf(new Keys(namespace, 16).head(0))));
  });

  test('appends go on at the replica that the sentinels name, each once or unknown', { timeout: LONG_MS }, async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using setUp = await startSentinels();
    const { sentinels, name } = setUp;
    await using store = await EventStore.connect({ sentinels, name, library, namespace: uniqueNamespace(), timeoutMs: TIMEOUT_MS });
    await check(store, async () => await setUp.failover());
  });
});

test('a replica that takes over in good order costs no append', { timeout: LONG_MS }, async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  await using cluster = await startCluster();
  const namespace = uniqueNamespace();
  await using store = await EventStore.connect({ nodes: cluster.urls, namespace, partitions: 16, timeoutMs: TIMEOUT_MS });
  const { unknown } = await check(store, async () => await cluster.switchOver(await cluster.ownerOf(new Keys(namespace, 16).head(3))));
  expect(unknown).toEqual(new Set());
});
