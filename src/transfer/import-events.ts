// Brings exported events into a store, each once, with its own version, id and time: whatever is broken off is finished by doing it again.
import { isDeepStrictEqual } from 'node:util';
import { InvalidInputError, MillraceError } from '../errors.ts';
import { type RecordedEvent, splitStreamName } from '../event.ts';
import { prepareEvent } from '../log/encode-event.ts';
import { decodeAll, streamKeys } from '../log/fold-stream.ts';
import type { MultiAppend } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { readStreams } from '../redis/scripts.ts';
import { InWords } from '../show.ts';
import type { ExportedEvent } from './format.ts';
import type { NumberedEvent } from './read-export.ts';

/** How an import is done. */
export interface ImportOptions {
  /** Only looks what would be written. Default false. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** Told after each piece how many events were looked at. */
  readonly onProgress?: (done: number) => void;
}

/** What an import came to. */
export interface Imported {
  readonly appended: number;
  /** Those that were there already, the same. */
  readonly alreadyThere: number;
}

/** What is there differs from what is to be imported. */
export class ImportConflictError extends MillraceError {
  readonly code = 'import-conflict';
}

/** Events that are looked at and appended together; memory holds no more. */
const EVENTS_AT_ONCE = 2_000;
const BYTES_AT_ONCE = 8_388_608;
/** Somebody may append to the same stream meanwhile; then it is looked again. */
const TRIES = 5;

/**
 * Appends what is not there, in the order of the file within each partition. An event that is there at its version has to be the same, or
 * ImportConflictError says what differs; so does a version with a gap before it.
 */
export async function importInto(connection: Connection, events: AsyncIterable<NumberedEvent>, options: ImportOptions = {}): Promise<Imported> {
  const sum = { appended: 0, alreadyThere: 0 };
  for await (const piece of pieces(events)) {
    options.signal?.throwIfAborted();
    const { appended, alreadyThere } = await importPiece(connection, piece, options.dryRun === true);
    sum.appended += appended;
    sum.alreadyThere += alreadyThere;
    options.onProgress?.(sum.appended + sum.alreadyThere);
  }
  return sum;
}

async function* pieces(events: AsyncIterable<NumberedEvent>): AsyncGenerator<readonly NumberedEvent[]> {
  let piece: NumberedEvent[] = [];
  let bytes = 0;
  for await (const each of events) {
    piece.push(each);
    bytes += JSON.stringify(each.event.data)?.length ?? 0;
    if (piece.length < EVENTS_AT_ONCE && bytes < BYTES_AT_ONCE) continue;
    yield piece;
    [piece, bytes] = [[], 0];
  }
  if (piece.length > 0) yield piece;
}

async function importPiece(connection: Connection, piece: readonly NumberedEvent[], isDryRun: boolean): Promise<Imported> {
  for (let attempt = 1; ; attempt += 1) {
    const missing = await missingOf(connection, piece);
    const alreadyThere = piece.length - missing.length;
    if (isDryRun) return { appended: missing.length, alreadyThere };
    const conflicts = await appendAll(connection, missing);
    if (conflicts === 0) return { appended: missing.length, alreadyThere };
    if (attempt === TRIES)
      throw new ImportConflictError(
        'Expected nobody else to append to the streams that are imported, found that somebody does. What was imported stays: stop them, and import again.',
      );
  }
}

/** Of a piece what is not there yet; what is there is compared. */
async function missingOf(connection: Connection, piece: readonly NumberedEvent[]): Promise<readonly NumberedEvent[]> {
  const byStream = new Map<string, NumberedEvent[]>();
  for (const each of piece) {
    const events = byStream.get(each.event.stream);
    if (events) events.push(each);
    else byStream.set(each.event.stream, [each]);
  }
  const found = await Promise.all([...byStream].map(([stream, events]) => missingOfStream(connection, stream, events)));
  const missing = new Set(found.flat());
  return piece.filter((each) => missing.has(each)); // in the order of the file
}

async function missingOfStream(connection: Connection, stream: string, events: readonly NumberedEvent[]): Promise<readonly NumberedEvent[]> {
  const [first, last] = [events[0]?.event.version ?? 1, events.at(-1)?.event.version ?? 1];
  assertContiguous(stream, events);
  const keys = streamKeys(connection, stream);
  const [part] = await reading(
    'read what is there',
    readStreams(connection.port, [{ indexKey: keys.indexKey, logKey: keys.logKey, start: first - 1, stop: last - 1 }]),
  );
  const length = part?.length ?? 0;
  if (length < first - 1)
    throw new ImportConflictError(
      `Expected stream ${JSON.stringify(stream)} to be at version ${first - 1} before line ${events[0]?.line}, found ${length}: events before are missing. Nothing was written to it. Import an export that holds the stream from its beginning.`,
    );
  const there = decodeAll(connection, keys, part?.entries ?? []);
  for (const [index, { event }] of there.entries()) assertSame(events[index], event);
  return events.slice(there.length);
}

function assertContiguous(stream: string, events: readonly NumberedEvent[]): void {
  for (const [index, { line, event }] of events.entries()) {
    const before = events[index - 1]?.event.version;
    if (before !== undefined && event.version !== before + 1)
      throw new InvalidInputError(`line ${line} of the export`, `version ${before + 1} of stream ${stream}`, new InWords(`version ${event.version}`));
  }
}

function assertSame(expected: NumberedEvent | undefined, found: RecordedEvent): void {
  if (!expected) return;
  const { event, line } = expected;
  const isSame =
    event.type === found.type &&
    (event.id ?? `${event.stream}@${event.version}`) === found.id &&
    event.at === found.recordedAt.getTime() &&
    isDeepStrictEqual(event.data, found.data) &&
    isDeepStrictEqual(event.metadata ?? {}, { ...found.metadata });
  if (isSame) return;
  throw new ImportConflictError(
    `Expected ${event.stream}@${event.version} of line ${line} (${event.type}, ${new Date(event.at).toISOString()}), found another event there (${found.type}, ${found.recordedAt.toISOString()}). ` +
      'Nothing was written to its stream. Import into an empty namespace, or look which of the two is right.',
  );
}

/** How many met another version than they expect. What goes together is in order, and one connection keeps it. */
async function appendAll(connection: Connection, events: readonly NumberedEvent[]): Promise<number> {
  const outcomes = await Promise.all(
    events.map(({ event }) => connection.writer.append(connection.keys.partitionOf(splitStreamName(event.stream).id), preparedOf(connection, event))),
  );
  const failed = outcomes.find((outcome) => outcome.kind === 'failed');
  if (failed?.kind === 'failed')
    throw new ImportConflictError(
      `An event could not be written: ${failed.message}. What was imported stays: look what is in the way, and import again.`,
    );
  return outcomes.filter(({ kind }) => kind === 'conflict').length;
}

function preparedOf(connection: Connection, { stream, version, type, data, metadata, id, at }: ExportedEvent): MultiAppend {
  const { category } = splitStreamName(stream);
  const event = { type, data, ...(metadata ? { metadata } : {}), ...(id === undefined ? {} : { id }) };
  const prepared = prepareEvent(connection, event, undefined);
  const extras = [...prepared.extras, 'at', String(at)];
  return {
    kind: 'multi',
    streams: [{ category, streamName: stream, expected: String(version - 1), events: [{ ...prepared, extras }] }],
    guards: [],
    marks: [],
    result: undefined,
    bytes: prepared.data.length,
  };
}
