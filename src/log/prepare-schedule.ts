// What is scheduled: checked, encoded into one text, and read back from it; its ids, which name their partition.
import { randomBytes } from 'node:crypto';
import { InvalidInputError } from '../errors.ts';
import { type AnyEvent, type EventMetadata, splitStreamName, type StreamName } from '../event.ts';
import type { PreparedEvent, PreparedSchedule, PreparedStream } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { bytesUpTo, prepareEvents } from './encode-event.ts';

/** Events of one stream that are to be appended later. */
export interface ScheduledAppend<E extends AnyEvent = AnyEvent> {
  readonly stream: StreamName<E>;
  readonly events: E | readonly E[];
  /** Not before this time by the server's clock: a Date, or milliseconds since 1970. What is past already is delivered at once. */
  readonly deliverAt: Date | number;
}

/** One of them, ready to go along with an append. */
export interface PreparedLater {
  readonly streamName: string;
  readonly events: readonly PreparedEvent[];
  readonly entry: PreparedSchedule;
}

/**
 * Checks and encodes what is to be scheduled, each under a new id; `entry` is what an append of its partition takes along.
 * Throws InvalidInputError.
 */
export function prepareSchedule(connection: Connection, parts: readonly ScheduledAppend[], metadata?: EventMetadata): readonly PreparedLater[] {
  if (!Array.isArray(parts as unknown)) throw new InvalidInputError('schedule', 'an array of { stream, events, deliverAt }', parts);
  return parts.map(({ stream, events: given, deliverAt }) => {
    const { id: streamId } = splitStreamName(stream);
    const due = String(dueMsOf(deliverAt));
    const events = prepareEvents(connection, given, metadata);
    const payload = encodePayload(stream, events);
    return { streamName: stream, events, entry: { id: newId(connection.keys.partitionOf(streamId)), due, payload } };
  });
}

/** The last time that a Date can be. */
const TIME_MAX_MS = 8.64e15;

function dueMsOf(deliverAt: unknown): number {
  const ms = deliverAt instanceof Date ? deliverAt.getTime() : deliverAt;
  if (typeof ms === 'number' && Math.abs(ms) <= TIME_MAX_MS) return Math.ceil(ms);
  throw new InvalidInputError('deliverAt', 'a valid Date, or milliseconds since 1970', deliverAt);
}

let lastRising = 0;

/**
 * `<partition>.<rising><random>`: what one process schedules for the same time is delivered in the order of its calls, for Redis orders
 * the ids of one time. The random half alone makes them never the same.
 */
function newId(partition: number): string {
  lastRising = Math.max(lastRising + 1, Date.now() * 1_000);
  return `${partition}.${lastRising.toString(36).padStart(11, '0')}${randomBytes(9).toString('base64url')}`;
}

const ID = /^(0|[1-9]\d{0,3})\.[0-9a-z]{11}[\w-]{12}$/;

/** The partition that an id names. Throws InvalidInputError for what is no id of this store. */
export function partitionOfId({ keys }: Connection, id: unknown): number {
  const [, partition] = (typeof id === 'string' && ID.exec(id)) || [];
  if (partition !== undefined && Number(partition) < keys.partitions) return Number(partition);
  throw new InvalidInputError('scheduled id', 'an id that schedule or appendAll of this store gave', id);
}

function encodePayload(streamName: string, events: readonly PreparedEvent[]): string {
  return JSON.stringify([streamName, ...events.map(({ type, data, extras }) => [type, data, ...extras])]);
}

/** What was scheduled, as an append takes it. Undefined for what somebody else wrote there. */
export function decodePayload(payload: string): (PreparedStream & { readonly bytes: number }) | undefined {
  try {
    const [streamName, ...rows] = JSON.parse(payload) as [string, ...string[][]];
    const { category } = splitStreamName(streamName);
    if (rows.length === 0 || !rows.every(isRow)) return undefined;
    const events = rows.map(([type = '', data = '', ...extras]) => ({ type, data, extras }));
    return { category, streamName, expected: 'any', events, bytes: bytesUpTo(0, events) };
  } catch {
    return undefined;
  }
}

function isRow(row: unknown): boolean {
  return Array.isArray(row) && row.length >= 2 && row.length % 2 === 0 && row.every((text) => typeof text === 'string');
}
