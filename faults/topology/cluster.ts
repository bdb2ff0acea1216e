// A cluster of three primaries and three replicas, whose primaries are killed and whose slots move while they are used.
import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterNode, slotOf, startCluster as start, type TestCluster } from '../../test/support/cluster.ts';
import type { Random } from '../random.ts';
import type { Fault } from '../schedule.ts';
import { DURABLE } from './single.ts';
import type { Topology } from './topology.ts';

export async function startCluster(): Promise<Topology> {
  const cluster = await startWith([...DURABLE, '--cluster-allow-replica-migration', 'no']);
  const nodes = cluster.urls;
  let failovers = 0;
  const failover: Fault = {
    kind: 'failover',
    lane: 'server',
    lastsMs: [0, 2_000],
    async inject(random, lastsMs) {
      failovers += 1;
      const primary = await somePrimary(cluster, random);
      await cluster.failover(primary);
      await delay(lastsMs);
      await cluster.restart(primary);
    },
  };
  return {
    description: 'a cluster of three primaries and three replicas (asynchronous)',
    target: { nodes },
    direct: { nodes },
    partitions: 16,
    elsewhere: undefined,
    faults: [failover, switchOver(cluster), movingSlots(cluster)],
    unavailable: ['clock jump', 'network partition', 'lost replies and cut connections'].map((kind) => ({
      kind,
      why: 'made with --topology single',
    })),
    get failovers() {
      return failovers;
    },
    [Symbol.asyncDispose]: () => cluster.stop(),
  };
}

/** Twelve free ports at once: one of them may be taken in between. */
async function startWith(args: readonly string[], triesLeft = 3): Promise<TestCluster> {
  try {
    return await start({ args });
  } catch (error) {
    if (triesLeft === 1) throw error;
    return await startWith(args, triesLeft - 1);
  }
}

/** In good order: nothing may be lost by it. The replica may give it up after some seconds; then nothing has changed. */
function switchOver(cluster: TestCluster): Fault {
  return {
    kind: 'switch-over',
    lane: 'server',
    lastsMs: [0, 1_000],
    async inject(random, lastsMs) {
      const [replica] = await cluster.replicasOf(await somePrimary(cluster, random));
      if (replica) await cluster.send(replica, 'CLUSTER', 'FAILOVER');
      await delay(lastsMs);
      await cluster.inOrder();
    },
  };
}

/** A slot that is used goes to another primary, key by key. */
function movingSlots(cluster: TestCluster): Fault {
  return {
    kind: 'move a slot',
    lane: 'server',
    lastsMs: [0, 500],
    async inject(random, lastsMs) {
      const [from, to] = await twoOf(await cluster.primaries(), random);
      const key = await cluster.send(from, 'RANDOMKEY');
      if (typeof key === 'string') await cluster.moveSlot(slotOf(key), to, () => delay(lastsMs));
      await cluster.inOrder();
    },
  };
}

/** One that a replica can take over from. */
async function somePrimary(cluster: TestCluster, random: Random): Promise<ClusterNode> {
  const primaries = await cluster.primaries();
  const replicas = await Promise.all(primaries.map((primary) => cluster.replicasOf(primary)));
  return random.pick(primaries.filter((_, index) => (replicas[index] ?? []).length > 0));
}

async function twoOf(primaries: readonly ClusterNode[], random: Random): Promise<readonly [ClusterNode, ClusterNode]> {
  const from = random.pick(primaries);
  return [from, random.pick(primaries.filter((node) => node !== from))];
}
