// Figures of durability: what it costs to wait for the disk, or for a replica, beside the server's own answer.
import { setTimeout as delay } from 'node:timers/promises';
import { type Durability, EventStore } from 'millrace';
import { appender } from './append.ts';
import { connectBare } from './clients.ts';
import { type Bench, type BenchEngine, NEEDS_SERVER_PROGRAM, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { inTime, rateOf } from './workload.ts';

const WAITING = 50;
const SIDE_MS = 700;
const LOOK_MS = 20;
const WAIT_MS = 5_000;

export const durableFigures: readonly Figure[] = [
  {
    name: 'append-durable-fsync',
    what: `${WAITING} appends waiting at any time, durability 'fsync', on a server with appendfsync always`,
    beside: "the same with durability 'server', on the same server",
    ...common((bench) => openFsync(bench)),
  },
  {
    name: 'append-durable-replica',
    what: `${WAITING} appends waiting at any time, durability { replicas: 1 }, on a server with one replica`,
    beside: "the same with durability 'server', on the same server",
    ...common((bench) => openReplica(bench)),
  },
];

function common(open: Figure['open']): Pick<Figure, 'unit' | 'aim' | 'compare' | 'roundsMax' | 'whyNot' | 'open'> {
  const whyNot = ({ hasServerProgram }: Bench): string | undefined => (hasServerProgram ? undefined : NEEDS_SERVER_PROGRAM);
  return { unit: 'appends/s', aim: null, compare: 'ratio>=', roundsMax: 5, whyNot, open };
}

async function openFsync(bench: Bench): Promise<Sides> {
  const engine = await bench.fsyncing();
  return await openSides(engine, 'fsync', [engine]);
}

async function openReplica(bench: Bench): Promise<Sides> {
  const args = ['--appendonly', 'no', '--repl-diskless-sync-delay', '0'];
  const [primary, replica] = [await bench.server(...args), await bench.server(...args)];
  const client = await connectBare(replica.url);
  await client.sendCommand(['REPLICAOF', '127.0.0.1', new URL(primary.url).port]);
  const follows = async (): Promise<void> => {
    while (!(await client.info('replication')).includes('master_link_status:up')) await delay(LOOK_MS);
  };
  await inTime(follows(), () => 'the replica does not follow');
  client.destroy();
  return await openSides(primary, { replicas: 1, timeoutMs: WAIT_MS }, [replica, primary]);
}

/** An append that is not confirmed rejects, and with it the figure. */
async function openSides(engine: BenchEngine, durability: Durability, engines: readonly BenchEngine[]): Promise<Sides> {
  const open = (options: { readonly durability?: Durability }): Promise<EventStore> =>
    EventStore.connect(engine.url, { library: 'ioredis', namespace: newNamespace(), ...options });
  const [durable, plain] = [await open({ durability }), await open({})];
  const [appendDurable, appendPlain] = [appender(durable, WAITING), appender(plain, WAITING)];
  return {
    ours: () => rateOf(WAITING, SIDE_MS, appendDurable),
    beside: () => rateOf(WAITING, SIDE_MS, appendPlain),
    [Symbol.asyncDispose]: async () => {
      for (const store of [durable, plain]) await store.close();
      for (const each of engines) await each[Symbol.asyncDispose]();
    },
  };
}
