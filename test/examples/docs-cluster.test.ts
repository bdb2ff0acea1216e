// The documents' code about a cluster and sentinels runs as it stands there.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, SnapshotStore } from 'millrace';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as code from '../../examples/docs/cluster.ts';
import { Keys } from '../../src/redis/keys.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { slotOf, startCluster, type TestCluster } from '../support/cluster.ts';
import { whyNoEngine } from '../support/engine.ts';
import { project, sums } from '../support/processors.ts';
import { startSentinels, type TestSentinels } from '../support/sentinel.ts';
import { collect, note, notes } from '../support/store.ts';

const PASSWORD = 'geheim';
const LONG_MS = 60_000;
const why = whyNoEngine();

beforeEach(({ skip }) => {
  if (why !== undefined) skip(why);
});

let cluster: TestCluster;
let setUp: TestSentinels;

beforeAll(async () => {
  if (why !== undefined) return;
  [cluster, setUp] = await Promise.all([startCluster({ password: PASSWORD }), startSentinels({ password: PASSWORD, sentinelPassword: 'auch' })]);
}, LONG_MS);

afterAll(async () => {
  await Promise.all([cluster?.stop(), setUp?.stop()]);
}, LONG_MS);

describe('the code about clusters', () => {
  test('opens a store by nodes, and by sentinels', async () => {
    const passwords = { servers: PASSWORD, sentinels: 'auch' };
    const bare = cluster.urls.map((url) => `redis://${new URL(url).host}`);
    for (const opening of [code.byNodes(bare, PASSWORD, uniqueNamespace()), code.bySentinels(setUp.sentinels, passwords, uniqueNamespace())]) {
      await using store = await opening;
      expect((await store.append(notes.stream('1'), note(1))).streamVersion).toBe(1);
    }
  });

  test('opens a store as an ACL user with the rules that are shown, and two more', async () => {
    const rules = readFileSync(new URL('../../examples/docs/user.acl', import.meta.url), 'utf8')
      .trim()
      .split(' ')
      .slice(1);
    for (const node of cluster.nodes) await cluster.send(node, 'ACL', 'SETUSER', ...rules, '+cluster|slots', '+asking');
    const nodes = cluster.urls.map((url) => `redis://shop:a-password@${new URL(url).host}`);
    await using store = await EventStore.connect({ nodes, namespace: 'shop', partitions: 16 });
    for (let id = 0; id < 40; id += 1) await store.append(notes.stream(String(id)), note(1));
    await project(store, sums());
    expect(await new SnapshotStore(store).get(sums(), '7')).toEqual({ count: 1, sum: 1 });
    const key = new Keys('shop', 16).head(0);
    const owner = await cluster.ownerOf(key);
    const other = (await cluster.primaries()).find((node) => node !== owner) ?? expect.fail('expected another primary');
    let reading: Promise<unknown> = Promise.resolve();
    await cluster.moveSlot(slotOf(key), other, async () => {
      // What stands there by halves is waited for.
      reading = collect(store.readAll());
      await delay(100);
    });
    expect(await reading).toHaveLength(40);
  });

  test('opens a store over clients of either library', async () => {
    const passwords = { servers: PASSWORD, sentinels: 'auch' };
    const sentinel = new URL(setUp.sentinels[0] ?? '');
    await code.overClusterOfNodeRedis(cluster.urls[0] ?? '', PASSWORD, uniqueNamespace());
    await code.overClusterOfIoredis(cluster.urls[0] ?? '', PASSWORD, uniqueNamespace());
    await code.overSentinelOfNodeRedis(sentinel.hostname, Number(sentinel.port), passwords, uniqueNamespace());
    await code.overSentinelOfIoredis(sentinel.hostname, Number(sentinel.port), passwords, uniqueNamespace());
  });
});
