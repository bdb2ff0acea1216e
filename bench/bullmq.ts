// Figures of reactors beside BullMQ: the same work over the same client library, as many handlers at a time.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { EventStore } from 'millrace';
import { type BenchEngine, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { Handled, reactTo } from './react.ts';
import { EVENTS_PER_STREAM, forEachNumber, friendAdded, friends, inTime, openStore, secondsOf } from './workload.ts';

const EVENTS = 20_000;
const AT_ONCE = 100;

export const bullmqFigures: readonly Figure[] = [
  {
    name: 'react-bullmq',
    what: `a reactor with order 'none' and an empty handler, ${AT_ONCE} at a time, over ${EVENTS.toLocaleString('en')} events that are there, ioredis`,
    unit: 'events/s',
    beside: `a BullMQ worker with an empty processor, concurrency ${AT_ONCE}, over as many jobs that are there, ioredis`,
    aim: null,
    roundsMax: 5,
    compare: 'ratio>=',
    open: ({ engine }) => openSides(engine, 'before'),
  },
  {
    name: 'append-and-react-bullmq',
    what: `the same, and the events are appended meanwhile, 1,000 waiting`,
    unit: 'events/s',
    beside: 'the same worker, and the jobs are added meanwhile by queue.add, 1,000 waiting',
    aim: null,
    roundsMax: 5,
    compare: 'ratio>=',
    open: ({ engine }) => openSides(engine, 'meanwhile'),
  },
];

/** Whether what is handled was put there before the time is taken, or within it. */
type Filled = 'before' | 'meanwhile';

async function openSides(engine: BenchEngine, filled: Filled): Promise<Sides> {
  const connection = new Redis(engine.url, { maxRetriesPerRequest: null });
  return {
    ours: () => rateOfReactor(engine, filled),
    beside: () => rateOfWorker(connection, filled),
    [Symbol.asyncDispose]: async () => connection.disconnect(),
  };
}

/** Each round has a store of its own, as it has a queue of its own: both begin empty. */
async function rateOfReactor(engine: BenchEngine, filled: Filled): Promise<number> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'ioredis');
  try {
    await append(store, 0, filled === 'before' ? EVENTS : 1);
    const react = (): Promise<void> => reactTo(store, EVENTS, { name: 'empty', order: 'none', concurrency: AT_ONCE });
    return EVENTS / (await secondsOf(() => Promise.all([react(), filled === 'before' ? undefined : append(store, 1, EVENTS)])));
  } finally {
    await store.close();
    await engine.clear(namespace);
  }
}

function append(store: EventStore, from: number, to: number): Promise<void> {
  return forEachNumber(to - from, (index) => {
    const number = from + index;
    return store.append(friends.stream(String(number % (EVENTS / EVENTS_PER_STREAM))), friendAdded(number));
  });
}

async function rateOfWorker(connection: Redis, filled: Filled): Promise<number> {
  const name = newNamespace();
  const queue = new Queue(name, { connection });
  const handled = new Handled(EVENTS);
  const process = async ({ data }: { readonly data: { readonly friendId: string } }): Promise<void> => handled.note(data);
  const worker = new Worker(name, process, { connection, concurrency: AT_ONCE, autorun: false });
  try {
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    await add(queue, 0, filled === 'before' ? EVENTS : 1);
    const seconds = await secondsOf(() => Promise.all([workedOff(worker), filled === 'before' ? undefined : add(queue, 1, EVENTS)]));
    handled.assertEachOnce();
    return EVENTS / seconds;
  } finally {
    await worker.close();
    await queue.obliterate({ force: true });
    await queue.close();
  }
}

function add(queue: Queue, from: number, to: number): Promise<void> {
  return forEachNumber(to - from, (index) => {
    const { type, data } = friendAdded(from + index);
    return queue.add(type, data);
  });
}

/** Resolves when the last job is completed. */
function workedOff(worker: Worker): Promise<void> {
  let done = 0;
  const over = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('failed', (_, error) => reject(error));
    worker.on('completed', () => {
      done += 1;
      if (done === EVENTS) resolve();
    });
    worker.run().catch(reject);
  });
  return inTime(over, () => `${done} of ${EVENTS} jobs are done`);
}
