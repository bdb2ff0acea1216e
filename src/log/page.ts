// Reads one page of a partition's log over several categories, in the order of positions and without a gap.
import { CorruptEntryError } from '../errors.ts';
import { entryIdOf, roughPlaceOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { RawEntry } from '../redis/scripts.ts';
import { decodeEntry, type LogEvent } from './entry.ts';

/** Events of one partition in the order of reading, and how far this page reaches. */
export interface Page {
  readonly events: readonly LogEvent[];
  /** Every event of these categories up to this place (backward: down to it) was read, this page included. */
  readonly through: number;
  /** Whether there was nothing beyond it at that moment. */
  readonly isEnd: boolean;
  /** Characters of encoded data: what the size of the next page follows. */
  readonly size: number;
}

/** Entries of one category, in the order of reading, and whether there may be more. */
interface CategoryEntries {
  readonly category: string;
  readonly entries: readonly RawEntry[];
  readonly isCutOff: boolean;
}

/**
 * The page behind `after` (-1 for the beginning).
 * One XREAD over all categories, which is atomic: what was appended to two of them at once is seen in both or in neither.
 */
export async function readForward(
  connection: Connection,
  partition: number,
  categories: readonly string[],
  { after, count }: { readonly after: number; readonly count: number },
): Promise<Page> {
  if (categories.length === 0) return { events: [], through: after, isEnd: true, size: 0 };
  const keys = categories.map((category) => connection.keys.log(partition, category));
  const from = entryIdBefore(after);
  const reply = (await connection.port.send(keys[0], ['XREAD', 'COUNT', String(count), 'STREAMS', ...keys, ...keys.map(() => from)])) as
    | [string, RawEntry[]][]
    | null;
  const entriesByKey = new Map(reply ?? []);
  const parts = categories.map((category, index) => {
    const entries = entriesByKey.get(keys[index] ?? '') ?? [];
    return { category, entries, isCutOff: entries.length === count };
  });
  return mergeForward(connection, partition, parts, after);
}

// XREAD wants the id before the first one wanted; the place -1 is before the epoch.
function entryIdBefore(after: number): string {
  return after < 0 ? '0-0' : entryIdOf(after);
}

/** What is handed out reaches to the lowest last id among the categories that COUNT cut off: behind it something may be missing. */
function mergeForward(connection: Connection, partition: number, parts: readonly CategoryEntries[], after: number): Page {
  const decoded = parts.map((part) => decodePart(connection, partition, part, 1));
  const limit = Math.min(...decoded.map(({ end }) => end ?? Number.POSITIVE_INFINITY));
  const events: readonly LogEvent[] =
    decoded.length === 1
      ? upTo(limit, decoded[0]?.events ?? [])
      : decoded
          .flatMap((part) => part.events)
          .filter(({ place }) => place <= limit)
          .sort((a, b) => a.place - b.place);
  throwIfNothingElse(events, decoded);
  const isEnd = limit === Number.POSITIVE_INFINITY;
  return { events, through: events.at(-1)?.place ?? after, isEnd, size: sumOf(decoded) };
}

/** Most pages of one category are good to their end: those need no copy. */
function upTo(limit: number, events: readonly LogEvent[]): readonly LogEvent[] {
  return (events.at(-1)?.place ?? 0) <= limit ? events : events.filter(({ place }) => place <= limit);
}

/** The page before `before`, newest first. All of it lies before a place that was issued, so it cannot change while it is read. */
export async function readBackward(
  connection: Connection,
  partition: number,
  categories: readonly string[],
  { before, count }: { readonly before: number; readonly count: number },
): Promise<Page> {
  if (categories.length === 0 || before <= 0) return { events: [], through: 0, isEnd: true, size: 0 };
  const from = `(${entryIdOf(before)}`;
  const decoded = await Promise.all(
    categories.map(async (category) => {
      const key = connection.keys.log(partition, category);
      const entries = (await connection.port.send(key, ['XREVRANGE', key, from, '-', 'COUNT', String(count)])) as readonly RawEntry[];
      return decodePart(connection, partition, { category, entries, isCutOff: entries.length === count }, -1);
    }),
  );
  const limit = Math.max(...decoded.map(({ end }) => end ?? 0));
  const events = decoded.flatMap((part) => part.events).filter(({ place }) => place >= limit);
  events.sort((a, b) => b.place - a.place);
  throwIfNothingElse(events, decoded);
  return { events, through: events.at(-1)?.place ?? 0, isEnd: decoded.every(({ end }) => end === undefined), size: sumOf(decoded) };
}

/** A category's part of a page. */
interface DecodedPart {
  readonly events: readonly LogEvent[];
  /** The last place up to which this category is known; undefined when it was read to its end. */
  readonly end: number | undefined;
  readonly size: number;
  readonly corrupt: CorruptEntryError | undefined;
}

/** An entry that somebody else wrote cuts the page off before it: what stands before it in the order of reading is good. */
function decodePart(connection: Connection, partition: number, { category, entries, isCutOff }: CategoryEntries, step: 1 | -1): DecodedPart {
  const events: LogEvent[] = [];
  let size = 0;
  for (const entry of entries) {
    try {
      events.push(decodeEntry(connection, { partition, category }, entry));
      size += entry[1][7]?.length ?? 0;
    } catch (error) {
      if (!(error instanceof CorruptEntryError)) throw error;
      // Before its place: in another category an event of ours may have the same one, and behind that this entry would be passed over.
      return { events, end: roughPlaceOf(entry[0]) - step, size, corrupt: error };
    }
  }
  return { events, end: isCutOff ? events.at(-1)?.place : undefined, size, corrupt: undefined };
}

function throwIfNothingElse(events: readonly LogEvent[], parts: readonly DecodedPart[]): void {
  const corrupt = events.length === 0 ? parts.find((part) => part.corrupt !== undefined)?.corrupt : undefined;
  if (corrupt) throw corrupt;
}

function sumOf(parts: readonly DecodedPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

/** The last place issued in a partition; -1 before the first. */
export async function readHead({ port, keys }: Connection, partition: number): Promise<number> {
  const key = keys.head(partition);
  return Number((await port.send(key, ['GET', key])) ?? -1);
}

/** The categories that have a log in a partition, in the order of their names. */
export async function readCategories({ port, keys }: Connection, partition: number): Promise<readonly string[]> {
  const key = keys.categories(partition);
  return ((await port.send(key, ['SMEMBERS', key])) as string[]).sort();
}

const PAGE_COUNT_MAX = 1_000;
const PAGE_SIZE_AIMED_AT = 1_048_576;

/** How many events the first page holds. */
export const FIRST_PAGE_COUNT = 100;

/** How many events the next page may hold, so that it is about 1 MiB: more where they were small, fewer where they were large. */
export function nextPageCount(count: number, { events, size }: Page): number {
  if (events.length === 0) return count;
  const fitting = Math.floor(PAGE_SIZE_AIMED_AT / Math.max(1, size / events.length));
  return Math.max(1, Math.min(fitting, count * 4, PAGE_COUNT_MAX));
}
