// In a cluster an append waits for the replicas of the node that its partition lies on, and for no others.
import { EventStore } from 'millrace';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { testClient, uniqueNamespace } from '../support/clients.ts';
import { startCluster, type TestCluster, until } from '../support/cluster.ts';
import { whyNoEngine } from '../support/engine.ts';
import { collect, note, notes, numbersOf } from '../support/store.ts';

const PARTITIONS = 8;
const IDS = Array.from({ length: 40 }, (_, index) => String(index));

describe('in a cluster', { timeout: 90_000 }, () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why) skip(why);
  });

  let cluster: TestCluster;

  beforeAll(async () => {
    if (whyNoEngine()) return;
    cluster = await startCluster({ args: ['--appendfsync', 'always', '--cluster-node-timeout', '30000'] });
    await until('each primary has its replica', async () => {
      const primaries = await cluster.primaries();
      return primaries.length === 3 && (await Promise.all(primaries.map((node) => cluster.replicasOf(node)))).every(({ length }) => length === 1);
    });
  }, 90_000);

  afterAll(() => (whyNoEngine() ? undefined : cluster.stop()));

  test('an append waits for the replica of the node that its partition lies on, and for no other', async () => {
    const namespace = uniqueNamespace();
    await using store = await EventStore.connect({
      nodes: cluster.urls,
      library: testClient(),
      namespace,
      partitions: PARTITIONS,
      durability: { replicas: 1, timeoutMs: 500 },
    });
    const append = async (id: string): Promise<string> => {
      try {
        await store.append(notes.stream(id), note(Number(id)));
        return 'confirmed';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(new Set(await Promise.all(IDS.map(append)))).toEqual(new Set(['confirmed']));
    const [primary] = await cluster.primaries();
    const [replica] = primary ? await cluster.replicasOf(primary) : [];
    if (!primary || !replica) throw new Error('expected a primary with a replica');
    const keys = new Keys(namespace, PARTITIONS);
    const owners = await Promise.all(IDS.map((id) => cluster.ownerOf(keys.head(keys.partitionOf(id)))));
    replica.engine.pause();
    const outcomes = await Promise.all(IDS.map(append));
    replica.engine.resume();
    expect(outcomes).toEqual(owners.map((owner) => (owner.id === primary.id ? 'unconfirmed' : 'confirmed')));
    expect(new Set(outcomes).size).toBe(2);
    expect(numbersOf(await collect(store.readAll()))).toHaveLength(2 * IDS.length);
  });

  test("'fsync' looks at each node", async () => {
    await using store = await EventStore.connect({
      nodes: cluster.urls,
      library: testClient(),
      namespace: uniqueNamespace(),
      partitions: PARTITIONS,
      durability: 'fsync',
    });
    await Promise.all(IDS.map((id) => store.append(notes.stream(id), note(Number(id)))));
    expect(await collect(store.readAll())).toHaveLength(IDS.length);
    const [, second] = await cluster.primaries();
    if (!second) throw new Error('expected a second primary');
    await cluster.send(second, 'CONFIG', 'SET', 'appendfsync', 'no');
    const opened = EventStore.connect({
      nodes: cluster.urls,
      library: testClient(),
      partitions: PARTITIONS,
      namespace: uniqueNamespace(),
      durability: 'fsync',
    });
    await expect(opened).rejects.toMatchObject({ code: 'unsuitable-server' });
  });
});
