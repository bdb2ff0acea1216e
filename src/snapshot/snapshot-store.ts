// SnapshotStore: answers queries at once, from the documents that projections are folded into.
import { InvalidInputError, StoreMismatchError } from '../errors.ts';
import { assertDocumentKey, type Projection, streamOfDocument } from '../fold/projection.ts';
import type { Serving } from '../fold/serving.ts';
import { decodeAll, EVENTS_AT_ONCE, readTail, streamKeys } from '../log/fold-stream.ts';
import type { Position } from '../position.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { readDocuments, readFresh } from '../redis/scripts.ts';
import { splitToken, type Token } from '../token.ts';
import { decodeDocument, documentFields } from './document.ts';
import { foldDocuments, foldEvents, type Until } from './fold-documents.ts';
import { waitUntilReached } from './reached.ts';
import { assertBuilt, partitionsOf } from './ready.ts';
import { scanDocuments } from './scan.ts';
import { followServing } from './serving.ts';
import { InWords } from '../show.ts';

/** Which state of a document to read. Default: the one that is stored, which may lag behind the log. */
export interface GetOptions {
  /** Waits until the document holds what this append reached, up to `timeoutMs`. */
  readonly atLeast?: Token;
  /** How long `atLeast` may wait, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * The document as it was: with all events recorded at or before a time, or standing at or before a position. Folded from the log; for
   * a projection with a `key` of its own from the beginning of its categories, which takes its time: give a `signal`.
   */
  readonly at?: Date | Position;
  /** Folds in what the processor has not folded yet: fresh to the last event. For projections that are keyed by stream. Default false. */
  readonly fresh?: boolean;
  /**
   * Reads what is there although the projection has not yet folded everything once: documents may be missing, or old. Without it such
   * a read throws NotCaughtUpError. Default false.
   */
  readonly whileBuilding?: boolean;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 5_000;
const DOCUMENTS_AT_ONCE = 500;

/** Reads the documents of projections. Takes any open store; needs no closing. */
export class SnapshotStore {
  readonly #store: object;

  constructor(store: object) {
    this.#store = store;
    connectionOf(store);
  }

  /**
   * One document, or undefined where there is none. With `serving(…)` in place of a projection, that of the version which serves.
   * @throws NotCaughtUpError when `atLeast` was not reached in time, or the projection is still being folded for the first time.
   * @throws LogLostError for a token beyond the end of the log; UnknownVersionError when another version serves than the reader knows.
   * @throws StoreMismatchError for a token of another store; InvalidInputError for options or a key that cannot be.
   */
  async get<State>(projection: Projection<State> | Serving<State>, key: string, options: GetOptions = {}): Promise<State | undefined> {
    return (await this.getMany(projection, [key], options)).get(key);
  }

  /** Several documents by their keys; those that do not exist are absent. Throws as `get`. */
  async getMany<State>(
    projection: Projection<State> | Serving<State>,
    keys: readonly string[],
    options: GetOptions = {},
  ): Promise<ReadonlyMap<string, State>> {
    const connection = connectionOf(this.#store);
    for (const key of keys) assertDocumentKey(key);
    for (const each of versionsOf(projection)) checkOptions(each, options);
    options.signal?.throwIfAborted();
    return await reading(`read documents of ${projection.name}`, getDocuments(connection, projection, [...new Set(keys)], options));
  }

  /**
   * The keys of all documents of a projection, in no order; one that comes or goes meanwhile may be missing or there.
   * It walks the whole keyspace of Redis with SCAN: for maintenance, not for queries.
   */
  async *keys(
    projection: Projection<unknown> | Serving<unknown>,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncIterableIterator<string, undefined, undefined> {
    const connection = connectionOf(this.#store);
    const version = await reading('find out which version serves', versionToRead(connection, projection));
    const seen = new Set<string>(); // SCAN may tell a key twice
    for (let partition = 0; partition < connection.keys.partitions; partition += 1) {
      const prefix = connection.keys.snapshotPrefix(partition, version.name, version.version);
      for await (const found of scanDocuments(connection, version, partition, { signal })) {
        for (const key of await withoutTombstones(connection, found)) {
          if (seen.has(key)) continue;
          seen.add(key);
          yield key.slice(prefix.length);
        }
      }
    }
  }
}

function checkOptions({ isKeyedByStream }: Projection<unknown>, { at, fresh, atLeast, timeoutMs }: GetOptions): void {
  if (at !== undefined && (fresh === true || atLeast !== undefined))
    throw new InvalidInputError('options of get', "either 'at', 'fresh' or 'atLeast'", new InWords("'at' and another one"));
  if (fresh === true && !isKeyedByStream)
    throw new InvalidInputError('option fresh', 'a projection that is keyed by stream; use atLeast', new InWords('one with a key of its own'));
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0))
    throw new InvalidInputError('option timeoutMs', 'milliseconds from 0', timeoutMs);
}

function versionsOf<State>(projection: Projection<State> | Serving<State>): readonly Projection<State>[] {
  return 'versions' in projection ? projection.versions : [projection];
}

async function versionToRead<State>(connection: Connection, projection: Projection<State> | Serving<State>): Promise<Projection<State>> {
  return 'versions' in projection ? await followServing(connection, projection) : projection;
}

async function getDocuments<State>(
  connection: Connection,
  followed: Projection<State> | Serving<State>,
  keys: readonly string[],
  options: GetOptions,
): Promise<ReadonlyMap<string, State>> {
  const { at, atLeast, fresh, whileBuilding, timeoutMs = TIMEOUT_MS, signal } = options;
  const projection = await versionToRead(connection, followed);
  if (atLeast !== undefined) await waitForToken(connection, projection, atLeast, { timeoutMs, signal });
  const until: Until = at;
  if (until !== undefined || projection.consistency === 'live') return await foldDocuments(connection, projection, keys, { until, signal });
  if (fresh === true) return await readAllFresh(connection, projection, keys);
  const documents = readStored(connection, projection, keys);
  // Who waited for a token has what was asked for, however far the rest is.
  const isSure = whileBuilding === true || atLeast !== undefined;
  const [found] = await Promise.all([documents, isSure || assertBuilt(connection, projection, partitionsOf(connection, projection, keys))]);
  return found;
}

async function waitForToken(
  connection: Connection,
  projection: Projection<unknown>,
  token: Token,
  wait: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<void> {
  const { storeId, places } = splitToken(token);
  if (storeId !== connection.storeId) {
    throw new StoreMismatchError(
      `Expected a token of this store (${connection.storeId}), found one of store ${storeId}. Pass on the token of an append to the store that is read.`,
    );
  }
  // What is folded on read has always reached everything.
  if (projection.consistency !== 'live') await waitUntilReached(connection, projection, places, wait);
}

async function readStored<State>(
  connection: Connection,
  projection: Projection<State>,
  keys: readonly string[],
): Promise<ReadonlyMap<string, State>> {
  const documents = new Map<string, State>();
  for (const part of partsOf(connection, keys)) {
    const names = part.keys.map((key) => connection.keys.snapshot(part.partition, projection.name, projection.version, key));
    const found = await readDocuments(connection.port, names);
    part.keys.forEach((key, index) => {
      const { state } = decodeDocument<State>(connection.codec, found[index] ?? [], names[index] ?? '');
      if (state !== undefined) documents.set(key, state);
    });
  }
  return documents;
}

/** Keys by partition, so many at once that Redis is not held for long. */
function partsOf({ keys: names }: Connection, keys: readonly string[]): { partition: number; keys: string[] }[] {
  const parts: { partition: number; keys: string[] }[] = [];
  const open = new Map<number, string[]>();
  for (const key of keys) {
    const partition = names.partitionOf(key);
    const part = open.get(partition);
    if (part && part.length < DOCUMENTS_AT_ONCE) part.push(key);
    else {
      const fresh = [key];
      open.set(partition, fresh);
      parts.push({ partition, keys: fresh });
    }
  }
  return parts;
}

async function readAllFresh<State>(
  connection: Connection,
  projection: Projection<State>,
  keys: readonly string[],
): Promise<ReadonlyMap<string, State>> {
  const documents = new Map<string, State>();
  const states = await Promise.all(keys.map((key) => readOneFresh(connection, projection, key)));
  keys.forEach((key, index) => {
    const state = states[index];
    if (state !== undefined) documents.set(key, state);
  });
  return documents;
}

/** The stored document with the tails of its streams folded in, all of one moment. */
async function readOneFresh<State>(connection: Connection, projection: Projection<State>, key: string): Promise<State | undefined> {
  const streams = projection.categories.map((category) => streamKeys(connection, streamOfDocument(category, key)));
  const partition = connection.keys.partitionOf(key);
  const documentKey = connection.keys.snapshot(partition, projection.name, projection.version, key);
  const { fields, tails } = await readFresh(connection.port, documentKey, streams, { most: EVENTS_AT_ONCE });
  const events = await Promise.all(
    streams.map(async (stream, index) => {
      const { entries, held, length } = tails[index] ?? { entries: [], held: 0, length: 0 };
      const read = decodeAll(connection, stream, entries);
      const next = held + EVENTS_AT_ONCE;
      return next < length ? [...read, ...(await readTail(connection, stream, next))] : read;
    }),
  );
  const { state } = decodeDocument<State>(connection.codec, fields, documentKey);
  return foldEvents(
    projection,
    events.flat().sort((a, b) => a.place - b.place),
    state,
  );
}

/** A tombstone of a deleted document is none; there are such only where documents are folded from several partitions. */
async function withoutTombstones({ port, keys: { partitions } }: Connection, keys: readonly string[]): Promise<readonly string[]> {
  if (partitions === 1) return keys;
  const deleted = await Promise.all(keys.map((key) => port.send(key, ['HEXISTS', key, documentFields.deleted])));
  return keys.filter((_, index) => deleted[index] === 0);
}
