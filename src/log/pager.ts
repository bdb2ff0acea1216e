// Pagers: where the pages of one partition, or of one stream, come from, one after the other.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../redis/connection.ts';
import { isPassing } from '../redis/public-error.ts';
import { readStreams } from '../redis/scripts.ts';
import { decodeEntry } from './entry.ts';
import { checkMark, markOf } from './mark.ts';
import { FIRST_PAGE_COUNT, nextPageCount, type Page, readBackward, readCategories, readForward, readHead } from './page.ts';
import { Waiter, watchedLogs } from './waiter.ts';

/** Pages in the order of reading, until the end; one that never ends waits for more. `stop` frees what it holds. */
export interface Pager {
  readonly partition: number;
  next(): Promise<Page | undefined>;
  stop(): void;
}

/** Which events: all categories where none are named. */
export interface Selection {
  readonly partition: number;
  readonly categories: readonly string[] | undefined;
}

type ReadPage = (place: number, count: number) => Promise<Page>;

/** The next page is asked for before this one is handed out, so that Redis works while the caller does. */
class AheadPager implements Pager {
  readonly partition: number;
  readonly #read: ReadPage;
  #place: number;
  #ahead: Promise<Page> | undefined;
  #count = FIRST_PAGE_COUNT;
  #isEnded = false;

  constructor(partition: number, from: number, read: ReadPage) {
    this.partition = partition;
    this.#place = from;
    this.#read = read;
  }

  async next(): Promise<Page | undefined> {
    if (this.#isEnded) return undefined;
    const page = await (this.#ahead ?? this.#read(this.#place, this.#count));
    this.#place = page.through;
    this.#count = nextPageCount(this.#count, page);
    if (page.isEnd) this.stop();
    else if (!this.#isEnded) this.#ask();
    return page;
  }

  stop(): void {
    this.#isEnded = true;
    this.#ahead = undefined;
  }

  #ask(): void {
    this.#ahead = this.#read(this.#place, this.#count);
    this.#ahead.catch(() => undefined); // heard of by next(), or by nobody where the reader went away
  }
}

/** From behind `after` to the end. */
export function forwardPager(connection: Connection, selection: Selection, after: number): Pager {
  const read = forwardReader(connection, selection);
  return new AheadPager(selection.partition, after, async (place, count) => (await read(place, count)).page);
}

/** From before `before` (from the last event where it is undefined) to the beginning. */
export function backwardPager(connection: Connection, { partition, categories }: Selection, before: number | undefined): Pager {
  let selected: readonly string[] | undefined = categories;
  let start: number | undefined = before;
  return new AheadPager(partition, 0, async (place, count) => {
    // The head is read first: what lies before it does not change any more while the categories are read one by one.
    const from = start === undefined ? (await readHead(connection, partition)) + 1 : place === 0 ? start : place;
    start ??= from;
    selected ??= await readCategories(connection, partition);
    return await readBackward(connection, partition, selected, { before: from, count });
  });
}

/**
 * Reads pages of a selection. Of all categories those that exist are looked up after the page was read: one that is new may hold
 * events that stand before the page's last, and then the page is read again.
 */
function forwardReader(
  connection: Connection,
  { partition, categories }: Selection,
): (after: number, count: number) => Promise<{ page: Page; categories: readonly string[] }> {
  if (categories) return async (after, count) => ({ page: await readForward(connection, partition, categories, { after, count }), categories });
  let known: readonly string[] = [];
  return async (after, count) => {
    for (;;) {
      const [page, present] = await Promise.all([readForward(connection, partition, known, { after, count }), readCategories(connection, partition)]);
      if (present.length === known.length) return { page, categories: known };
      known = present;
    }
  };
}

const PAUSE_WITHOUT_SERVER_MS = 200;

/** Who follows everything cannot be woken by a category that is not there yet, and looks for one so often. */
const WAIT_FOR_CATEGORIES_MS = 250;

/** From behind `after` on without an end. Waits out lost connections; throws LogLostError where the log is no longer the one that was read. */
export class EndlessPager implements Pager {
  readonly partition: number;
  readonly #connection: Connection;
  readonly #read: (after: number, count: number) => Promise<{ page: Page; categories: readonly string[] }>;
  readonly #waiter: Waiter;
  readonly #waitMs: number | undefined;
  #place: number;
  #mark = '';
  #count = FIRST_PAGE_COUNT;
  #isStopped = false;

  constructor(connection: Connection, selection: Selection, after: number) {
    this.partition = selection.partition;
    this.#connection = connection;
    this.#read = forwardReader(connection, selection);
    this.#waiter = new Waiter(connection);
    this.#waitMs = selection.categories ? undefined : WAIT_FOR_CATEGORIES_MS;
    this.#place = after;
  }

  async next(): Promise<Page | undefined> {
    while (!this.#isStopped) {
      try {
        const page = await this.#readOrWait();
        if (page) return page;
      } catch (error) {
        if (this.#isStopped) return undefined;
        if (!isPassing(error)) throw error;
        await delay(PAUSE_WITHOUT_SERVER_MS);
      }
    }
    return undefined;
  }

  stop(): void {
    this.#isStopped = true;
    void this.#waiter.close();
  }

  async #readOrWait(): Promise<Page | undefined> {
    const [{ page, categories }] = await Promise.all([
      this.#read(this.#place, this.#count),
      checkMark(this.#connection, this.partition, { place: this.#place, mark: this.#mark }),
    ]);
    const last = page.events.at(-1);
    if (!last) {
      await this.#waiter.wait(watchedLogs(this.#connection, this.partition, categories, this.#place), this.#waitMs);
      return undefined;
    }
    this.#place = page.through;
    this.#mark = page.through === last.place ? markOf(last.event) : '';
    this.#count = nextPageCount(this.#count, page);
    return page;
  }
}

/** Which part of a stream: versions from 1; `from` is the first one to be read. */
export interface StreamSelection {
  readonly partition: number;
  readonly category: string;
  readonly streamName: string;
  readonly from: number;
  readonly direction: 'forward' | 'backward';
}

/** The events of one stream, through its index. */
export function streamPager(connection: Connection, { partition, category, streamName, from, direction }: StreamSelection): Pager {
  const indexKey = connection.keys.stream(partition, streamName);
  const logKey = connection.keys.log(partition, category);
  const step = direction === 'forward' ? 1 : -1;
  // The place of this pager is the version to read next.
  return new AheadPager(partition, from, async (version, count) => {
    const last = version + step * (count - 1);
    const [low, high] = step > 0 ? [version, last] : [Math.max(1, last), version];
    if (high < 1) return { events: [], through: 0, isEnd: true, size: 0 };
    const [part] = await readStreams(connection.port, [{ indexKey, logKey, start: low - 1, stop: high - 1 }]);
    const events = (part?.entries ?? []).map((entry) => decodeEntry(connection, { partition, category }, entry));
    if (step < 0) events.reverse();
    return { events, through: last + step, isEnd: step > 0 ? high >= (part?.length ?? 0) : low <= 1, size: sizeOf(part?.entries ?? []) };
  });
}

function sizeOf(entries: readonly (readonly [string, readonly string[]])[]): number {
  return entries.reduce((sum, [, fields]) => sum + (fields[7]?.length ?? 0), 0);
}
