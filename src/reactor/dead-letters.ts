// DeadLetters: what a reactor gave up on, for people to look at, to have it tried again, changed or not, and to discard.
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidInputError } from '../errors.ts';
import { type AnyEvent, assertName } from '../event.ts';
import { prepareEvent } from '../log/encode-event.ts';
import { placeIn } from '../position.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { discardLetters, type LetterAt, retryLetters } from '../redis/reaction-scripts.ts';
import type { EditedEvent } from './letter.ts';
import { type DeadLetter, letterKeys, type LettersOf, type PageOf, readLastPlace, readLetters, readPlaces, readStored } from './letter-pages.ts';
import type { Reactor } from './reactor.ts';

/** Whose dead letters: a reactor, or its name where its code is not at hand. */
export type ReactorName = Pick<Reactor, 'name'> & Partial<Pick<Reactor, 'version' | 'types'>>;

/** Options of `list`. */
export interface ListLettersOptions {
  /** At most so many. Default: all. */
  readonly limit?: number;
  /** Begins behind the letter with this id, whether that is open still or not. */
  readonly from?: string;
  readonly signal?: AbortSignal;
}

/** Options of `retry` for one letter. */
export interface RetryLetterOptions {
  /**
   * What the handler gets in place of type and data, and of metadata where that is given: checked like an append, and kept for later retries
   * too. The log keeps the event as it was.
   */
  readonly event?: EditedEvent;
}

/** Which letters, of all that are open at the call. */
export interface LettersWhere {
  readonly where: (letter: DeadLetter) => boolean;
  readonly signal?: AbortSignal;
}

/** What is done with letters of one partition; how many of them were open. */
type Deed = (of: LettersOf, letters: readonly LetterAt[]) => Promise<number>;

/** Letters with their events, and letters without. */
const PAGE = 50;
const PLACES_PAGE = 500;
const POLL_MS = 50;

/**
 * The dead letters of one reactor, as `ProcessorControl.deadLetters` gives them. It only asks: whoever runs the reactor in a letter's
 * partition tries it, within a second, or when a processor runs next. What waits behind a letter goes on once that is handled or discarded.
 */
export class DeadLetters {
  readonly #store: object;
  readonly #name: string;
  readonly #version: number;
  readonly #types: ReadonlySet<string> | undefined;

  constructor(store: object, { name, version = 1, types }: ReactorName) {
    assertName('reactor name', name, ':@');
    if (!Number.isSafeInteger(version) || version < 1) throw new InvalidInputError('reactor version', 'a whole number from 1', version);
    connectionOf(store);
    this.#store = store;
    this.#name = name;
    this.#version = version;
    this.#types = types;
  }

  /** How many are open. */
  async count(): Promise<number> {
    const { port } = this.#connection;
    const keys = this.#partitions().map((of) => letterKeys(this.#connection, of).deadKey);
    const counts = await this.#doing('count', Promise.all(keys.map((key) => port.send(key, ['ZCARD', key]))));
    return counts.reduce<number>((sum, count) => sum + Number(count), 0);
  }

  /**
   * Those that are open, by partition, in the order of their events; a page at a time. What is opened or closed meanwhile may be missing
   * or among them. An abort of `signal` ends it with its reason.
   * @throws InvalidInputError for a `limit` or an id that is none; CorruptEntryError for an entry of the log that cannot be read.
   */
  async *list({ limit = Number.POSITIVE_INFINITY, from, signal }: ListLettersOptions = {}): AsyncIterableIterator<DeadLetter, undefined, undefined> {
    if (!(typeof limit === 'number' && limit >= 1)) throw new InvalidInputError('option limit', 'a number from 1', limit);
    const begin = from === undefined ? { partition: 0, place: -1 } : this.#parse(from);
    let left = limit;
    for (const of of this.#partitions().slice(begin.partition)) {
      const after = of.partition === begin.partition ? begin.place : -1;
      for await (const places of this.#pages(of, { after, through: undefined, count: PAGE }, signal)) {
        for (const letter of (await this.#doing('list', readLetters(this.#connection, of, places))).slice(0, left)) {
          signal?.throwIfAborted();
          yield letter;
          left -= 1;
        }
        if (left <= 0) return undefined;
      }
    }
    return undefined;
  }

  /** One of them; undefined where it is not open (any more). Throws InvalidInputError for an id that is none. */
  async get(id: string): Promise<DeadLetter | undefined> {
    const { partition, place } = this.#parse(id);
    const [letter] = await this.#doing('read', readLetters(this.#connection, this.#of(partition), [place]));
    return letter;
  }

  /**
   * Asks that one, or several, be tried again: the letter first, then what waits behind it, in order. One that fails again stays, with its
   * attempts summed. Whether that one is open, or how many are; the others are left as they are. One that is being tried at this moment is
   * tried once more, should it fail.
   * @throws InvalidInputError for an id that is none, and for an event that could not be appended, or that the reactor does not take.
   */
  retry(id: string, options?: RetryLetterOptions): Promise<boolean>;
  retry(ids: readonly string[]): Promise<number>;
  async retry(ids: string | readonly string[], { event }: RetryLetterOptions = {}): Promise<boolean | number> {
    const edit = event === undefined ? undefined : this.#encode(event);
    const retry: Deed = (of, letters) =>
      retryLetters(
        this.#connection.port,
        letterKeys(this.#connection, of),
        letters.map((each) => ({ ...each, edit })),
      );
    const asked = await this.#doing('retry', this.#forEach(typeof ids === 'string' ? [ids] : ids, retry));
    return typeof ids === 'string' ? asked > 0 : asked;
  }

  /**
   * Asks that all be tried again, or those for which `where` is true; how many. It holds a page at a time. Where the process dies in
   * between, what was asked for stays so and the rest stays dead: call it again.
   */
  async retryAll({ where, signal }: Partial<LettersWhere> = {}): Promise<number> {
    const retry: Deed = (of, letters) => retryLetters(this.#connection.port, letterKeys(this.#connection, of), letters);
    return await this.#doing('retry', this.#forAll(retry, where, signal));
  }

  /**
   * Closes one, or several, for good, without their events being handled; what waits behind goes on. Whether that one was open, or how
   * many were. What a handler has begun with at this moment is not taken back.
   * @throws InvalidInputError for an id that is none.
   */
  discard(id: string): Promise<boolean>;
  discard(ids: readonly string[]): Promise<number>;
  async discard(ids: string | readonly string[]): Promise<boolean | number> {
    const discarded = await this.#doing('discard', this.#forEach(typeof ids === 'string' ? [ids] : ids, this.#discard));
    return typeof ids === 'string' ? discarded > 0 : discarded;
  }

  /** Closes those for which `where` is true; how many. As with `retryAll`, call it again where the process died in between. */
  async discardAll({ where, signal }: LettersWhere): Promise<number> {
    if (typeof where !== 'function') throw new InvalidInputError('option where', 'a function that tells which ones; () => true for all', where);
    return await this.#doing('discard', this.#forAll(this.#discard, where, signal));
  }

  /**
   * Resolves when nothing that was asked for is left to be tried, nor what waited behind it. While no processor runs the reactor, it does
   * not. An abort of `signal` ends it with its reason.
   */
  async settled({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { port } = this.#connection;
    const keys = this.#partitions().map((of) => letterKeys(this.#connection, of).retryingKey);
    for (;;) {
      signal?.throwIfAborted();
      const counts = await this.#doing('look after', Promise.all(keys.map((key) => port.send(key, ['ZCARD', key]))));
      if (counts.every((count) => Number(count) === 0)) return;
      await delay(POLL_MS);
    }
  }

  get #connection(): Connection {
    return connectionOf(this.#store);
  }

  readonly #discard: Deed = (of, letters) => discardLetters(this.#connection.port, letterKeys(this.#connection, of), letters);

  /** Those with these ids, each once. */
  async #forEach(ids: readonly string[], deed: Deed): Promise<number> {
    if (!Array.isArray(ids)) throw new InvalidInputError('ids of dead letters', 'a text, or several in an array', ids);
    const byPartition = new Map<number, Set<number>>();
    for (const { partition, place } of ids.map((id) => this.#parse(id)))
      byPartition.set(partition, (byPartition.get(partition) ?? new Set()).add(place));
    let count = 0;
    for (const [partition, places] of byPartition) {
      const of = this.#of(partition);
      for (let at = 0; at < places.size; at += PLACES_PAGE) {
        const letters = await readStored(this.#connection, of, [...places].slice(at, at + PLACES_PAGE));
        if (letters.length > 0) count += await deed(of, letters);
      }
    }
    return count;
  }

  /** Those that are open at the call: others that come of it are not followed. */
  async #forAll(deed: Deed, where: LettersWhere['where'] | undefined, signal: AbortSignal | undefined): Promise<number> {
    let count = 0;
    for (const of of this.#partitions()) {
      const through = await readLastPlace(this.#connection, of);
      for await (const places of this.#pages(of, { after: -1, through, count: where ? PAGE : PLACES_PAGE }, signal)) {
        const letters = await this.#chosen(of, places, where);
        if (letters.length > 0) count += await deed(of, letters);
      }
    }
    return count;
  }

  async #chosen(of: LettersOf, places: readonly number[], where: LettersWhere['where'] | undefined): Promise<readonly LetterAt[]> {
    if (!where) return await readStored(this.#connection, of, places);
    const letters = await readLetters(this.#connection, of, places);
    return letters.filter((letter) => where(letter)).map(({ id, key = '' }) => ({ place: this.#parse(id).place, key }));
  }

  async *#pages(of: LettersOf, { after, through, count }: PageOf, signal: AbortSignal | undefined): AsyncGenerator<readonly number[]> {
    let behind = after;
    for (;;) {
      signal?.throwIfAborted();
      const places = await this.#doing('list', readPlaces(this.#connection, of, { after: behind, through, count }));
      yield places;
      if (places.length < count) return;
      behind = places.at(-1) ?? behind;
    }
  }

  #encode({ type, data, metadata }: EditedEvent): string {
    const event: AnyEvent = { type, data, ...(metadata !== undefined && { metadata }) };
    prepareEvent(this.#connection, event, undefined);
    if (this.#types && !this.#types.has(type)) throw new InvalidInputError('event type', `one that reactor ${this.#name} takes`, type);
    return this.#connection.codec.encode(event);
  }

  #parse(id: unknown): { readonly partition: number; readonly place: number } {
    const found = placeIn(id);
    const { partitions } = this.#connection.keys;
    if (found && found.partition < partitions) return { partition: found.partition, place: found.packed };
    const expected = `an id as list() gives it, like "1767225600000-0", of one of the ${partitions} partitions of this store`;
    throw new InvalidInputError('id of a dead letter', expected, id);
  }

  #of(partition: number): LettersOf {
    return { name: this.#name, version: this.#version, partition };
  }

  #partitions(): readonly LettersOf[] {
    return Array.from({ length: this.#connection.keys.partitions }, (_, partition) => this.#of(partition));
  }

  async #doing<T>(what: string, promise: Promise<T>): Promise<T> {
    return await reading(`${what} dead letters of ${this.#name}@${this.#version}`, promise);
  }
}
