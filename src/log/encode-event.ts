// Checks an event and encodes it for the log.
import { assertNoLoneSurrogate, type Codec } from '../codec.ts';
import { InvalidInputError, show } from '../errors.ts';
import type { AnyEvent, EventMetadata } from '../event.ts';
import type { PreparedEvent } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { MISSED_EVENTS_MAX } from '../redis/scripts.ts';

/** Bounds of an append. What goes beyond is refused with InvalidInputError. */
export const appendLimits: Readonly<Record<'eventBytes' | 'eventsOfAnAppend' | 'bytesOfAnAppend' | 'streamsOfAnAppend' | 'missedEvents', number>> = Object.freeze({
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
  assertText('event type', event.type);
  const data = codec.encode(event.data);
  assertNoLoneSurrogate(data);
  const extras: string[] = [];
  if (event.id !== undefined) {
    assertText('event id', event.id);
    extras.push('event-id', event.id);
  }
  const metadata = shared === undefined ? event.metadata : { ...shared, ...event.metadata };
  if (metadata !== undefined && Object.keys(metadata).length > 0) extras.push('metadata', encodeMetadata(codec, metadata));
  const bytes = sizeOf({ type: event.type, data, extras });
  if (bytes > appendLimits.eventBytes) throw new InvalidInputError(`event of type ${show(event.type)}`, `at most ${appendLimits.eventBytes} bytes of data and metadata`, bytes);
  return { type: event.type, data, extras };
}

function encodeMetadata(codec: Codec, metadata: EventMetadata): string {
  const text = codec.encode(metadata);
  assertNoLoneSurrogate(text);
  return text;
}

const TEXT_MAX = 512;

function assertText(what: string, text: unknown): asserts text is string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
  const isText = typeof text === 'string' && text !== '' && text.length <= TEXT_MAX && text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text);
  if (!isText || text === '__proto__') throw new InvalidInputError(what, `a well-formed text of 1 to ${TEXT_MAX} characters without control characters`, text);
}

/** About how many bytes an event takes, and exactly where that matters: a text's UTF-8 bytes are at most three times its length. */
export function sizeOf({ type, data, extras }: PreparedEvent): number {
  let bytes = type.length + (data.length * 3 > appendLimits.eventBytes ? Buffer.byteLength(data) : data.length);
  for (const extra of extras) bytes += Buffer.byteLength(extra);
  return bytes;
}
