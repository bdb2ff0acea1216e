// What the tests of processors share: small projections, conditions to wait for, and a processor that remembers what it told.
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AnyProjection,
  type EventStore,
  isMillraceError,
  type ProcessorEvents,
  type Projection,
  projection,
  type SnapshotStore,
  StreamProcessor,
  type StreamProcessorOptions,
} from 'millrace';
import { connectRaw } from './clients.ts';
import { marks, note, notes } from './store.ts';

/** What the fold of `sums` gives: how many events, and the sum of their numbers. */
export interface Sum {
  readonly count: number;
  readonly sum: number;
}

/** Counts and adds up the notes of each stream. */
export function sums(name = 'sums', version = 1): Projection<Sum> {
  return projection({
    name,
    version,
    categories: [notes],
    initialState: (): Sum => ({ count: 0, sum: 0 }),
    evolve: ({ count, sum }, event) => ({ count: count + 1, sum: sum + event.data.n }),
  });
}

/** The numbers of a stream's notes and marks in the order in which they came: shows one that is lost, doubled or out of order. */
export function lists(name = 'lists'): Projection<readonly number[]> {
  return projection({
    name,
    categories: [notes, marks],
    initialState: (): readonly number[] => [],
    evolve: (list, event) => [...list, event.data.n],
  });
}

/** Folds like `sums`, and throws at the notes with these numbers. */
export function throwingAt(numbers: readonly number[], name = 'throwing'): Projection<Sum> {
  return projection({
    name,
    categories: [notes],
    initialState: (): Sum => ({ count: 0, sum: 0 }),
    evolve: ({ count, sum }, event) => {
      if (numbers.includes(event.data.n)) throw new Error(`cannot fold ${event.data.n}`);
      return { count: count + 1, sum: sum + event.data.n };
    },
  });
}

/** Folds everything that is there, in this process. */
export async function project(store: EventStore, ...projections: readonly AnyProjection[]): Promise<void> {
  await using processor = new StreamProcessor(store, { projections });
  await processor.runUntilCaughtUp();
}

/** A processor that runs, and what it has told so far. */
export interface Running extends AsyncDisposable {
  readonly processor: StreamProcessor;
  readonly failed: ProcessorEvents['failed'][];
  readonly progress: ProcessorEvents['progress'][];
}

export function run(store: EventStore, options: StreamProcessorOptions): Running {
  const processor = new StreamProcessor(store, options);
  const failed: ProcessorEvents['failed'][] = [];
  const progress: ProcessorEvents['progress'][] = [];
  processor.on('failed', (event) => failed.push(event));
  processor.on('progress', (event) => progress.push(event));
  processor.start();
  return { processor, failed, progress, [Symbol.asyncDispose]: () => processor.stop() };
}

/** Waits for a condition; fails with `what` when it takes too long. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isTrueNow(isTrue))) {
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await delay(5);
  }
}

/** A document of a projection that has not caught up once cannot be read yet. */
async function isTrueNow(isTrue: () => boolean | Promise<boolean>): Promise<boolean> {
  try {
    return await isTrue();
  } catch (error) {
    if (isMillraceError(error, 'not-caught-up')) return false;
    throw error;
  }
}

/** Appends notes with these numbers to one stream, each by itself: no two need share a batch. */
export async function appendNumbers(store: EventStore, stream: string, numbers: readonly number[]): Promise<void> {
  for (const n of numbers) await store.append(notes.stream(stream), note(n));
}

/** The keys of all documents, sorted. */
export async function keysOf(snapshots: SnapshotStore, ofProjection: AnyProjection): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of snapshots.keys(ofProjection)) keys.push(key);
  return keys.sort();
}

/** Every key in Redis of the store in this namespace. */
export async function keysIn(namespace: string, url?: string): Promise<string[]> {
  await using raw = await connectRaw(url);
  return (await raw.send('KEYS', `{${namespace}:*`)) as string[];
}
