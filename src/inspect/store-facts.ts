// How much is in a store: events by partition, by category and by stream.
import { type RecordedEvent, splitStreamName, type StreamName } from '../event.ts';
import { readBackward, readCategories as categoriesIn, readForward, readHead } from '../log/page.ts';
import { readLog } from '../log/read.ts';
import { positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { patternOf } from '../redis/keys.ts';
import { reading } from '../redis/public-error.ts';
import type { CategoryFacts, PartitionFacts, StoreFacts, StreamFacts } from './facts.ts';

/** Options of `streams`. */
export interface StreamsOptions {
  /** Default: all. */
  readonly category?: string;
  /** Only those whose id begins so. Without a category, whose name does. */
  readonly startsWith?: string;
  /**
   * 'recent', the default: those written last come first, found by reading the log backward. 'any': in no order, found by a walk over the whole
   * keyspace with SCAN, which is quicker where few of many streams are wanted.
   */
  readonly order?: 'recent' | 'any';
  /** At most so many. Default: all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** Options of `categories`. */
export interface CategoriesOptions {
  /** Asks for the memory too. Default false. */
  readonly bytes?: boolean;
  /** Asks for the first and last event too. Default false. */
  readonly ends?: boolean;
}

const SCAN_COUNT = 1_000;
/** Streams whose lengths are asked for at once. */
const STREAMS_AT_ONCE = 100;

export async function readStore(connection: Connection): Promise<StoreFacts> {
  const { port, keys, storeId } = connection;
  const partitions = partitionsOf(connection);
  const heads = await Promise.all(partitions.map((partition) => partitionFacts(connection, partition)));
  const scheduled = await Promise.all(partitions.map((partition) => port.send(keys.schedule(partition), ['ZCARD', keys.schedule(partition)])));
  return {
    namespace: keys.namespace,
    storeId,
    partitions: keys.partitions,
    events: heads.reduce((sum, { events }) => sum + events, 0),
    heads,
    scheduled: scheduled.reduce<number>((sum, count) => sum + Number(count), 0),
  };
}

async function partitionFacts(connection: Connection, partition: number): Promise<PartitionFacts> {
  const [head, names] = await Promise.all([readHead(connection, partition), categoriesIn(connection, partition)]);
  const counts = await Promise.all(names.map((category) => lengthOfLog(connection, partition, category)));
  return {
    partition,
    events: counts.reduce((sum, count) => sum + count, 0),
    position: head < 0 ? undefined : positionOf(partition, head),
  };
}

/** Sorted by name. */
export async function readCategories(connection: Connection, { bytes = false, ends = false }: CategoriesOptions): Promise<readonly CategoryFacts[]> {
  const names = await allCategories(connection);
  return await Promise.all(
    names.map(async (category) => {
      const partitions = partitionsOf(connection);
      const [counts, sizes, first, last] = await Promise.all([
        Promise.all(partitions.map((partition) => lengthOfLog(connection, partition, category))),
        bytes ? Promise.all(partitions.map((partition) => bytesOfLog(connection, partition, category))) : undefined,
        ends ? endOf(connection, category, 'forward') : undefined,
        ends ? endOf(connection, category, 'backward') : undefined,
      ]);
      return { category, events: sumOf(counts), bytes: sizes && sumOf(sizes), first, last };
    }),
  );
}

/** Those of all partitions, each once, sorted. */
export async function allCategories(connection: Connection): Promise<readonly string[]> {
  const names = await Promise.all(partitionsOf(connection).map((partition) => categoriesIn(connection, partition)));
  return [...new Set(names.flat())].sort();
}

async function lengthOfLog({ port, keys }: Connection, partition: number, category: string): Promise<number> {
  const key = keys.log(partition, category);
  return Number(await port.send(key, ['XLEN', key]));
}

async function bytesOfLog({ port, keys }: Connection, partition: number, category: string): Promise<number> {
  const key = keys.log(partition, category);
  return Number((await port.send(key, ['MEMORY', 'USAGE', key])) ?? 0);
}

/** The first or last event over all partitions, by time. */
async function endOf(connection: Connection, category: string, direction: 'forward' | 'backward'): Promise<RecordedEvent | undefined> {
  const found = await Promise.all(
    partitionsOf(connection).map(async (partition) => {
      if (direction === 'forward') return (await readForward(connection, partition, [category], { after: -1, count: 1 })).events[0]?.event;
      const before = (await readHead(connection, partition)) + 1;
      return (await readBackward(connection, partition, [category], { before, count: 1 })).events[0]?.event;
    }),
  );
  const sign = direction === 'forward' ? 1 : -1;
  return found.flatMap((event) => event ?? []).sort((a, b) => sign * (a.recordedAt.getTime() - b.recordedAt.getTime()))[0];
}

export async function* walkStreams(connection: Connection, options: StreamsOptions): AsyncGenerator<StreamFacts, undefined, undefined> {
  const { limit = Number.POSITIVE_INFINITY, order = 'recent' } = options;
  let left = limit;
  const found = order === 'recent' ? recentStreams(connection, options) : scanStreams(connection, options);
  for await (const page of found) {
    const names = page.slice(0, left);
    for (const facts of await Promise.all(names.map((name) => streamFacts(connection, name)))) yield facts;
    left -= names.length;
    if (left <= 0) return undefined;
  }
  return undefined;
}

async function streamFacts(connection: Connection, streamName: string): Promise<StreamFacts> {
  const { port, keys } = connection;
  const { category, id } = splitStreamName(streamName);
  const partition = keys.partitionOf(id);
  const key = keys.stream(partition, streamName);
  const [length, place] = await Promise.all([port.send(key, ['LLEN', key]), port.send(key, ['LINDEX', key, '-1'])]);
  const after = Number(place) - 1;
  const { events } = place === null ? { events: [] } : await readForward(connection, partition, [category], { after, count: 1 });
  return { streamName: streamName as StreamName, events: Number(length), partition, last: events[0]?.event };
}

async function* recentStreams(connection: Connection, options: StreamsOptions): AsyncGenerator<readonly string[]> {
  const { category, signal, limit = STREAMS_AT_ONCE } = options;
  const seen = new Set<string>();
  let page: string[] = [];
  const read = readLog(connection, category === undefined ? undefined : [category], { direction: 'backward', ...(signal ? { signal } : {}) });
  for await (const { streamName } of read) {
    if (seen.has(streamName) || !begins(streamName, options)) continue;
    seen.add(streamName);
    page.push(streamName);
    if (page.length >= Math.min(STREAMS_AT_ONCE, limit)) {
      yield page;
      page = [];
    }
  }
  yield page;
}

function begins(streamName: string, { category, startsWith = '' }: StreamsOptions): boolean {
  return streamName.startsWith(category === undefined ? startsWith : `${category}:${startsWith}`);
}

async function* scanStreams(connection: Connection, { category, startsWith = '', signal }: StreamsOptions): AsyncGenerator<readonly string[]> {
  const { port, keys } = connection;
  const wanted = category === undefined ? startsWith : `${category}:${startsWith}`;
  const seen = new Set<string>(); // SCAN may tell a key twice
  for (const partition of partitionsOf(connection)) {
    const prefix = keys.stream(partition, '');
    for (let cursor = ''; cursor !== '0'; ) {
      signal?.throwIfAborted();
      const command = ['SCAN', cursor || '0', 'MATCH', patternOf(`${prefix}${wanted}`), 'COUNT', String(SCAN_COUNT)];
      const [next, found] = (await reading('scan for streams', port.send(prefix, command))) as [string, string[]];
      cursor = next;
      const names = found.map((key) => key.slice(prefix.length)).filter((name) => !seen.has(name));
      for (const name of names) seen.add(name);
      for (let from = 0; from < names.length; from += STREAMS_AT_ONCE) yield names.slice(from, from + STREAMS_AT_ONCE);
    }
  }
}

export function partitionsOf({ keys }: Connection): readonly number[] {
  return Array.from({ length: keys.partitions }, (_, partition) => partition);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
