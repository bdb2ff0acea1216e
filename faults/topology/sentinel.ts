// A primary, a replica and three sentinels, which find a new primary when that one is killed, or paused for too long.
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../test/support/cluster.ts';
import { startSentinels, type TestSentinels } from '../../test/support/sentinel.ts';
import type { Fault } from '../schedule.ts';
import { DURABLE } from './single.ts';
import type { Topology } from './topology.ts';

/** Longer than the sentinels wait before they call a primary dead. */
const PAUSE_MS = [500, 5_000] as const;

export async function startSentinel(): Promise<Topology> {
  const setUp = await startSentinels({ args: DURABLE });
  const { sentinels, name } = setUp;
  let failovers = 0;
  const faults: readonly Fault[] = [
    {
      kind: 'failover',
      lane: 'server',
      lastsMs: [0, 2_000],
      async inject(_, lastsMs) {
        failovers += 1;
        const before = await setUp.primary();
        await setUp.failover();
        await delay(lastsMs);
        await setUp.restart(before);
      },
    },
    {
      kind: 'pause the primary',
      lane: 'server',
      lastsMs: PAUSE_MS,
      async inject(_, lastsMs) {
        failovers += 1; // or not: the sentinels decide
        const paused = await setUp.primary();
        paused.pause();
        await delay(lastsMs);
        paused.resume();
        await inOrder(setUp);
      },
    },
    {
      kind: 'pause the replica',
      lane: 'server',
      lastsMs: PAUSE_MS,
      async inject(_, lastsMs) {
        const primary = await setUp.primary();
        const paused = setUp.servers.find((server) => server !== primary);
        paused?.pause();
        await delay(lastsMs);
        paused?.resume();
        await inOrder(setUp);
      },
    },
  ];
  return {
    description: 'a primary, a replica (asynchronous) and three sentinels',
    target: { sentinels, name },
    direct: { sentinels, name },
    partitions: 4,
    elsewhere: undefined,
    faults,
    unavailable: ['clock jump', 'network partition', 'lost replies and cut connections'].map((kind) => ({
      kind,
      why: 'made with --topology single',
    })),
    get failovers() {
      return failovers;
    },
    [Symbol.asyncDispose]: () => setUp.stop(),
  };
}

/** A primary that was paused learns only later that another one took its place. */
async function inOrder(setUp: TestSentinels): Promise<void> {
  await until('one primary is left, and the other server follows it', async () => {
    const told = await Promise.all(setUp.servers.map(async (server) => String(await setUp.send(server, 'INFO', 'replication'))));
    const primaries = told.filter((info) => /^role:master/m.test(info)).length;
    return primaries === 1 && told.every((info) => /^role:master|^master_link_status:up/m.test(info));
  });
}
