// Figures of scheduled events: how fast they are scheduled, and whether a million that wait slow down those that are due.
import { setTimeout as delay } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { type EventStore, StreamProcessor } from 'millrace';
import { type BareClient, connectBare } from './clients.ts';
import { type Bench, type BenchEngine, newNamespace, usedMemory } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { EVENTS_PER_STREAM, forEachNumber, friendAdded, friends, inTime, openStore, rateOf, secondsOf } from './workload.ts';

const PENDING = 1_000_000;
const DUE = 10_000;
const WAITING = 1_000;
const SIDE_MS = 700;
const YEAR_MS = 31_536_000_000;
const LOOK_MS = 2;

export const scheduleFigures: readonly Figure[] = [
  {
    name: 'schedule-1000-waiting',
    what: `${WAITING.toLocaleString('en')} calls of schedule waiting at any time, one event each`,
    unit: 'scheduled/s',
    beside: 'ZADD of a random id and HSET of the event by that id in one MULTI, ioredis with auto-pipelining',
    aim: null,
    compare: 'ratio>=',
    open: openScheduling,
  },
  {
    name: 'schedule-1000000',
    what: `delivering ${DUE.toLocaleString('en')} events that are due, while ${PENDING.toLocaleString('en')} wait for another year`,
    unit: 'events/s',
    beside: 'the same while nothing else waits, on another engine',
    aim: 0.9,
    compare: 'ratio>=',
    open: openDelivering,
  },
];

function schedule(store: EventStore, number: number, deliverAt: number): Promise<unknown> {
  return store.schedule(friends.stream(String(Math.floor(number / EVENTS_PER_STREAM))), friendAdded(number), { deliverAt });
}

async function openScheduling({ engine }: Bench): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'ioredis');
  const client = new Redis(engine.url, { enableAutoPipelining: true });
  const later = Date.now() + YEAR_MS;
  let number = 0;
  const scheduleOurs = (): Promise<unknown> => schedule(store, number, later + number++);
  const scheduleBare = (): Promise<unknown> => {
    const { type, data } = friendAdded(number);
    const [id, event] = [randomUUID(), JSON.stringify({ stream: String(Math.floor(number / EVENTS_PER_STREAM)), type, data })];
    number += 1;
    return client
      .multi()
      .zadd(`{${namespace}:bare}:due`, later + number, id)
      .hset(`{${namespace}:bare}:events`, id, event)
      .exec();
  };
  return {
    ours: () => rateOf(WAITING, SIDE_MS, scheduleOurs),
    beside: () => rateOf(WAITING, SIDE_MS, scheduleBare),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      client.disconnect();
      await engine.clear(namespace);
    },
  };
}

async function openDelivering(bench: Bench): Promise<Sides> {
  const another = await bench.another();
  const [many, none] = [await Schedule.open(bench.engine, PENDING), await Schedule.open(another, 0)];
  return {
    ours: () => many.deliver(),
    beside: () => none.deliver(),
    note: () => many.filling,
    [Symbol.asyncDispose]: async () => {
      await many.close();
      await none.close();
      await another[Symbol.asyncDispose]();
    },
  };
}

/** A store in which so many events wait. */
class Schedule {
  /** What it took to schedule them, in one line. */
  readonly filling: string;
  readonly #engine: BenchEngine;
  readonly #namespace: string;
  readonly #store: EventStore;
  readonly #client: BareClient;
  #delivered = 0;

  private constructor(engine: BenchEngine, namespace: string, store: EventStore, client: BareClient, filling: string) {
    this.#engine = engine;
    this.#namespace = namespace;
    this.#store = store;
    this.#client = client;
    this.filling = filling;
  }

  static async open(engine: BenchEngine, pending: number): Promise<Schedule> {
    const namespace = newNamespace();
    const store = await openStore(engine, namespace, 'node-redis');
    const client = await connectBare(engine.url);
    const later = Date.now() + YEAR_MS;
    const before = await usedMemory(engine.url);
    const seconds = await secondsOf(() => forEachNumber(pending, (number) => schedule(store, number, later + number)));
    const bytes = ((await usedMemory(engine.url)) - before) / pending;
    const filling = `scheduled at ${Math.round(pending / seconds).toLocaleString('en')}/s; each takes ${Math.round(bytes)} bytes`;
    return new Schedule(engine, namespace, store, client, filling);
  }

  /** Events a second, from the start of a processor until the last is in the log. */
  async deliver(): Promise<number> {
    const past = Date.now() - DUE;
    await forEachNumber(DUE, (number) => schedule(this.#store, number, past + number));
    this.#delivered += DUE;
    await using processor = new StreamProcessor(this.#store);
    let failure: Error | undefined;
    processor.on('failed', ({ error }) => (failure = error as Error));
    const seconds = await secondsOf(() => {
      processor.start();
      return inTime(this.#untilDelivered(), () => `not all of what was due is delivered (${failure?.message})`);
    });
    const count = await this.#count();
    if (count !== this.#delivered) throw new Error(`${count} events were delivered, and ${this.#delivered} were due.`);
    return DUE / seconds;
  }

  async #untilDelivered(): Promise<void> {
    while ((await this.#count()) < this.#delivered) await delay(LOOK_MS);
  }

  async #count(): Promise<number> {
    return await this.#client.sendCommand<number>(['XLEN', `{${this.#namespace}:0}:log:${friends.name}`]);
  }

  async close(): Promise<void> {
    await this.#store.close();
    this.#client.destroy();
    await this.#engine.clear(this.#namespace);
  }
}
