// Events for later: puts them into the schedule, takes them out, lists them, and makes the append that delivers them.
import { InvalidInputError } from '../errors.ts';
import { CorruptScheduleError } from '../processing-errors.ts';
import type { AnyEvent, Event, EventMetadata, StreamName } from '../event.ts';
import type { MultiAppend, PreparedEvent, PreparedMark, PreparedSchedule, PreparedStream } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { type RawScheduled, readScheduled as readPage } from '../redis/read-scheduled.ts';
import { type Once, prepare, traced } from './append.ts';
import { failedError, settle, unconfirmed } from './append-outcome.ts';
import { decodePayload, partitionOfId, type ScheduledAppend } from './prepare-schedule.ts';

/** Options of `schedule`. */
export interface ScheduleOptions {
  /** Not before this time by the server's clock: a Date, or milliseconds since 1970. What is past already is delivered at once. */
  readonly deliverAt: Date | number;
  /**
   * A later call with the same key schedules nothing and returns the first one's id, whatever its `deliverAt`; with other events it is
   * refused. Kept for `idempotencyTtlMs`.
   */
  readonly idempotencyKey?: string;
  /** Default 3,600,000 (1 h). */
  readonly idempotencyTtlMs?: number;
  /** Goes with each event, under what the event itself has. */
  readonly metadata?: EventMetadata;
}

/** What `schedule` reached. */
export interface ScheduleResult {
  /** For `cancelScheduled`. Never given twice. */
  readonly id: string;
  /** Whether this is the first result of a request that was repeated. */
  readonly isRepeated: boolean;
}

/** Which of what is scheduled to read. */
export interface ReadScheduledOptions {
  /** At most so many; default all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** Events that wait for their time. */
export interface ScheduledEvents {
  readonly id: string;
  readonly stream: StreamName;
  readonly events: readonly AnyEvent[];
  readonly deliverAt: Date;
}

/** Schedules events of one stream. */
export async function schedule(
  connection: Connection,
  { stream, events }: Pick<ScheduledAppend, 'stream' | 'events'>,
  { deliverAt, ...options }: ScheduleOptions & { readonly once?: Once },
): Promise<ScheduleResult> {
  const later = { ...options, schedule: [{ stream, events, deliverAt }] };
  const { scheduledIds, isRepeated } = await traced(connection, [], later, async (given) => {
    const request = prepare(connection, [], given);
    return await settle(connection, request, await connection.writer.append(request.partition, request.append));
  });
  return { id: scheduledIds[0] ?? '', isRepeated };
}

/** What takes entries out of the schedule, if each is still there, along with whatever else one append does. */
export function takingOut({ keys }: Connection, partition: number, ids: readonly string[]): Pick<MultiAppend, 'marks' | 'scheduled'> {
  const key = keys.scheduled(partition);
  const marks: PreparedMark[] = ids.map((field) => ({ key, field, expected: '*', new: '-' }));
  const scheduled: PreparedSchedule[] = ids.map((id) => ({ id, due: '-', payload: '' }));
  return { marks, scheduled };
}

/**
 * Takes events out of the schedule; whether they were still there. It goes through the writer, so a reply that was lost comes as it was
 * the first time, and not as "gone".
 */
export async function cancelScheduled(connection: Connection, id: string): Promise<boolean> {
  const partition = partitionOfId(connection, id);
  const outcome = await connection.writer.append(partition, {
    kind: 'multi',
    streams: [],
    guards: [],
    ...takingOut(connection, partition, [id]),
    result: undefined,
    bytes: id.length,
  });
  if (outcome.kind === 'failed') throw failedError(outcome.message);
  if (outcome.kind === 'unconfirmed') throw unconfirmed({ streamVersions: [], position: '', isRepeated: false }, outcome.shortfall);
  return outcome.kind === 'appended';
}

/** What is scheduled in one partition, the next of it first. */
interface Lane {
  readonly partition: number;
  entries: readonly RawScheduled[];
  at: number;
  last: RawScheduled | undefined;
  isDone: boolean;
}

const PAGE_COUNT = 200;
const PAGE_BYTES = 262_144;

/** What is scheduled, in the order of due time, a page of each partition at a time. */
export async function* readScheduled(
  connection: Connection,
  { limit, signal }: ReadScheduledOptions,
): AsyncGenerator<ScheduledEvents, void, undefined> {
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) throw new InvalidInputError('limit', 'a whole number from 0', limit);
  const lanes = Array.from({ length: connection.keys.partitions }, (_, partition): Lane => {
    return { partition, entries: [], at: 0, last: undefined, isDone: false };
  });
  for (let left = limit ?? Number.POSITIVE_INFINITY; left > 0; left -= 1) {
    signal?.throwIfAborted();
    connection.closed.throwIfAborted();
    await reading('read what is scheduled', Promise.all(lanes.map((lane) => fill(connection, lane))));
    const lane = firstOf(lanes);
    if (!lane) return;
    lane.last = lane.entries[lane.at] as RawScheduled;
    lane.at += 1;
    yield decodeScheduled(connection, lane.partition, lane.last);
  }
}

async function fill({ port, keys }: Connection, lane: Lane): Promise<void> {
  if (lane.isDone || lane.at < lane.entries.length) return;
  const { partition, last: after } = lane;
  const from = { scheduleKey: keys.schedule(partition), scheduledKey: keys.scheduled(partition) };
  lane.entries = (await readPage(port, from, { which: 'all', count: PAGE_COUNT, bytes: PAGE_BYTES, after })).entries;
  lane.at = 0;
  lane.isDone = lane.entries.length === 0;
}

function firstOf(lanes: readonly Lane[]): Lane | undefined {
  const dueOf = ({ entries, at }: Lane): number => entries[at]?.dueMs ?? Number.POSITIVE_INFINITY;
  return lanes.reduce<Lane | undefined>((first, lane) => (dueOf(lane) < (first ? dueOf(first) : Number.POSITIVE_INFINITY) ? lane : first), undefined);
}

function decodeScheduled(connection: Connection, partition: number, raw: RawScheduled): ScheduledEvents {
  const { streamName, events } = streamOf(connection, partition, raw);
  try {
    return { id: raw.id, stream: streamName, events: events.map((event) => decodeEvent(connection, event)), deliverAt: new Date(raw.dueMs) };
  } catch (cause) {
    throw new CorruptScheduleError(connection.keys.scheduled(partition), raw.id, raw.payload, { cause });
  }
}

/** What is to be appended. Throws CorruptScheduleError for what somebody else wrote there. */
export function streamOf({ keys }: Connection, partition: number, { id, payload }: RawScheduled): PreparedStream & { readonly bytes: number } {
  const stream = decodePayload(payload);
  if (!stream) throw new CorruptScheduleError(keys.scheduled(partition), id, payload);
  return stream;
}

function decodeEvent({ codec }: Connection, { type, data, extras }: PreparedEvent): AnyEvent {
  const event: { -readonly [Name in keyof Event]: Event[Name] } = { type, data: codec.decode(data) };
  for (let i = 0; i < extras.length; i += 2) {
    const value = extras[i + 1] as string;
    if (extras[i] === 'event-id') event.id = value;
    if (extras[i] === 'metadata') event.metadata = codec.decode(value) as EventMetadata;
  }
  return event;
}
