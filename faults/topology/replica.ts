// A primary and a replica behind an address that moves to the replica when the primary is killed.
import { setTimeout as delay } from 'node:timers/promises';
import { Pair } from '../../test/support/pair.ts';
import { startProxy } from '../../test/support/proxy.ts';
import { networkFaults } from '../inject/network.ts';
import { serverFaults } from '../inject/server.ts';
import type { Fault } from '../schedule.ts';
import { DURABLE } from './single.ts';
import type { Topology } from './topology.ts';

/** In so many of all failovers replication hangs behind: what was acknowledged in the meantime is lost. */
const LOSING = 0.7;
const LOST_MS_MAX = 600;

export async function startReplica(): Promise<Topology> {
  const pair = await Pair.start([...DURABLE, '--repl-diskless-sync-delay', '0']);
  const proxy = await startProxy(pair.primary.url);
  let failovers = 0;
  const failover: Fault = {
    kind: 'failover',
    lane: 'server',
    lastsMs: [200, 3_000],
    async inject(random, lastsMs) {
      const isLosing = random.next() < LOSING;
      if (isLosing) {
        pair.holdReplication();
        await delay(random.below(LOST_MS_MAX));
      }
      failovers += 1;
      await pair.failOver(lastsMs);
      proxy.retarget(pair.primary.url);
      proxy.cut();
      await pair.restartReplica();
    },
  };
  return {
    description: 'a primary and a replica (asynchronous) behind a proxy that moves',
    target: proxy.url,
    partitions: 4,
    get direct() {
      return pair.primary.url;
    },
    elsewhere: undefined,
    faults: [...networkFaults(proxy), ...serverFaults(() => pair.primary), failover],
    unavailable: ['clock jump', 'network partition'].map((kind) => ({ kind, why: 'made with --topology single' })),
    get failovers() {
      return failovers;
    },
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await pair[Symbol.asyncDispose]();
    },
  };
}
