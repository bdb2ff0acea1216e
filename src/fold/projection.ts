// A projection: a fold of one or several categories into documents, with a name, a version and a key.
import { type AnyEvent, assertName, type RecordedEvent, splitStreamName } from '../event.ts';
import { InvalidInputError } from '../errors.ts';
import { frozen } from './frozen.ts';
import type { AnyCategory, EventOf } from './category.ts';

/** Whether documents are stored by a processor (`async`) or folded on every read (`live`). */
export type Consistency = 'async' | 'live';

/** The documents that an event belongs to: one key, several, or none. */
export type DocumentKeys = string | readonly string[] | undefined;

/** What `projection` takes. */
export interface ProjectionDefinition<C extends readonly AnyCategory[], State> {
  /** The name of the documents in Redis and of the checkpoint. */
  readonly name: string;
  /** Raise it when the fold changes: each version has documents and a checkpoint of its own. Default 1. */
  readonly version?: number;
  readonly categories: C;
  /**
   * Which documents an event is folded into. Default: the one whose key is the stream's id. Pure: the same event always has the
   * same keys. A key is any well-formed text of at most 1 KiB.
   */
  readonly key?: (event: RecordedEvent<EventOf<C[number]>>) => DocumentKeys;
  readonly initialState: () => State;
  /**
   * The document after one more event; `null` deletes it. Must give the same for the same events. It may change the state in place, but
   * not the event, nor what the state took over from it uncopied: events are frozen, for other projections fold the same ones.
   * An event whose type it does not know it should return unchanged, for another version of the program may append such.
   */
  readonly evolve: (state: State, event: RecordedEvent<EventOf<C[number]>>) => State | null;
  /** Default `async`. */
  readonly consistency?: Consistency;
}

/** A projection, as `projection` makes it: run by a StreamProcessor, read through a SnapshotStore. */
export interface Projection<State> {
  readonly name: string;
  readonly version: number;
  readonly categories: readonly string[];
  readonly consistency: Consistency;
  /** Whether the documents' keys are the streams' ids. */
  readonly isKeyedByStream: boolean;
  // Written as methods, whose parameters vary both ways: a processor runs projections of any state side by side.
  keys(event: RecordedEvent): readonly string[];
  initialState(): State;
  evolve(state: State, event: RecordedEvent): State | null;
}

/** How long a document's key may be, in UTF-8 bytes. */
export const DOCUMENT_KEY_BYTES_MAX = 1_024;

/**
 * Defines a projection. State and events are inferred from `initialState` and `categories`.
 * @throws InvalidInputError for a name, version or list of categories that cannot be one.
 */
export function projection<const C extends readonly AnyCategory[], State>(definition: ProjectionDefinition<C, State>): Projection<State> {
  const { name, version = 1, categories, key, initialState, evolve, consistency = 'async' } = definition;
  assertName('projection name', name, ':@');
  if (!Number.isSafeInteger(version) || version < 1) throw new InvalidInputError('projection version', 'a whole number from 1', version);
  if (categories.length === 0 || !categories.every(isCategory))
    throw new InvalidInputError('categories of a projection', 'one or several categories, as category() makes them', categories);
  const fold = evolve as Projection<State>['evolve'];
  return Object.freeze({
    name,
    version,
    categories: [...new Set(categories.map((each) => each.name))].sort(),
    consistency,
    isKeyedByStream: key === undefined,
    keys: key === undefined ? keyOfStream : keysOf(key as (event: RecordedEvent) => DocumentKeys),
    initialState,
    evolve: (state: State, event: RecordedEvent) => fold(state, frozen(event)),
  });
}

// Types tell it in TypeScript; a program in JavaScript may give names.
function isCategory(category: AnyCategory): boolean {
  return typeof category === 'object' && typeof category.name === 'string';
}

/** Checks a document's key. Throws InvalidInputError. */
export function assertDocumentKey(key: unknown): asserts key is string {
  const isKey = typeof key === 'string' && key.isWellFormed() && key !== '' && Buffer.byteLength(key) <= DOCUMENT_KEY_BYTES_MAX;
  if (!isKey) throw new InvalidInputError('document key', `a well-formed text of 1 to ${DOCUMENT_KEY_BYTES_MAX} bytes`, key);
}

function keyOfStream(event: RecordedEvent): readonly string[] {
  return [event.streamName.slice(event.streamName.indexOf(':') + 1)];
}

function keysOf(key: (event: RecordedEvent) => DocumentKeys): (event: RecordedEvent) => readonly string[] {
  return (event) => {
    const given = key(event);
    const keys = given === undefined ? [] : typeof given === 'string' ? [given] : [...new Set(given)];
    for (const each of keys) assertDocumentKey(each);
    return keys;
  };
}

/** The stream of a category whose id is a document's key, for a projection keyed by stream. */
export function streamOfDocument(categoryName: string, key: string): string {
  const name = `${categoryName}:${key}`;
  splitStreamName(name);
  return name;
}

/** Any projection, for those who run many. */
export type AnyProjection = Projection<unknown>;

/** What `evolve` of any projection gets. */
export type AnyRecordedEvent = RecordedEvent<AnyEvent>;
