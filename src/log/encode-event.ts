// Checks an event and encodes it for the log.
import { assertNoLoneSurrogate, type Codec, saidOf } from '../codec.ts';
import { InvalidInputError } from '../errors.ts';
import type { AnyEvent, EventMetadata } from '../event.ts';
import type { PreparedEvent } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { MISSED_EVENTS_MAX } from '../redis/scripts.ts';
import { InWords, show } from '../show.ts';

/** Bounds of an append. What goes beyond is refused with InvalidInputError. */
export const appendLimits: Readonly<Record<'eventBytes' | 'eventsOfAnAppend' | 'bytesOfAnAppend' | 'streamsOfAnAppend' | 'missedEvents', number>> =
  Object.freeze({
    /** Data and metadata of one event, encoded. */
    eventBytes: 1_048_576,
    eventsOfAnAppend: 1_000,
    bytesOfAnAppend: 16_777_216,
    /** Streams written and guarded. */
    streamsOfAnAppend: 1_000,
    /** How many missed events come with a conflict. */
    missedEvents: MISSED_EVENTS_MAX,
  });

/** Checks and encodes one event. Throws InvalidInputError. */
export function prepareEvent({ codec }: Connection, event: AnyEvent, shared: EventMetadata | undefined): PreparedEvent {
  if (typeof event !== 'object' || event === null) throw new InvalidInputError('event', 'an object with type and data', event);
  const { type, id } = event;
  assertText('event type', type);
  const data = encodeText(codec, 'data', event.data, type);
  const extras: string[] = [];
  if (id !== undefined) {
    assertText('event id', id);
    extras.push('event-id', id);
  }
  const metadata = joinMetadata(shared, event.metadata);
  if (metadata !== undefined && Object.keys(metadata).length > 0) extras.push('metadata', encodeText(codec, 'metadata', metadata, type));
  const prepared: PreparedEvent = { type, data, extras };
  // A text's UTF-8 bytes are at most three times its length, so few need counting.
  const mayBeTooLarge = extras.length > 0 || (type.length + data.length) * 3 > appendLimits.eventBytes;
  if (mayBeTooLarge) assertEventSize(prepared);
  return prepared;
}

/** Checks and encodes what is one event or several. Throws InvalidInputError. */
export function prepareEvents(
  connection: Connection,
  given: AnyEvent | readonly AnyEvent[],
  shared: EventMetadata | undefined,
  { mayBeEmpty = false }: { readonly mayBeEmpty?: boolean } = {},
): readonly PreparedEvent[] {
  const events = Array.isArray(given) ? (given as readonly AnyEvent[]) : [given as AnyEvent];
  if (events.length === 0 && !mayBeEmpty) throw new InvalidInputError('events', 'at least one event', events);
  // Before they are encoded: a million of them would take their time.
  if (events.length > appendLimits.eventsOfAnAppend) throw tooMuch(appendLimits.eventsOfAnAppend, 'events at once', events.length);
  return events.map((event) => prepareEvent(connection, event, shared));
}

/** What an append holds too much of. */
export function tooMuch(most: number, what: string, found: number): InvalidInputError {
  return new InvalidInputError('append', `at most ${most} ${what}; make several appends of it`, found);
}

function assertEventSize(event: PreparedEvent): void {
  const { eventBytes } = appendLimits;
  const bytes = bytesUpTo(eventBytes, [event]);
  if (bytes <= eventBytes) return;
  throw new InvalidInputError(
    `event ${show(event.type)}`,
    `at most ${eventBytes} bytes of data and metadata, encoded`,
    new InWords(`${bytes} bytes`),
  );
}

function encodeText(codec: Codec, part: 'data' | 'metadata', value: unknown, type: string): string {
  try {
    const text = codec.encode(value);
    assertNoLoneSurrogate(text);
    return text;
  } catch (error) {
    throw saidOf(`${part} of event ${show(type)}`, error);
  }
}

function joinMetadata(shared: EventMetadata | undefined, own: EventMetadata | undefined): EventMetadata | undefined {
  if (shared !== undefined) assertMetadata(shared);
  if (own !== undefined) assertMetadata(own);
  return shared === undefined ? own : { ...shared, ...own };
}

function assertMetadata(metadata: unknown): void {
  const isMetadata = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
  if (!isMetadata) throw new InvalidInputError('metadata', 'a plain object', metadata);
}

const TEXT_MAX = 512;

function assertText(what: string, text: unknown): asserts text is string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
  const isText =
    typeof text === 'string' && text !== '' && text.length <= TEXT_MAX && text.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(text);
  if (!isText || text === '__proto__')
    throw new InvalidInputError(what, `a well-formed text of 1 to ${TEXT_MAX} characters, without control characters, and not __proto__`, text);
}

/** How many UTF-8 bytes some events take, exactly where it could be more than `limit`; otherwise about. */
export function bytesUpTo(limit: number, events: readonly PreparedEvent[]): number {
  const length = sumOf(events, (text) => text.length);
  return length * 3 > limit ? sumOf(events, (text) => Buffer.byteLength(text)) : length;
}

function sumOf(events: readonly PreparedEvent[], sizeOf: (text: string) => number): number {
  let sum = 0;
  for (const { type, data, extras } of events) {
    sum += sizeOf(type) + sizeOf(data);
    for (const extra of extras) sum += sizeOf(extra);
  }
  return sum;
}
