// Appends: checks what a caller gives and hands it to the writer.
import { createHash } from 'node:crypto';
import { InvalidInputError, PartitionMismatchError } from '../errors.ts';
import { type AnyEvent, type EventMetadata, splitStreamName, type StreamName } from '../event.ts';
import { positionOf } from '../position.ts';
import type { MultiAppend, PreparedAppend, PreparedEvent, PreparedMark, PreparedResult, PreparedStream } from '../redis/batch.ts';
import type { DocumentWrite } from '../redis/scripts.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { show } from '../show.ts';
import { tokenAt } from '../token.ts';
import { type AppendAllResult, type AppendResult, type ExpectedVersion, type Guard, type Request, settle } from './append-outcome.ts';
import { appendLimits, bytesUpTo, prepareEvent, prepareEvents, tooMuch } from './encode-event.ts';
import { type PreparedLater, prepareSchedule, type ScheduledAppend } from './prepare-schedule.ts';
import { withTrace } from './with-trace.ts';

export type { AppendAllResult, AppendResult, ExpectedVersion, Guard };

/** Options of `append`. */
export interface AppendOptions {
  /** Default 'any'. */
  readonly expectedVersion?: ExpectedVersion;
  /** Streams of the same partition that have to be at a version too. */
  readonly guards?: readonly Guard[];
  /** A later append with the same key returns the first one's result, and with other events is refused; kept for `idempotencyTtlMs`. */
  readonly idempotencyKey?: string;
  /** Default 3,600,000 (1 h). */
  readonly idempotencyTtlMs?: number;
  /** Goes with each event, under what the event itself has. */
  readonly metadata?: EventMetadata;
}

/** One stream's part of `appendAll`. */
export interface StreamAppend<E extends AnyEvent = AnyEvent> {
  readonly stream: StreamName<E>;
  readonly events: E | readonly E[];
  /** Default 'any'. */
  readonly expectedVersion?: ExpectedVersion;
}

/** One whose event at the expected version has to stand at this place; -1 for none. A failover may have put another one there. */
export interface PlacedAppend extends StreamAppend {
  readonly lastPlace?: number;
}

/** Options of `appendAll`. */
export interface AppendAllOptions extends Omit<AppendOptions, 'expectedVersion'> {
  /** Events for later, of streams of the same partition: scheduled if and only if the append is made. */
  readonly schedule?: readonly ScheduledAppend[];
}

const IDEMPOTENCY_TTL_MS = 3_600_000;

/**
 * Appends to one stream. Most appends are one event with nothing beside it: they take a short way, on which little is allocated, for
 * what waits for Redis is what the garbage collector copies.
 */
export async function append(store: object, part: StreamAppend, options: AppendOptions): Promise<AppendResult> {
  const connection = connectionOf(store);
  const { category, id } = splitStreamName(part.stream);
  if (connection.telemetry) return onlyResult(await appendAll(connection, [part], options));
  const event = prepareLone(connection, part.events, options);
  if (event) {
    const partition = connection.keys.partitionOf(id);
    const expected = expectedText(part.expectedVersion);
    const outcome = await connection.writer.append(partition, {
      kind: 'plain',
      category,
      streamName: part.stream,
      expected,
      type: event.type,
      data: event.data,
      bytes: event.type.length + event.data.length,
    });
    if (outcome.kind === 'appended') return loneResult(connection, partition, outcome);
    return onlyResult(await settle(connection, prepare(connection, [part], options), outcome));
  }
  return onlyResult(await appendAll(connection, [part], options));
}

/** The only event of an append, encoded, if it has nothing beside type and data, and the append no options that need more. */
function prepareLone(
  connection: Connection,
  events: StreamAppend['events'],
  { guards, idempotencyKey, metadata }: AppendOptions,
): PreparedEvent | undefined {
  if (guards !== undefined || idempotencyKey !== undefined || metadata !== undefined || Array.isArray(events)) return undefined;
  const event = prepareEvent(connection, events as AnyEvent, undefined);
  return event.extras.length === 0 ? event : undefined;
}

function loneResult(
  { storeId }: Connection,
  partition: number,
  { versions, lastPlace }: { readonly versions: readonly number[]; readonly lastPlace: number },
): AppendResult {
  const position = positionOf(partition, lastPlace);
  return { streamVersion: versions[0] ?? 0, position, token: tokenAt(storeId, position), isRepeated: false };
}

function onlyResult({ streamVersions, position, token, isRepeated }: AppendAllResult): AppendResult {
  return { streamVersion: streamVersions[0] ?? 0, position, token, isRepeated };
}

/** Appends to several streams of one partition, all or nothing. */
export async function appendAll(connection: Connection, parts: readonly StreamAppend[], options: PrepareOptions): Promise<AppendAllResult> {
  return await traced(connection, parts, options, (given) => appendPrepared(connection, parts, given));
}

/** Tells of an append where somebody traces: `work` makes it, with the trace in its options. */
export async function traced<T>(
  connection: Connection,
  parts: readonly StreamAppend[],
  options: PrepareOptions,
  work: (options: PrepareOptions) => Promise<T>,
): Promise<T> {
  const { telemetry } = connection;
  if (!telemetry) return await work(options);
  // By what it was asked with: a request that comes again comes with another trace.
  const asked = options.digest ?? (options.idempotencyKey === undefined ? undefined : digestOfRequest(connection, parts, options));
  const digest = asked === undefined ? {} : { digest: asked };
  const all = [...parts, ...(Array.isArray(options.schedule) ? (options.schedule as readonly ScheduledAppend[]) : [])];
  const events = all.flatMap((part) => part.events);
  const categories = [...new Set(all.map(({ stream }) => splitStreamName(stream).category))];
  return await telemetry.append({ categories, events: events.length }, (trace) => {
    const metadata = withTrace(options.metadata, trace, events);
    return work({ ...options, ...(metadata === undefined ? {} : { metadata }), ...digest });
  });
}

function digestOfRequest(connection: Connection, parts: readonly StreamAppend[], options: PrepareOptions): string | undefined {
  const { append: prepared } = prepare(connection, parts, options);
  return prepared.kind === 'multi' ? prepared.result?.digest : undefined;
}

async function appendPrepared(connection: Connection, parts: readonly StreamAppend[], options: PrepareOptions): Promise<AppendAllResult> {
  if (parts.length === 0) throw new InvalidInputError('append', 'at least one stream', parts);
  const request = prepare(connection, parts, options);
  return settle(connection, request, await connection.writer.append(request.partition, request.append));
}

/** How an append is kept from being made twice by something else than a key of the caller's, and from being made too late. */
export interface Once {
  /** Where the result is kept until it is removed, in the partition that is written to. */
  readonly result: (partition: number) => { readonly key: string; readonly field: string };
  /** What has to be as expected there. */
  readonly marks: (partition: number) => readonly PreparedMark[];
  /** What is thrown when it is not. */
  readonly fenced: () => Error;
}

/** What `prepare` may be told beside the caller's options: what a request is recognised by, where that is not its events. */
export interface PrepareOptions extends AppendAllOptions {
  readonly digest?: string;
  readonly mayBeEmpty?: boolean;
  readonly once?: Once | undefined;
  readonly along?: Along | undefined;
  /** Where the only stream's event at its expected version has to stand; -1 for none. A failover may have put another one there. */
  readonly lastPlace?: number;
}

/** A document that changes with the events, in the partition where it lies. */
export interface Along {
  readonly partition: number;
  readonly marks: readonly PreparedMark[];
  readonly documents: readonly DocumentWrite[];
  /** What is thrown for a stream that lies elsewhere. */
  readonly mismatch: (streamName: string) => Error;
}

/** What a request is recognised by that comes with `Once`: a repeat counts as such whatever it asks for. */
export const DIGEST_OF_ONCE = 'once';

/** Checks and encodes an append. Throws InvalidInputError or PartitionMismatchError; nothing was sent then. */
export function prepare(connection: Connection, parts: readonly PlacedAppend[], options: PrepareOptions): Request {
  const { guards = [], idempotencyKey, metadata, schedule = [] } = options;
  const count = parts.length + guards.length + schedule.length;
  if (count > appendLimits.streamsOfAnAppend) throw tooMuch(appendLimits.streamsOfAnAppend, 'streams, guards included', count);
  const streams = parts.map((part) => prepareStream(connection, part, options));
  const later = prepareSchedule(connection, schedule, metadata);
  const bytes = checkSize([...streams, ...later]);
  const names = [...[...streams, ...later].map(({ streamName }) => streamName), ...guards.map(({ stream }) => stream)];
  const partition = options.along ? partitionAlong(connection, names, options.along) : commonPartition(connection, names);
  const asked = parts.map(({ expectedVersion = 'any' }, index) => ({
    streamName: streams[index]?.streamName ?? '',
    expected: expectedVersion,
    eventIds: (streams[index]?.events ?? []).map(({ extras }) => (extras[0] === 'event-id' ? extras[1] : undefined)),
  }));
  const only = streams.length === 1 ? streams[0] : undefined;
  const event = only?.events.length === 1 ? only.events[0] : undefined;
  const isPlain = only && event?.extras.length === 0 && count === 1 && idempotencyKey === undefined && !options.once && !options.along;
  const prepared: PreparedAppend = isPlain
    ? { kind: 'plain', category: only.category, streamName: only.streamName, expected: only.expected, type: event.type, data: event.data, bytes }
    : prepareMulti(connection, { partition, streams, later, bytes, options });
  const scheduledIds = later.map(({ entry }) => entry.id);
  return { partition, append: prepared, idempotencyKey, streams: asked, guards, scheduledIds, fenced: options.once?.fenced };
}

interface MultiParts {
  readonly partition: number;
  readonly streams: readonly PreparedStream[];
  readonly later: readonly PreparedLater[];
  readonly bytes: number;
  readonly options: PrepareOptions;
}

function prepareMulti({ keys }: Connection, { partition, streams, later, bytes, options }: MultiParts): MultiAppend {
  const { guards = [], idempotencyKey, idempotencyTtlMs = IDEMPOTENCY_TTL_MS, digest, once, along } = options;
  const resultAt = (): PreparedResult | undefined => {
    if (once) return { ...once.result(partition), digest: DIGEST_OF_ONCE };
    if (idempotencyKey === undefined) return undefined;
    return { key: keys.result(partition, idempotencyKey), digest: digest ?? digestOf(streams, later), ttlMs: idempotencyTtlMs };
  };
  const names = streams.map(({ streamName }) => streamName);
  if (new Set(names).size < names.length) throw new InvalidInputError('streams of an append', 'each stream once', names);
  if (idempotencyKey !== undefined) assertIdempotency(idempotencyKey, idempotencyTtlMs);
  return {
    kind: 'multi',
    streams,
    guards: guards.map(({ stream, expectedVersion }) => ({ streamName: stream, expected: expectedText(expectedVersion) })),
    marks: [...(once?.marks(partition) ?? []), ...(along?.marks ?? [])],
    documents: along?.documents,
    result: resultAt(),
    scheduled: later.map(({ entry }) => entry),
    bytes,
  };
}

function assertIdempotency(idempotencyKey: unknown, ttlMs: number): void {
  const isKey = typeof idempotencyKey === 'string' && idempotencyKey !== '' && idempotencyKey.length <= 1_024 && idempotencyKey.isWellFormed();
  if (!isKey) throw new InvalidInputError('idempotencyKey', 'a well-formed text of 1 to 1,024 characters', idempotencyKey);
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) throw new InvalidInputError('idempotencyTtlMs', 'a whole number of milliseconds from 1', ttlMs);
}

function prepareStream(connection: Connection, part: PlacedAppend, { metadata, mayBeEmpty = false, ...options }: PrepareOptions): PreparedStream {
  const { category } = splitStreamName(part.stream);
  const { expectedVersion = 'any', lastPlace = options.lastPlace ?? -1 } = part;
  return {
    category,
    streamName: part.stream,
    expected: lastPlace < 0 ? expectedText(expectedVersion) : `${expectedText(expectedVersion)}@${lastPlace}`,
    events: prepareEvents(connection, part.events, metadata, { mayBeEmpty }),
  };
}

function checkSize(streams: readonly { readonly events: readonly PreparedEvent[] }[]): number {
  const { eventsOfAnAppend, bytesOfAnAppend } = appendLimits;
  const events = streams.length === 1 ? (streams[0]?.events ?? []) : streams.flatMap((stream) => stream.events);
  const bytes = bytesUpTo(bytesOfAnAppend, events);
  if (events.length > eventsOfAnAppend) throw tooMuch(eventsOfAnAppend, 'events at once', events.length);
  if (bytes > bytesOfAnAppend) throw tooMuch(bytesOfAnAppend, 'bytes at once', bytes);
  return bytes;
}

/** An expected version as the append script reads it. Throws InvalidInputError for what is none. */
export function expectedText(expected: unknown): string {
  switch (expected) {
    case 'any':
      return 'any';
    case 'no-stream':
      return '0';
    case 'stream-exists':
      return 'exists';
    default:
      if (typeof expected === 'number' && Number.isSafeInteger(expected) && expected >= 0) return String(expected);
      throw new InvalidInputError('expectedVersion', "a whole number from 0, 'no-stream', 'stream-exists' or 'any'", expected);
  }
}

function partitionAlong({ keys }: Connection, names: readonly string[], { partition, mismatch }: Along): number {
  const elsewhere = names.find((name) => keys.partitionOf(splitStreamName(name).id) !== partition);
  if (elsewhere !== undefined) throw mismatch(elsewhere);
  return partition;
}

function commonPartition({ keys }: Connection, names: readonly string[]): number {
  const partitions = names.map((name) => keys.partitionOf(splitStreamName(name).id));
  const [first = 0] = partitions;
  const other = partitions.findIndex((partition) => partition !== first);
  if (other < 0) return first;
  throw new PartitionMismatchError(
    `Streams ${show(names[0])} and ${show(names[other])} lie in partitions ${first} and ${partitions[other]} of ${keys.partitions}, and Redis can only write to one at once. ` +
      'Nothing was written. Give streams that change together the same id, or use a store with one partition.',
  );
}

// Not by when something is due: a request that comes again reckons it from another time, and gets what was scheduled first.
function digestOf(streams: readonly PreparedStream[], later: readonly PreparedLater[]): string {
  const textOf = ({ streamName, events }: PreparedStream | PreparedLater): unknown => [
    streamName,
    events.map(({ type, data, extras }) => [type, data, extras]),
  ];
  return digestOfText(JSON.stringify(later.length === 0 ? streams.map(textOf) : [streams.map(textOf), later.map(textOf)]));
}

/** What a request is recognised by when it comes again. */
export function digestOfText(text: string): string {
  return createHash('sha1').update(text).digest('base64url');
}
