// A cluster and a Sentinel set-up of a test's own: slots move with their keys, and a replica takes over.
import { expect, test } from 'vitest';
import { startCluster, slotOf } from './cluster.ts';
import { whyNoEngine } from './engine.ts';
import { startSentinels } from './sentinel.ts';

const LONG_MS = 90_000;

test('a slot moves with its keys, and stands half here and half there in between', { timeout: LONG_MS }, async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  await using cluster = await startCluster({ password: 'geheim' });
  const slot = slotOf('{a}');
  const from = await cluster.ownerOf('{a}');
  const to = (await cluster.primaries()).find((node) => node !== from);
  if (!to) return expect.fail('expected three primaries');
  for (let n = 0; n < 5; n += 1) await cluster.send(from, 'SET', `{a}:${n}`, String(n));
  await cluster.moveSlot(slot, to, async () => {
    const here = (await cluster.send(from, 'CLUSTER', 'COUNTKEYSINSLOT', String(slot))) as number;
    const there = (await cluster.send(to, 'CLUSTER', 'COUNTKEYSINSLOT', String(slot))) as number;
    expect([here, there]).toEqual([3, 2]);
    const keys = Array.from({ length: 5 }, (_, n) => `{a}:${n}`);
    await expect(cluster.send(from, 'MGET', ...keys)).rejects.toThrow('TRYAGAIN');
  });
  expect(await cluster.ownerOf(slot)).toBe(to);
  expect(await cluster.send(to, 'GET', '{a}:3')).toBe('3');
  await expect(cluster.send(from, 'GET', '{a}:3')).rejects.toThrow('MOVED');
});

test('in a cluster a replica takes over from a primary that was killed, which comes back as its replica', { timeout: LONG_MS }, async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  await using cluster = await startCluster();
  const primary = await cluster.ownerOf('a');
  const next = await cluster.failover(primary);
  expect(next).not.toBe(primary);
  expect(await cluster.send(next, 'SET', 'a', '1')).toBe('OK');
  await cluster.restart(primary);
  expect(await cluster.replicasOf(next)).toContain(primary);
  expect(await cluster.switchOver(next)).toBe(primary);
});

test('sentinels let a replica take over from a primary that was killed', { timeout: LONG_MS }, async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  await using setUp = await startSentinels({ password: 'geheim', sentinelPassword: 'auch' });
  const primary = await setUp.primary();
  const next = await setUp.failover();
  expect(next).not.toBe(primary);
  expect(await setUp.send(next, 'SET', 'a', '1')).toBe('OK');
  await setUp.restart(primary);
  expect(String(await setUp.send(primary, 'INFO', 'replication'))).toContain('role:slave');
});
