// The figure of memory: what an event takes in Redis, everything included.
import { connectBare } from './clients.ts';
import { type Bench, type BenchEngine, info, newNamespace, usedMemory } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { EVENTS_PER_STREAM, forEachNumber, friendAdded, friends, openStore } from './workload.ts';

const EVENTS = 200_000;
const STREAMS = EVENTS / EVENTS_PER_STREAM;

export const memoryFigures: readonly Figure[] = [
  {
    name: 'bytes-an-event',
    what: `growth of used_memory by ${EVENTS.toLocaleString('en')} events of 61 bytes, ten a stream: logs, indexes, head, writer's record, scripts`,
    unit: 'bytes',
    beside: 'a bare XADD of the same fields to one log, without any index',
    aim: 120,
    compare: 'value<=',
    whyNot: ({ engine }) => (engine.isEmbedded ? 'the embedded engine has pointers of 32 bits: its bytes are not those of a server' : undefined),
    open: openMemory,
  },
];

async function openMemory({ engine }: Bench): Promise<Sides> {
  return {
    ours: () => growth(engine, appendAll),
    beside: () => growth(engine, addAll),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Bytes an event. Connections are closed before each look: their buffers are no data. */
async function growth(engine: BenchEngine, write: (engine: BenchEngine, namespace: string) => Promise<void>): Promise<number> {
  const namespace = newNamespace();
  await engine.clear(namespace);
  const before = await usedMemoryAlone(engine);
  try {
    await write(engine, namespace);
    return ((await usedMemoryAlone(engine)) - before) / EVENTS;
  } finally {
    await engine.clear(namespace);
  }
}

async function usedMemoryAlone({ url }: BenchEngine): Promise<number> {
  while (!/^connected_clients:1\r?$/m.test(await info(url, 'clients')) && !process.env['REDIS_URL']);
  return await usedMemory(url);
}

async function appendAll(engine: BenchEngine, namespace: string): Promise<void> {
  await using store = await openStore(engine, namespace, 'node-redis');
  const append = (number: number): Promise<unknown> =>
    store.append(friends.stream(String(number % STREAMS)), friendAdded(number), { expectedVersion: Math.floor(number / STREAMS) });
  await forEachNumber(EVENTS, append);
}

async function addAll({ url }: BenchEngine, namespace: string): Promise<void> {
  const client = await connectBare(url);
  const add = (number: number): Promise<unknown> => {
    const { type, data } = friendAdded(number);
    const version = String(Math.floor(number / STREAMS) + 1);
    return client.xAdd(`{${namespace}:bare}:log`, '*', { type, id: String(number % STREAMS), version, data: JSON.stringify(data) });
  };
  await forEachNumber(EVENTS, add);
  client.destroy();
}
