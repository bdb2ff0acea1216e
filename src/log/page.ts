// Reads one page of a partition's log over several categories, in the order of positions and without a gap.
import { entryIdOf, packEntryId } from '../position.ts';
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
export async function readForward(connection: Connection, partition: number, categories: readonly string[], { after, count }: { readonly after: number; readonly count: number }): Promise<Page> {
  if (categories.length === 0) return { events: [], through: after, isEnd: true, size: 0 };
  const keys = categories.map((category) => connection.keys.log(partition, category));
  const from = entryIdBefore(after);
  const reply = (await connection.port.send(keys[0], ['XREAD', 'COUNT', String(count), 'STREAMS', ...keys, ...keys.map(() => from)])) as [string, RawEntry[]][] | null;
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
  const ends = parts.filter(({ isCutOff }) => isCutOff).map(({ entries }) => packEntryId(entries.at(-1)?.[0] ?? ''));
  const limit = Math.min(...ends);
  const { events, size } = decodeUntil(connection, partition, parts, (place) => place <= limit);
  if (parts.length > 1) events.sort((a, b) => a.place - b.place);
  return { events, through: ends.length > 0 ? limit : (events.at(-1)?.place ?? after), isEnd: ends.length === 0, size };
}

/** The page before `before`, newest first. All of it lies before a place that was issued, so it cannot change while it is read. */
export async function readBackward(connection: Connection, partition: number, categories: readonly string[], { before, count }: { readonly before: number; readonly count: number }): Promise<Page> {
  if (categories.length === 0 || before <= 0) return { events: [], through: 0, isEnd: true, size: 0 };
  const from = entryIdOf(before - 1);
  const parts = await Promise.all(
    categories.map(async (category) => {
      const key = connection.keys.log(partition, category);
      const entries = (await connection.port.send(key, ['XREVRANGE', key, from, '-', 'COUNT', String(count)])) as readonly RawEntry[];
      return { category, entries, isCutOff: entries.length === count };
    }),
  );
  const ends = parts.filter(({ isCutOff }) => isCutOff).map(({ entries }) => packEntryId(entries.at(-1)?.[0] ?? ''));
  const limit = Math.max(0, ...ends);
  const { events, size } = decodeUntil(connection, partition, parts, (place) => place >= limit);
  events.sort((a, b) => b.place - a.place);
  return { events, through: limit, isEnd: ends.length === 0, size };
}

function decodeUntil(connection: Connection, partition: number, parts: readonly CategoryEntries[], isWithin: (place: number) => boolean): { events: LogEvent[]; size: number } {
  const events: LogEvent[] = [];
  let size = 0;
  for (const { category, entries } of parts) {
    for (const entry of entries) {
      const decoded = decodeEntry(connection, { partition, category }, entry);
      if (!isWithin(decoded.place)) break;
      size += entry[1][7]?.length ?? 0;
      events.push(decoded);
    }
  }
  return { events, size };
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

