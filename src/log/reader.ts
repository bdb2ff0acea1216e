// What a read returns: an async iterable of events that can be stopped, and whose cursor says where it stands.
import type { AnyEvent, RecordedEvent } from '../event.ts';
import { publicError } from '../redis/public-error.ts';
import { type Cursor, cursorOf } from '../token.ts';
import type { LogEvent } from './entry.ts';
import type { Pager } from './pager.ts';

/** How a reader hands out what its pagers bring. */
export interface ReaderOptions {
  readonly doing: string;
  /** Where each partition's pager begins: what the cursor says before the first event. */
  readonly from: ReadonlyMap<number, number>;
  readonly direction: 'forward' | 'backward';
  /** Endless pagers are taken as they bring something; others are merged by position. */
  readonly isEndless: boolean;
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Aborted when the store is closed. */
  readonly closed: AbortSignal;
  readonly filter?: ((event: RecordedEvent) => boolean) | undefined;
}

/** A partition's pager, and the page of it that is being handed out. */
interface Lane {
  readonly pager: Pager;
  events: readonly LogEvent[];
  at: number;
  isDone: boolean;
  isFilling: boolean;
}

/**
 * Events, one after the other, in bounded pages: the next page is read while this one is handed out, and no more than that.
 * `break` ends it silently; an aborted signal ends it with the signal's reason. It can be iterated once.
 */
export class EventReader<E extends AnyEvent> implements AsyncIterableIterator<RecordedEvent<E>, undefined, undefined> {
  readonly #options: ReaderOptions;
  readonly #lanes: readonly Lane[];
  readonly #places: Map<number, number>;
  readonly #stopped: AbortController = new AbortController();
  #left: number;
  #isStarted = false;
  #isEnded = false;
  #isBusy = false;
  #turn: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(pagers: readonly Pager[], options: ReaderOptions) {
    this.#options = options;
    this.#lanes = pagers.map((pager) => ({ pager, events: [], at: 0, isDone: false, isFilling: false }));
    this.#places = new Map(options.from);
    this.#left = options.limit ?? Number.POSITIVE_INFINITY;
  }

  /** Where this reader stands: give it to `from` to go on behind (backward: before) the last event that was handed out. */
  get cursor(): Cursor {
    return cursorOf(this.#places);
  }

  next(): Promise<IteratorResult<RecordedEvent<E>, undefined>> {
    if (!this.#isBusy) {
      const ready = this.#takeReady();
      if (ready) return Promise.resolve({ value: ready, done: false });
    }
    this.#isBusy = true;
    const turn = this.#turn.then(() => this.#next());
    const settled = turn
      .catch(() => undefined)
      .then(() => {
        if (this.#turn === settled) this.#isBusy = false;
      });
    this.#turn = settled;
    return turn;
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #next(): Promise<IteratorResult<RecordedEvent<E>, undefined>> {
    try {
      this.#start();
      while (!this.#isEnded && this.#left > 0) {
        this.#options.signal?.throwIfAborted();
        this.#options.closed.throwIfAborted();
        const value = this.#takeReady();
        if (value) return { value, done: false };
        if (this.#failure) throw this.#failure.error;
        if (this.#lanes.every(({ isDone }) => isDone)) break;
        await this.#fill();
      }
    } catch (error) {
      this.#end();
      throw publicError(this.#options.doing, error);
    }
    this.#end();
    return { value: undefined, done: true };
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const signal of [this.#options.signal, this.#options.closed]) {
      signal?.addEventListener('abort', () => this.#wake?.(), { once: true, signal: this.#stopped.signal });
    }
  }

  /** The next event, where it can be told without waiting. */
  #takeReady(): RecordedEvent<E> | undefined {
    const { signal, closed, filter } = this.#options;
    if (this.#isEnded || this.#left <= 0 || signal?.aborted === true || closed.aborted) return undefined;
    for (let lane = this.#chooseLane(); lane; lane = this.#chooseLane()) {
      const { event, place } = lane.events[lane.at] as LogEvent;
      lane.at += 1;
      this.#places.set(lane.pager.partition, place);
      if (filter && !filter(event)) continue;
      this.#left -= 1;
      return event as RecordedEvent<E>;
    }
    return undefined;
  }

  #chooseLane(): Lane | undefined {
    const [first] = this.#lanes;
    if (first && this.#lanes.length === 1) return hasEvents(first) ? first : undefined;
    const filled = this.#lanes.filter(hasEvents);
    if (this.#options.isEndless) return filled[0];
    if (this.#lanes.some((lane) => !lane.isDone && !hasEvents(lane))) return undefined;
    const step = this.#options.direction === 'forward' ? 1 : -1;
    return filled.sort((a, b) => step * (placeOf(a) - placeOf(b)))[0];
  }

  /** Asks for pages where lanes ran empty; resolves when one of them has come, or the reading was aborted or ended. */
  #fill(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      for (const lane of this.#lanes) if (!lane.isDone && !lane.isFilling && !hasEvents(lane)) void this.#fillLane(lane);
    });
  }

  async #fillLane(lane: Lane): Promise<void> {
    lane.isFilling = true;
    try {
      const page = await lane.pager.next();
      lane.events = page?.events ?? [];
      lane.at = 0;
      lane.isDone = page === undefined;
    } catch (error) {
      this.#failure ??= { error };
    }
    lane.isFilling = false;
    this.#wake?.();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#stopped.abort();
    this.#wake?.();
    for (const { pager } of this.#lanes) pager.stop();
  }
}

function hasEvents({ at, events }: Lane): boolean {
  return at < events.length;
}

function placeOf({ at, events }: Lane): number {
  return events[at]?.place ?? 0;
}
