// What came of an append: its result, or the error that says why nothing was written.
import {
  IdempotencyKeyReusedError,
  type MillraceError,
  ServerRefusedError,
  UnconfirmedError,
  type UnconfirmedResult,
  VersionConflictError,
} from '../errors.ts';
import { type RecordedEvent, splitStreamName, type StreamName } from '../event.ts';
import { type Position, positionOf } from '../position.ts';
import type { PreparedAppend, WriteOutcome } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { MISSED_EVENTS_MAX, type RawEntry, readStreams } from '../redis/scripts.ts';
import type { AppendOutcome, Shortfall, Witness } from '../redis/writer.ts';
import { type Token, tokenOf } from '../token.ts';
import { decodeEntry, type LogEvent } from './entry.ts';
import { decodeAll, streamKeys } from './fold-stream.ts';

/** What a stream has to be at: a version (0 is an empty one), no events, at least one, or whatever it is. */
export type ExpectedVersion = number | 'no-stream' | 'stream-exists' | 'any';

/** A stream that is not written to, but has to be at a version. */
export interface Guard {
  readonly stream: StreamName;
  readonly expectedVersion: ExpectedVersion;
}

/** What an append reached. */
export interface AppendResult {
  /** The stream's version after it. */
  readonly streamVersion: number;
  /** The position of its last event. */
  readonly position: Position;
  /** For a read that has to see it: `atLeast`. */
  readonly token: Token;
  /** Whether this is the first result of a request that was repeated. */
  readonly isRepeated: boolean;
}

/** What `appendAll` reached; the versions in the order of its streams. */
export interface AppendAllResult extends Omit<AppendResult, 'streamVersion'> {
  readonly streamVersions: readonly number[];
  /** The ids of what was scheduled along, in its order. */
  readonly scheduledIds: readonly string[];
}

/** An append of some streams, ready to be sent, with what its conflicts need to be told. */
export interface Request {
  readonly partition: number;
  readonly append: PreparedAppend;
  readonly idempotencyKey: string | undefined;
  readonly streams: readonly {
    readonly streamName: string;
    readonly expected: ExpectedVersion;
    readonly eventIds: readonly (string | undefined)[];
  }[];
  readonly guards: readonly Guard[];
  readonly scheduledIds: readonly string[];
  /** What it means when a mark was not as expected. */
  readonly fenced?: (() => Error) | undefined;
}

/** The result of an append, or the error that its outcome is. */
export function settle(connection: Connection, request: Request, outcome: AppendOutcome): AppendAllResult | Promise<AppendAllResult> {
  switch (outcome.kind) {
    case 'appended':
    case 'repeated':
      return resultOf(connection, request, outcome.versions, {
        lastPlace: outcome.lastPlace,
        isRepeated: outcome.kind === 'repeated',
        scheduledIds: outcome.scheduledIds ?? request.scheduledIds,
      });
    case 'conflict':
      return settleConflict(connection, request, outcome);
    case 'guard-conflict': {
      const guard = request.guards[outcome.guard];
      throw new VersionConflictError({
        streamName: guard?.stream ?? '',
        expectedVersion: guard?.expectedVersion ?? 'any',
        actualVersion: outcome.actual,
        isGuard: true,
        missedEvents: [],
      });
    }
    case 'key-reused':
      throw new IdempotencyKeyReusedError(request.idempotencyKey ?? '');
    case 'mark-conflict':
      throw request.fenced?.() ?? failedError(`mark at ${outcome.actual}`);
    case 'failed':
      throw failedError(outcome.message);
    case 'unconfirmed':
      return fellShort(settle(connection, request, outcome.outcome), outcome.shortfall);
  }
}

/** Throws UnconfirmedError: what was written is told with it. */
async function fellShort(written: AppendAllResult | Promise<AppendAllResult>, shortfall: Shortfall): Promise<never> {
  throw unconfirmed(await written, shortfall);
}

/** The error for something that was written, and is less certain than the store's durability asks for. */
export function unconfirmed(
  { streamVersions, position, isRepeated }: UnconfirmedResult,
  { durability, asked, confirmed, why }: Shortfall,
): UnconfirmedError {
  return new UnconfirmedError({ streamVersions, position, isRepeated }, { isOnDisk: durability === 'fsync', asked, confirmed, why });
}

/** Waits for a first result to be confirmed that an earlier append wrote, as that would have. Throws UnconfirmedError. */
export async function confirmFirst(connection: Connection, partition: number, result: UnconfirmedResult, witness: Witness): Promise<void> {
  const shortfall = await reading('confirm an earlier append', connection.writer.confirm(partition, witness));
  if (shortfall) throw unconfirmed(result, shortfall);
}

export function failedError(message: string): MillraceError {
  const [reason = 'ERR'] = /^[A-Z]+(?= )/.exec(message) ?? [];
  return new ServerRefusedError(
    reason,
    `The server could not run this append: ${message}. Nothing of it was written. A key of this store holds something that the store did not write; look at it with TYPE and XINFO.`,
  );
}

type Conflict = WriteOutcome & { readonly kind: 'conflict' };

/** A conflict with events that have the caller's own ids is this very append, made before; but what it scheduled then cannot be told. */
function settleConflict(connection: Connection, request: Request, conflict: Conflict): AppendAllResult | Promise<AppendAllResult> {
  const asked = request.streams[conflict.stream];
  if (!asked) throw failedError('conflict on an unknown stream');
  const { category } = splitStreamName(asked.streamName);
  const missed = conflict.missed.map((entry: RawEntry) => decodeEntry(connection, { partition: request.partition, category }, entry));
  const { eventIds } = asked;
  const mayBeRepeated =
    request.streams.length === 1 &&
    request.scheduledIds.length === 0 &&
    missed.length > 0 &&
    eventIds.every((id, index) => id !== undefined && (missed[index]?.event.id ?? id) === id);
  const last = mayBeRepeated ? missed[eventIds.length - 1] : undefined;
  if (last) return repeatedBy(connection, request, last);
  const missedEvents: readonly RecordedEvent[] = missed.map(({ event }) => event);
  const error = new VersionConflictError({
    streamName: asked.streamName,
    expectedVersion: asked.expected,
    actualVersion: conflict.actual,
    isGuard: false,
    missedEvents,
  });
  if (mayBeRepeated && missed.length === MISSED_EVENTS_MAX) return settleLongRepeat(connection, request, error);
  throw error;
}

/** More events than come with a conflict, and those that came have the ids: whether the others do has to be read. */
async function settleLongRepeat(connection: Connection, request: Request, conflict: VersionConflictError): Promise<AppendAllResult> {
  const [{ eventIds } = { eventIds: [] }] = request.streams;
  const stream = streamKeys(connection, conflict.streamName);
  const start = (conflict.missedEvents as readonly RecordedEvent[])[0]?.streamVersion ?? 1;
  const [part] = await reading(
    'look for an earlier append',
    readStreams(connection.port, [{ ...stream, start: start - 1, stop: start + eventIds.length - 2 }]),
  );
  const stored = decodeAll(connection, stream, part?.entries ?? []);
  const last = stored.at(-1);
  if (!last || !eventIds.every((id, index) => stored[index]?.event.id === id)) throw conflict;
  return await repeatedBy(connection, request, last);
}

/** The result of the append whose last event this is. It may have been another process's, and is confirmed as if it were ours. */
async function repeatedBy(connection: Connection, request: Request, { event, place }: LogEvent): Promise<AppendAllResult> {
  const result = resultOf(connection, request, [event.streamVersion], { lastPlace: place, isRepeated: true });
  const { indexKey } = streamKeys(connection, event.streamName);
  await confirmFirst(connection, request.partition, result, { args: ['LINDEX', indexKey, String(event.streamVersion - 1)], reply: String(place) });
  return result;
}

function resultOf(
  { storeId }: Connection,
  { partition }: Request,
  streamVersions: readonly number[],
  {
    lastPlace,
    isRepeated,
    scheduledIds = [],
  }: { readonly lastPlace: number; readonly isRepeated: boolean; readonly scheduledIds?: readonly string[] },
): AppendAllResult {
  const token = tokenOf(storeId, new Map([[partition, lastPlace]]));
  return { streamVersions, position: positionOf(partition, lastPlace), token, isRepeated, scheduledIds };
}
