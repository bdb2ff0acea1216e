// Documents of a projection in memory while they are folded, and what a commit writes of them.
import { LRUCache } from 'lru-cache';
import { InvalidInputError } from '../errors.ts';
import { DocumentTooLargeError } from '../processing-errors.ts';
import type { AnyProjection } from '../fold/projection.ts';
import type { LogEvent } from '../log/entry.ts';
import type { Connection } from '../redis/connection.ts';
import { type DocumentWrite, readDocuments } from '../redis/scripts.ts';
import { decodeDocument, encodeState, namesGone, namesOf, placeOfDocument, positionFields, projectionLimits, sizeOf } from '../snapshot/document.ts';

/** A document as it is in memory: `state` undefined where there is none. */
export interface CachedDocument {
  readonly key: string;
  state: unknown;
  /** The names of its fields in Redis, so that those which go are removed. */
  fields: readonly string[];
  /** About how many characters it takes, encoded. */
  size: number;
  /** The last event folded into it. */
  place: number;
}

/** Where a task's documents come from and go to. */
export interface Documents {
  /** The documents with these keys, from memory or from Redis. `settle` waits for the commit that is on its way. */
  load(keys: ReadonlySet<string>, settle: () => Promise<void>): Promise<ReadonlyMap<string, CachedDocument>>;
  /** Folds an event into one of them; whether that changed it. */
  fold(document: CachedDocument, event: LogEvent): boolean;
  /** Encodes what changed, at once; resolves with what the checkpoint's commit is to write along. Throws Unstorable. */
  store(changed: ReadonlySet<CachedDocument>): Promise<readonly DocumentWrite[]>;
  /** Told when a commit is done. */
  committed(): Promise<void>;
  /** Forgets all: `evolve` may have changed them in place, or somebody else may have stored newer ones. */
  clear(): void;
}

/** A document cannot be stored, by an event that is not known yet. Internal: never reaches a caller. */
export class Unstorable extends Error {}

/** The fold of one event into one document, in memory. */
export function foldInto(projection: AnyProjection, document: CachedDocument, { event, place }: LogEvent): void {
  const state = projection.evolve(document.state ?? projection.initialState(), event);
  if (state === undefined) throw new InvalidInputError('state that evolve returned', 'a state, or null to delete the document', state);
  document.state = state ?? undefined;
  document.place = place;
}

/** A document's state as fields. Throws Unstorable. */
export function encodeDocument({ codec }: Connection, projection: AnyProjection, document: CachedDocument): string[] {
  try {
    const fields = document.state === undefined ? [] : encodeState(codec, document.state);
    document.size = sizeOf(fields);
    const { documentBytes } = projectionLimits;
    if (document.size > documentBytes)
      throw new DocumentTooLargeError(`${projection.name}@${projection.version}`, document.key, { bytes: document.size, bytesMax: documentBytes });
    return fields;
  } catch (cause) {
    throw new Unstorable('a document cannot be stored', { cause });
  }
}

/** Whether fields and values in turn have just these names, as most documents do from event to event. */
function hasNames(fields: readonly string[], names: readonly string[]): boolean {
  if (fields.length !== 2 * names.length) return false;
  for (let index = 0; index < names.length; index += 1) if (fields[2 * index] !== names[index]) return false;
  return true;
}

/** Documents that lie in the partition of their events: they are stored by the script that moves the checkpoint. */
export class LocalDocuments implements Documents {
  readonly #connection: Connection;
  readonly #projection: AnyProjection;
  readonly #partition: number;
  readonly #cache: LRUCache<string, CachedDocument> = new LRUCache({ max: projectionLimits.cachedDocuments });

  constructor(connection: Connection, projection: AnyProjection, partition: number) {
    this.#connection = connection;
    this.#projection = projection;
    this.#partition = partition;
  }

  async load(keys: ReadonlySet<string>, settle: () => Promise<void>): Promise<ReadonlyMap<string, CachedDocument>> {
    const documents = new Map<string, CachedDocument>();
    const missing: string[] = [];
    for (const key of keys) {
      const document = this.#cache.get(key);
      if (document) documents.set(key, document);
      else missing.push(key);
    }
    // What the cache has let go may be in the commit on its way, which another command could overtake.
    if (missing.length > 0 && this.#cache.size >= projectionLimits.cachedDocuments) await settle();
    const documentKeys = missing.map((key) => this.#keyOf(key));
    const found = await readDocuments(this.#connection.port, documentKeys);
    for (const [index, key] of missing.entries()) {
      const fields = found[index] ?? [];
      const decoded = decodeDocument<unknown>(this.#connection.codec, fields, documentKeys[index] ?? '');
      const document = { key, state: decoded.state, fields: namesOf(fields), size: sizeOf(fields), place: placeOfDocument(decoded) };
      documents.set(key, document);
      this.#cache.set(key, document);
    }
    return documents;
  }

  fold(document: CachedDocument, event: LogEvent): boolean {
    foldInto(this.#projection, document, event);
    return true;
  }

  async store(changed: ReadonlySet<CachedDocument>): Promise<readonly DocumentWrite[]> {
    return [...changed].map((document) => this.#write(document));
  }

  async committed(): Promise<void> {
    // Everything was in the commit.
  }

  clear(): void {
    this.#cache.clear();
  }

  #keyOf(key: string): string {
    return this.#connection.keys.snapshot(this.#partition, this.#projection.name, this.#projection.version, key);
  }

  #write(document: CachedDocument): DocumentWrite {
    const key = this.#keyOf(document.key);
    const before = document.fields;
    if (document.state === undefined) {
      document.fields = [];
      return { key, fields: undefined, removed: [] };
    }
    const fields = encodeDocument(this.#connection, this.#projection, document);
    fields.push(...positionFields(document.place));
    if (hasNames(fields, before)) return { key, fields, removed: [] };
    document.fields = namesOf(fields);
    return { key, fields, removed: namesGone(before, document.fields) };
  }
}
