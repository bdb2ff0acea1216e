// Reads: from where a caller says, over a stream, categories or everything, and without an end for a subscription.
import { InvalidInputError } from '../errors.ts';
import { type AnyEvent, assertCategoryName, type RecordedEvent, splitStreamName } from '../event.ts';
import { packTime, placeIn, type Position } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { type Cursor, isCursor, placesOfCursor } from '../token.ts';
import { type Page, readHead } from './page.ts';
import { backwardPager, EndlessPager, forwardPager, type Pager, streamPager } from './pager.ts';
import { EventReader, type ReaderOptions } from './reader.ts';

/**
 * Where a read begins.
 * - 'start' or 'end' of the log: the default, by direction;
 * - a cursor of another reader, or a position (with one partition): just behind it, backward just before it;
 * - a time: the events that were recorded at or after it, backward at or before it. Imported events, which keep their own time, are
 *   found by it too, at their place in the log; backward they make the read begin at the end of the log and pass over what is later.
 */
export type ReadFrom = 'start' | 'end' | Position | Cursor | Date;

export interface ReadOptions {
  readonly from?: ReadFrom;
  /** Default 'forward'. */
  readonly direction?: 'forward' | 'backward';
  /** How many events at most. Default: all. */
  readonly limit?: number;
  /** Ends the iteration with its reason. */
  readonly signal?: AbortSignal;
}

export interface ReadStreamOptions extends Omit<ReadOptions, 'from'> {
  /** A version is included: `from: 3` begins with the third event, in both directions. */
  readonly from?: number | 'start' | 'end' | Position | Date;
}

export interface SubscribeOptions {
  /** 'start' (the default), 'now', or as for a read. */
  readonly from?: 'start' | 'now' | Position | Cursor | Date;
  readonly signal?: AbortSignal;
}

/** Reads categories, or all of them. */
export function readLog<E extends AnyEvent>(connection: Connection, categories: readonly string[] | undefined, options: ReadOptions): EventReader<E> {
  const { direction = 'forward', limit, signal } = options;
  checkReadOptions(options);
  const { from = direction === 'forward' ? 'start' : 'end' } = options;
  checkCategories(categories);
  const places = placesFrom(connection, from, direction);
  const pagers = [...places].map(([partition, place]) => {
    const pager =
      direction === 'forward'
        ? forwardPager(connection, { partition, categories }, place)
        : backwardPager(connection, { partition, categories }, place === BEYOND ? undefined : place);
    return traced(connection, categories?.length === 1 ? categories[0] : undefined, pager);
  });
  return new EventReader(pagers, {
    doing: 'read the log',
    from: places,
    direction,
    isEndless: false,
    limit,
    signal,
    closed: connection.closed,
    filter: timeFilter(from, direction),
  });
}

/** Subscribes to categories, or to all of them; resolves once the starting point is fixed. */
export async function subscribeLog<E extends AnyEvent>(
  connection: Connection,
  categories: readonly string[] | undefined,
  options: SubscribeOptions,
): Promise<EventReader<E>> {
  const { from = 'start', signal } = options;
  signal?.throwIfAborted();
  checkCategories(categories);
  if ((from as unknown) === 'end') throw new InvalidInputError('from', "'start', 'now', a cursor, a Date, or with one partition a position", from);
  const places = await placesToFollow(connection, from);
  const pagers = [...places].map(([partition, place]) => new EndlessPager(connection, { partition, categories }, place));
  return new EventReader(pagers, {
    doing: 'follow the log',
    from: places,
    direction: 'forward',
    isEndless: true,
    signal,
    closed: connection.closed,
    filter: timeFilter(from, 'forward'),
  });
}

/** Reads one stream. */
export function readStream<E extends AnyEvent>(connection: Connection, streamName: string, options: ReadStreamOptions): EventReader<E> {
  const { direction = 'forward', limit, signal } = options;
  checkReadOptions(options);
  const { from = direction === 'forward' ? 'start' : 'end' } = options;
  const { category, id } = splitStreamName(streamName);
  const partition = connection.keys.partitionOf(id);
  const readerOptions: ReaderOptions = {
    doing: `read the stream ${streamName}`,
    from: new Map(),
    direction,
    isEndless: false,
    limit,
    signal,
    closed: connection.closed,
    filter: timeFilter(from, direction),
  };
  let pager: Pager | undefined;
  const next = async (): Promise<Page | undefined> => {
    const start = pager ? 0 : await streamStart(connection, { partition, streamName }, from, direction);
    pager ??= streamPager(connection, { partition, category, streamName, from: start, direction });
    return await pager.next();
  };
  return new EventReader([traced(connection, category, { partition, next, stop: () => pager?.stop() })], readerOptions);
}

/** Each page, where somebody traces. */
function traced({ telemetry }: Connection, category: string | undefined, pager: Pager): Pager {
  if (!telemetry) return pager;
  const next = (): Promise<Page | undefined> =>
    telemetry.read(
      { category },
      () => pager.next(),
      (page) => page?.events.length ?? 0,
    );
  return { partition: pager.partition, next, stop: () => pager.stop() };
}

function checkReadOptions({ direction = 'forward', limit }: Pick<ReadOptions, 'direction' | 'limit'>): void {
  if (direction !== 'forward' && direction !== 'backward') throw new InvalidInputError('direction', "'forward' or 'backward'", direction);
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) throw new InvalidInputError('limit', 'a whole number from 0', limit);
}

/** A time may lie ahead: what comes until then is read too, and passed over. A place that is ahead stays so: the log was lost. */
async function placesToFollow(connection: Connection, from: NonNullable<SubscribeOptions['from']>): Promise<Map<number, number>> {
  if (from === 'now') return await headsOf(connection);
  const places = placesFrom(connection, from, 'forward');
  if (!(from instanceof Date)) return places;
  const heads = await headsOf(connection);
  return new Map([...places].map(([partition, place]) => [partition, Math.min(place, heads.get(partition) ?? -1)]));
}

/** None would be read from what is no category, for ever. */
function checkCategories(categories: readonly string[] | undefined): void {
  if (categories?.length === 0) throw new InvalidInputError('categories', 'at least one category, or none given for all of them', categories);
  for (const name of categories ?? []) assertCategoryName(name);
}

const BEYOND = Number.MAX_SAFE_INTEGER;

/** For each partition the place behind (backward: before) which the read begins. */
export function placesFrom({ keys }: Connection, from: ReadFrom, direction: 'forward' | 'backward'): Map<number, number> {
  const everywhere = (place: number): Map<number, number> => new Map(Array.from({ length: keys.partitions }, (_, partition) => [partition, place]));
  if (from === 'start') return everywhere(-1);
  if (from === 'end') return everywhere(BEYOND);
  if (from instanceof Date) {
    checkTime(from);
    return everywhere(direction === 'forward' ? packTime(from) - 1 : BEYOND);
  }
  const places = everywhere(direction === 'forward' ? -1 : 0);
  for (const [partition, place] of isCursor(from) ? placesOfCursor(from) : [placeOfPosition(keys.partitions, from)]) {
    if (!places.has(partition)) throw new InvalidInputError('from', `a place in one of ${keys.partitions} partitions`, from);
    places.set(partition, place);
  }
  return places;
}

function placeOfPosition(partitions: number, from: Position): [number, number] {
  const place = placeIn(from);
  if (!place)
    throw new InvalidInputError('from', "'start', 'end' (of a subscription 'now'), a cursor, a Date, or with one partition a position", from);
  if (partitions > 1)
    throw new InvalidInputError('from', `a cursor, since one position says nothing of the other ${partitions - 1} partitions`, from);
  return [place.partition, place.packed];
}

function checkTime(time: Date): void {
  if (Number.isNaN(time.getTime())) throw new InvalidInputError('time', 'a valid Date', time);
}

function timeFilter(from: unknown, direction: 'forward' | 'backward'): ((event: RecordedEvent) => boolean) | undefined {
  if (!(from instanceof Date)) return undefined;
  const time = from.getTime();
  return direction === 'forward' ? (event) => event.recordedAt.getTime() >= time : (event) => event.recordedAt.getTime() <= time;
}

async function headsOf(connection: Connection): Promise<Map<number, number>> {
  const partitions = Array.from({ length: connection.keys.partitions }, (_, partition) => partition);
  const heads = await reading('find the end of the log', Promise.all(partitions.map((partition) => readHead(connection, partition))));
  return new Map(heads.map((head, partition) => [partition, head]));
}

/** The version that a read of a stream begins with. */
async function streamStart(
  connection: Connection,
  { partition, streamName }: { readonly partition: number; readonly streamName: string },
  from: NonNullable<ReadStreamOptions['from']>,
  direction: 'forward' | 'backward',
): Promise<number> {
  const key = connection.keys.stream(partition, streamName);
  if (typeof from === 'number') {
    if (!Number.isSafeInteger(from) || from < 1) throw new InvalidInputError('from', 'a version, a whole number from 1', from);
    return direction === 'forward' ? from : Math.min(from, await lengthOf(connection, key));
  }
  if (from === 'start') return direction === 'forward' ? 1 : 0;
  if (from instanceof Date) checkTime(from);
  // An imported event may be older than its place: backward, and only there, one with the time asked for can stand anywhere before the end.
  if (from === 'end' || (from instanceof Date && direction === 'backward'))
    return (await lengthOf(connection, key)) + (direction === 'forward' ? 1 : 0);
  const place = from instanceof Date ? packTime(from) : placeInPartition(from, partition);
  const before = await countBefore(connection, key, place);
  if (direction === 'backward') return before;
  return before + (from instanceof Date || !(await isAt(connection, key, before, place)) ? 1 : 2);
}

function placeInPartition(from: string, partition: number): number {
  const place = placeIn(from);
  if (!place) throw new InvalidInputError('from', "a version, 'start', 'end', a position or a Date", from);
  if (place.partition !== partition) throw new InvalidInputError('from', `a position in partition ${partition}, where this stream lies`, from);
  return place.packed;
}

async function lengthOf({ port }: Connection, key: string): Promise<number> {
  return Number(await port.send(key, ['LLEN', key]));
}

async function placeAt({ port }: Connection, key: string, index: number): Promise<number> {
  return Number((await port.send(key, ['LINDEX', key, String(index)])) ?? BEYOND);
}

async function isAt(connection: Connection, key: string, index: number, place: number): Promise<boolean> {
  return (await placeAt(connection, key, index)) === place;
}

/** How many of a stream's events stand before a place: the places in its index rise, so a binary search finds it. */
async function countBefore(connection: Connection, key: string, place: number): Promise<number> {
  let low = 0;
  let high = await lengthOf(connection, key);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((await placeAt(connection, key, middle)) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
