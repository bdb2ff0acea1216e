// An entry of a category's log, as the append script writes it, and the recorded event that it is.
import { CorruptEntryError } from '../errors.ts';
import type { EventMetadata, RecordedEvent } from '../event.ts';
import { packEntryId, positionOfEntry, timeOfPacked } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { RawEntry } from '../redis/scripts.ts';

/** A recorded event with its place in its partition as a number. */
export interface LogEvent {
  readonly place: number;
  readonly category: string;
  readonly event: RecordedEvent;
}

/** Which log an entry stands in. */
export interface LogOf {
  readonly partition: number;
  readonly category: string;
}

interface Extras {
  id?: string;
  metadata?: EventMetadata;
  at?: number;
}

const OUR_FIELDS: readonly string[] = ['type', 'id', 'version', 'data'];
const NO_METADATA: EventMetadata = Object.freeze({});
const NO_EXTRAS: Extras = Object.freeze({});

/** Throws CorruptEntryError for an entry that somebody else wrote. */
export function decodeEntry(connection: Connection, log: LogOf, entry: RawEntry): LogEvent {
  const [entryId, fields] = entry;
  const place = packEntryId(entryId);
  const version = Number(fields[5]);
  if (!hasOurFields(fields) || !(version >= 1) || !Number.isSafeInteger(version) || Number.isNaN(place)) throw corrupt(connection, log, entry);
  const { id, metadata = NO_METADATA, at = timeOfPacked(place) } = fields.length === 8 ? NO_EXTRAS : extrasOf(connection, log, entry);
  const streamName = `${log.category}:${fields[3]}`;
  const event: RecordedEvent = {
    type: fields[1] as string,
    data: decode(connection, log, entry, fields[7] as string),
    metadata,
    id: id ?? `${streamName}@${version}`,
    streamName,
    streamVersion: version,
    position: positionOfEntry(log.partition, entryId),
    recordedAt: new Date(at),
  };
  return { place, category: log.category, event };
}

function hasOurFields(fields: readonly string[]): boolean {
  return (
    fields[0] === 'type' && fields[2] === 'id' && fields[4] === 'version' && fields[6] === 'data' && fields.length >= 8 && fields.length % 2 === 0
  );
}

function extrasOf(connection: Connection, log: LogOf, entry: RawEntry): Extras {
  const extras: Extras = {};
  const seen = new Set(OUR_FIELDS);
  const [, fields] = entry;
  for (let i = 8; i < fields.length; i += 2) {
    const [name, value] = [fields[i] as string, fields[i + 1] as string];
    if (seen.has(name)) throw corrupt(connection, log, entry, `the field ${name} once`);
    seen.add(name);
    if (name === 'event-id') extras.id = value;
    else if (name === 'metadata') extras.metadata = decodeMetadata(connection, log, entry, value);
    else if (name === 'at') extras.at = timeIn(connection, log, entry, value);
    // Other fields are of a later version of this library, which only adds what an older one may pass over.
  }
  return extras;
}

function decodeMetadata(connection: Connection, log: LogOf, entry: RawEntry, text: string): EventMetadata {
  const metadata = decode(connection, log, entry, text);
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw corrupt(connection, log, entry, 'an object in the field metadata');
  return metadata as EventMetadata;
}

/** The last time that a Date can be. */
const TIME_MAX_MS = 8.64e15;

function timeIn(connection: Connection, log: LogOf, entry: RawEntry, text: string): number {
  if (!/^-?\d{1,16}$/.test(text) || Math.abs(Number(text)) > TIME_MAX_MS)
    throw corrupt(connection, log, entry, 'a time in milliseconds in the field at');
  return Number(text);
}

function decode(connection: Connection, log: LogOf, entry: RawEntry, text: string): unknown {
  try {
    return connection.codec.decode(text);
  } catch (error) {
    throw new CorruptEntryError(connection.keys.log(log.partition, log.category), entry[0], 'text that the codec can decode', text, { cause: error });
  }
}

const EXPECTED = 'the fields type, id, version and data, in this order, and an id that append gave';

function corrupt({ keys }: Connection, { partition, category }: LogOf, [entryId, fields]: RawEntry, expected: string = EXPECTED): CorruptEntryError {
  return new CorruptEntryError(keys.log(partition, category), entryId, expected, fields.join(' '));
}
