// Documents as they are stored, which needs no code, and as they became what they are, which needs that of their projection.
import type { RecordedEvent } from '../event.ts';
import { assertDocumentKey, type Projection, streamOfDocument } from '../fold/projection.ts';
import { readLog, readStream } from '../log/read.ts';
import { comparePositions, type Position, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { readDocuments } from '../redis/scripts.ts';
import { decodeDocument, documentFields, placeOfDocument } from '../snapshot/document.ts';
import { scanDocuments, type Versioned } from '../snapshot/scan.ts';
import type { DocumentFacts, DocumentStep } from './facts.ts';
import { partitionsOf } from './store-facts.ts';

/** Options of `documentKeys`. */
export interface DocumentKeysOptions {
  readonly startsWith?: string;
  /** At most so many. Default: all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** Options of `history`. */
export interface HistoryOptions {
  /** The first step that is told, from 1; those before are folded all the same. Default 1. */
  readonly from?: number;
  readonly signal?: AbortSignal;
}

/** By prefix, with a walk over the whole keyspace (SCAN): each key once, in no order. */
export async function* walkDocumentKeys(
  connection: Connection,
  of: Versioned,
  { startsWith = '', limit = Number.POSITIVE_INFINITY, signal }: DocumentKeysOptions,
): AsyncGenerator<string, undefined, undefined> {
  const seen = new Set<string>(); // SCAN may tell a key twice
  for (const partition of partitionsOf(connection)) {
    const prefix = connection.keys.snapshotPrefix(partition, of.name, of.version);
    for await (const found of scanDocuments(connection, of, partition, { startsWith, signal })) {
      for (const key of await withState(connection, found, prefix, seen)) {
        if (seen.size >= limit) return undefined;
        seen.add(key);
        yield key;
      }
    }
  }
  return undefined;
}

/** Of a projection keyed across partitions, what is left of a removed document is none. */
async function withState(connection: Connection, found: readonly string[], prefix: string, seen: ReadonlySet<string>): Promise<readonly string[]> {
  const names = [...new Set(found)].filter((name) => !seen.has(name.slice(prefix.length)));
  if (connection.keys.partitions === 1) return names.map((name) => name.slice(prefix.length));
  const isDeleted = await Promise.all(
    names.map((name) => reading('read documents', connection.port.send(name, ['HEXISTS', name, documentFields.deleted]))),
  );
  return names.filter((_, index) => isDeleted[index] === 0).map((name) => name.slice(prefix.length));
}

export async function readDocument(connection: Connection, { name, version }: Versioned, key: string): Promise<DocumentFacts | undefined> {
  assertDocumentKey(key);
  const partition = connection.keys.partitionOf(key);
  const documentKey = connection.keys.snapshot(partition, name, version, key);
  const [fields = []] = await readDocuments(connection.port, [documentKey]);
  const document = decodeDocument<unknown>(connection.codec, fields, documentKey);
  if (document.state === undefined) return undefined;
  const place = document.reserved.has(documentFields.position) ? placeOfDocument(document) : Number.NaN;
  return { key, partition, state: document.state, position: place >= 0 ? positionOf(partition, place) : undefined };
}

/**
 * Each event of a document, and what it made of it. With a key of its own any event may belong to it, so that the projection's categories are
 * read from the beginning; over several partitions they are folded in the order of time.
 */
export async function* readHistory<State>(
  connection: Connection,
  projection: Projection<State>,
  key: string,
  { from = 1, signal }: HistoryOptions,
): AsyncGenerator<DocumentStep<State>, undefined, undefined> {
  assertDocumentKey(key);
  let [step, state]: [number, State | undefined] = [0, undefined];
  for await (const event of eventsOf(connection, projection, key, signal)) {
    step += 1;
    state = projection.evolve(state ?? projection.initialState(), event) ?? undefined;
    if (step >= from) yield { step, event, state };
  }
  return undefined;
}

function eventsOf(
  connection: Connection,
  projection: Projection<unknown>,
  key: string,
  signal: AbortSignal | undefined,
): AsyncIterable<RecordedEvent> {
  const options = signal ? { signal } : {};
  if (!projection.isKeyedByStream) return belongingTo(readLog(connection, projection.categories, options), projection, key);
  return inOrder(projection.categories.map((category) => readStream(connection, streamOfDocument(category, key), options)));
}

async function* belongingTo(events: AsyncIterable<RecordedEvent>, projection: Projection<unknown>, key: string): AsyncGenerator<RecordedEvent> {
  for await (const event of events) if (projection.keys(event).includes(key)) yield event;
}

/** Streams of one id lie in one partition, where positions tell the order. */
async function* inOrder(streams: readonly AsyncIterator<RecordedEvent, undefined>[]): AsyncGenerator<RecordedEvent> {
  const heads = await Promise.all(streams.map(async (stream) => ({ stream, next: await stream.next() })));
  for (;;) {
    const [first] = heads.filter(({ next }) => next.done !== true).sort((a, b) => comparePositions(positionIn(a.next), positionIn(b.next)));
    if (first?.next.done !== false) return;
    yield first.next.value;
    first.next = await first.stream.next();
  }
}

function positionIn(next: IteratorResult<RecordedEvent, undefined>): Position {
  if (next.done === true) throw new RangeError('A stream that has ended has no next event.');
  return next.value.position;
}
