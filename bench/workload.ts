// What is appended in every figure, and how many wait for it at the same time.
import { setTimeout as delay } from 'node:timers/promises';
import { category, type Event, EventStore } from 'millrace';
import type { BenchEngine } from './engines.ts';
import { median } from './figure.ts';

/** Its data is 61 bytes of JSON. */
export type FriendAdded = Event<'FriendAdded', { friendId: string; since: string; via: string }>;

/** Where nothing was done for so long in a benchmark, nothing ever will be. */
const DEADLINE_MS = 60_000;

export const friends = category<FriendAdded>('user_friends');

export function friendAdded(number: number): FriendAdded {
  return { type: 'FriendAdded', data: { friendId: String(number % 1_000_000).padStart(6, '0'), since: '2026-01-01', via: 'phone-book' } };
}

/** Events of one stream in most figures: its versions go from 1 to this. */
export const EVENTS_PER_STREAM = 10;

export async function openStore(engine: BenchEngine, namespace: string, library: 'ioredis' | 'node-redis'): Promise<EventStore> {
  return await EventStore.connect(engine.url, { library, namespace });
}

/** How often `one` is done in a second when so many wait for it at any time; it gets the number of the one who waits. */
export async function rateOf(waiting: number, durationMs: number, one: (worker: number) => Promise<unknown>): Promise<number> {
  let done = 0;
  const start = performance.now();
  const worker = async (number: number): Promise<void> => {
    while (performance.now() - start < durationMs) {
      await one(number);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: waiting }, (_, number) => worker(number)));
  return done / ((performance.now() - start) / 1_000);
}

/** Does `one` for each number below `count`, 1,000 at a time. */
export async function forEachNumber(count: number, one: (number: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(1_000, count) }, worker));
}

/** Seconds that something takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
}

/** Rejects with how far it is where it hangs. */
export async function inTime<T>(work: Promise<T>, howFar: () => string): Promise<T> {
  const ended = new AbortController();
  const late = delay(DEADLINE_MS, undefined, { signal: ended.signal }).then(() => {
    throw new Error(`After ${DEADLINE_MS / 1_000} s ${howFar()}.`);
  });
  late.catch(() => {}); // it was in time
  try {
    return await Promise.race([work, late]);
  } finally {
    ended.abort();
  }
}

/** Milliseconds from the call of `send` until `receive`, which was waiting, has it; the median of many. */
export async function latencyOf(deliveries: number, receive: () => Promise<unknown>, send: () => Promise<unknown>): Promise<number> {
  const latencies: number[] = [];
  for (let i = 0; i < deliveries; i += 1) {
    let at = 0;
    const received = receive().then(() => (at = performance.now()));
    await delay(2); // until the reader waits in Redis
    const start = performance.now();
    await send();
    await inTime(received, () => `${i} of ${deliveries} were received`);
    latencies.push(at - start);
  }
  return median(latencies);
}

/** The same sequence in every run: a figure must not depend on luck. From 0 to below `below`. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
