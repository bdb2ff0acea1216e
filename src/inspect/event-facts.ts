// One event with what led to it and what came of it: found by position, by stream and version, or by id.
import { type RecordedEvent, splitStreamName, streamName as toStreamName } from '../event.ts';
import { readLog, readStream } from '../log/read.ts';
import { type Position, SEQUENCES_PER_MS, splitPosition } from '../position.ts';
import { readForward } from '../log/page.ts';
import type { Connection } from '../redis/connection.ts';
import { cursorOf } from '../token.ts';
import type { EventFacts } from './facts.ts';
import { allCategories, partitionsOf } from './store-facts.ts';

/** Which event: by its position, or as the n-th of its stream. */
export type EventPlace = Position | { readonly streamName: string; readonly streamVersion: number };

/** How far to search for what has no index. */
export interface SearchOptions {
  /** How many events to look at, at most: for effects those behind the event, for an id of the caller's own the last ones. Default 10,000. */
  readonly within?: number;
  readonly signal?: AbortSignal;
}

const WITHIN = 10_000;

export async function readEvent(connection: Connection, place: EventPlace): Promise<RecordedEvent | undefined> {
  if (typeof place === 'string') return await eventAt(connection, place);
  const { streamName, streamVersion } = place;
  const read = readStream(connection, toStreamName(streamName), { from: streamVersion, limit: 1 });
  for await (const event of read) return event.streamVersion === streamVersion ? event : undefined;
  return undefined;
}

async function eventAt(connection: Connection, position: Position): Promise<RecordedEvent | undefined> {
  const { partition, packed } = splitPosition(position);
  if (partition >= connection.keys.partitions) return undefined;
  const { events } = await readForward(connection, partition, await allCategories(connection), { after: packed - 1, count: 1 });
  return events[0]?.place === packed ? events[0].event : undefined;
}

/** By its id: `stream@version` says where it is; one of the caller's own is searched for from the end. */
export async function findById(connection: Connection, id: string, options: SearchOptions): Promise<RecordedEvent | undefined> {
  const direct = await eventNamed(connection, id);
  if (direct) return direct;
  const { within = WITHIN, signal } = options;
  const read = readLog(connection, undefined, { direction: 'backward', limit: within, ...(signal ? { signal } : {}) });
  for await (const event of read) if (event.id === id) return event;
  return undefined;
}

async function eventNamed(connection: Connection, id: string): Promise<RecordedEvent | undefined> {
  const match = /^([^:]+:.+)@([1-9]\d{0,14})$/.exec(id);
  if (!match || !isStreamName(match[1] ?? '')) return undefined;
  const event = await readEvent(connection, { streamName: match[1] ?? '', streamVersion: Number(match[2]) });
  return event?.id === id ? event : undefined;
}

function isStreamName(text: string): boolean {
  try {
    splitStreamName(text);
    return true;
  } catch {
    return false;
  }
}

export async function readEventFacts(connection: Connection, place: EventPlace, options: SearchOptions): Promise<EventFacts | undefined> {
  const event = await readEvent(connection, place);
  if (!event) return undefined;
  const { causationId } = event.metadata;
  const [cause, { effects, isSearchComplete }] = await Promise.all([
    typeof causationId === 'string' ? findCause(connection, event, causationId, options) : undefined,
    findEffects(connection, event, options),
  ]);
  return { event, cause, causationId: cause === undefined && typeof causationId === 'string' ? causationId : undefined, effects, isSearchComplete };
}

/** A cause stands before its effect, up to what the clocks of several partitions may differ. */
async function findCause(
  connection: Connection,
  event: RecordedEvent,
  id: string,
  { within = WITHIN, signal }: SearchOptions,
): Promise<RecordedEvent | undefined> {
  const direct = await eventNamed(connection, id);
  if (direct) return direct;
  const from = cursorAround(connection, event, 1);
  const read = readLog(connection, undefined, { direction: 'backward', from, limit: within, ...(signal ? { signal } : {}) });
  for await (const each of read) if (each.id === id) return each;
  return undefined;
}

async function findEffects(
  connection: Connection,
  event: RecordedEvent,
  { within = WITHIN, signal }: SearchOptions,
): Promise<Pick<EventFacts, 'effects' | 'isSearchComplete'>> {
  const effects: RecordedEvent[] = [];
  let seen = 0;
  const read = readLog(connection, undefined, { from: cursorAround(connection, event, -1), limit: within + 1, ...(signal ? { signal } : {}) });
  for await (const each of read) {
    seen += 1;
    if (seen > within) return { effects, isSearchComplete: false };
    if (each.metadata.causationId === event.id) effects.push(each);
  }
  return { effects, isSearchComplete: true };
}

/** Primaries of a cluster have clocks of their own. */
const CLOCKS_DIFFER_MS = 60_000;

/** Where to search: in the event's partition exactly from it on, in others from about its time. */
function cursorAround(connection: Connection, { position }: RecordedEvent, direction: 1 | -1): ReturnType<typeof cursorOf> {
  const { partition, packed } = splitPosition(position);
  const about = Math.max(0, packed + direction * CLOCKS_DIFFER_MS * SEQUENCES_PER_MS);
  return cursorOf(new Map(partitionsOf(connection).map((each) => [each, each === partition ? packed : about])));
}
