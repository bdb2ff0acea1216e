// The figure of many streams: whether appending stays as fast when there are a million of them.
import type { EventStore } from 'millrace';
import { type Bench, type BenchEngine, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { forEachNumber, friendAdded, friends, openStore, randomNumbers, rateOf } from './workload.ts';

const FEW = 10_000;
const MANY = 1_000_000;
const WAITING = 1_000;
const SIDE_MS = 700;

export const manyStreamsFigures: readonly Figure[] = [
  {
    name: 'append-1000000-streams',
    what: '1,000 appends waiting at any time, each to any of 1,000,000 streams that exist',
    unit: 'appends/s',
    beside: 'the same with 10,000 streams',
    aim: 0.8,
    compare: 'ratio>=',
    open: openManyAgainstFew,
  },
];

async function openManyAgainstFew(bench: Bench): Promise<Sides> {
  const another = await bench.another();
  const [many, few] = [await openStreams(bench.engine, MANY), await openStreams(another, FEW)];
  return {
    ours: () => many.rate(),
    beside: () => few.rate(),
    [Symbol.asyncDispose]: async () => {
      await many.close();
      await few.close();
      await another[Symbol.asyncDispose]();
    },
  };
}

interface Streams {
  rate(): Promise<number>;
  close(): Promise<void>;
}

async function openStreams(engine: BenchEngine, count: number): Promise<Streams> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'ioredis');
  const versions = new Int32Array(count);
  await forEachNumber(count, (number) => appendTo(store, versions, number));
  const random = randomNumbers(1);
  return {
    rate: () => rateOf(WAITING, SIDE_MS, () => appendTo(store, versions, random(count))),
    close: async () => {
      await store.close();
      await engine.clear(namespace);
    },
  };
}

// Appends are run in the order of the calls, so the version after the last call is the one to expect.
function appendTo(store: EventStore, versions: Int32Array, number: number): Promise<unknown> {
  const version = versions[number] ?? 0;
  versions[number] = version + 1;
  return store.append(friends.stream(String(number)), friendAdded(number), { expectedVersion: version });
}
