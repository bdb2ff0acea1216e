// Figures of appending: how many a second, against bare XADD through the same client library.
import { Redis } from 'ioredis';
import type { EventStore } from 'millrace';
import { type Bench, type BenchEngine, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { EVENTS_PER_STREAM, friendAdded, friends, openStore, rateOf } from './workload.ts';

const SIDE_MS = 700;
const AT_ONCE = 10;

interface AppendFigure {
  readonly name: string;
  readonly waiting: number;
  readonly aim: number;
  readonly isAutoPipelined: boolean;
}

const waiting: readonly AppendFigure[] = [
  { name: 'append-1000-waiting', waiting: 1_000, aim: 2.5, isAutoPipelined: true },
  { name: 'append-50-waiting', waiting: 50, aim: 1.4, isAutoPipelined: true },
  { name: 'append-alone', waiting: 1, aim: 0.85, isAutoPipelined: false },
];

export const appendFigures: readonly Figure[] = [
  ...waiting.map(
    (figure): Figure => ({
      name: figure.name,
      what: figure.waiting === 1 ? 'one append at a time' : `${figure.waiting} appends waiting at any time`,
      unit: 'appends/s',
      beside: figure.isAutoPipelined ? 'bare XADD of the same fields, ioredis with auto-pipelining' : 'a lone bare XADD of the same fields, ioredis',
      aim: figure.aim,
      compare: 'ratio>=',
      open: (bench) => openSides(bench.engine, figure),
    }),
  ),
  {
    name: 'append-10-at-once',
    what: 'one append of ten events at a time',
    unit: 'events/s',
    beside: 'a pipeline of ten XADD of the same fields, ioredis',
    aim: 1,
    compare: 'ratio>=',
    open: openTenAtOnce,
  },
  {
    name: 'append-fsync-always',
    what: '50 appends waiting at any time, each on the disk before it is answered',
    unit: 'appends/s',
    beside: 'bare XADD of the same fields there, ioredis with auto-pipelining',
    aim: 1,
    compare: 'ratio>=',
    whyNot: ({ hasServerProgram }) =>
      hasServerProgram ? undefined : 'needs a server program on the PATH (or MILLRACE_ENGINE_FOLDER): the embedded engine writes to no disk',
    open: openFsyncAlways,
  },
];

/** What both sides work on; closed together. */
interface Opened {
  readonly store: EventStore;
  readonly client: Redis;
  readonly log: string;
  readonly close: () => Promise<void>;
}

async function openBoth(engine: BenchEngine, isAutoPipelined: boolean): Promise<Opened> {
  const namespace = newNamespace();
  const client = new Redis(engine.url, { enableAutoPipelining: isAutoPipelined });
  const store = await openStore(engine, namespace, 'ioredis');
  return {
    store,
    client,
    log: `{${namespace}:bare}:log`,
    close: async () => {
      await store.close();
      client.disconnect();
      await engine.clear(namespace);
    },
  };
}

async function openSides(engine: BenchEngine, figure: Pick<AppendFigure, 'waiting' | 'isAutoPipelined'>): Promise<Sides> {
  const { store, client, log, close } = await openBoth(engine, figure.isAutoPipelined);
  const appendOne = appender(store, figure.waiting);
  let added = 0;
  const addOne = (): Promise<unknown> => xadd(client, log, added++);
  return {
    ours: () => rateOf(figure.waiting, SIDE_MS, appendOne),
    beside: () => rateOf(figure.waiting, SIDE_MS, addOne),
    [Symbol.asyncDispose]: close,
  };
}

/** Each worker fills streams of its own, ten events each, from `first` on, and says at which version it expects them. */
export function appender(store: EventStore, workers: number, first = 0): (worker: number) => Promise<unknown> {
  const counts = new Int32Array(workers);
  return (worker) => {
    const count = counts[worker] ?? 0;
    counts[worker] = count + 1;
    const number = first + worker + Math.floor(count / EVENTS_PER_STREAM) * workers;
    return store.append(friends.stream(String(number)), friendAdded(number), { expectedVersion: count % EVENTS_PER_STREAM });
  };
}

function xadd(client: Redis, log: string, number: number): Promise<unknown> {
  return client.xadd(log, '*', ...fieldsOf(number));
}

function fieldsOf(number: number): string[] {
  const { type, data } = friendAdded(number);
  const id = String(Math.floor(number / EVENTS_PER_STREAM));
  return ['type', type, 'id', id, 'version', String((number % EVENTS_PER_STREAM) + 1), 'data', JSON.stringify(data)];
}

async function openTenAtOnce({ engine }: Bench): Promise<Sides> {
  const { store, client, log, close } = await openBoth(engine, false);
  const numbers = Array.from({ length: AT_ONCE }, (_, index) => index);
  let streams = 0;
  const appendTen = (): Promise<unknown> =>
    store.append(friends.stream(String(streams++)), numbers.map(friendAdded), { expectedVersion: 'no-stream' });
  let added = 0;
  const addTen = async (): Promise<void> => {
    const pipeline = client.pipeline();
    for (const _ of numbers) pipeline.xadd(log, '*', ...fieldsOf(added++));
    await pipeline.exec();
  };
  return {
    ours: async () => AT_ONCE * (await rateOf(1, SIDE_MS, appendTen)),
    beside: async () => AT_ONCE * (await rateOf(1, SIDE_MS, addTen)),
    [Symbol.asyncDispose]: close,
  };
}

async function openFsyncAlways(bench: Bench): Promise<Sides> {
  const engine = await bench.fsyncing();
  const sides = await openSides(engine, { waiting: 50, isAutoPipelined: true });
  return {
    ...sides,
    [Symbol.asyncDispose]: async () => {
      await sides[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}
