// The nouns of the log: events, recorded events, stream names and what names may hold.
import { InvalidInputError } from './errors.ts';
import type { Position } from './position.ts';

/** What may go with an event beside its data. Anything that the codec can write. */
export interface EventMetadata {
  /** The conversation that this event belongs to; handed on from cause to effect. */
  readonly correlationId?: string;
  /** The id of the event or command that caused this one. */
  readonly causationId?: string;
  readonly [name: string]: unknown;
}

/**
 * A fact, as it is appended: `Event<'Renamed', { name: string }>`.
 * It distributes over a union of type names, so `Event<'Added' | 'Removed', D>` narrows by `type`.
 */
export type Event<Type extends string = string, Data = unknown> = Type extends string
  ? {
      readonly type: Type;
      readonly data: Data;
      /** An id of the caller's own. Without one an event's id is `<stream name>@<version>`, which costs no memory. */
      readonly id?: string;
      readonly metadata?: EventMetadata;
    }
  : never;

/** Any event at all: what code sees that does not know a category's union. */
export type AnyEvent = Event<string, unknown>;

/** An event as it was recorded: with its place in its stream and in the log. */
export type RecordedEvent<E extends AnyEvent = AnyEvent> = E extends AnyEvent
  ? {
      readonly type: E['type'];
      readonly data: E['data'];
      readonly metadata: EventMetadata;
      readonly id: string;
      readonly streamName: StreamName<E>;
      /** The event's number within its stream; the first is 1. */
      readonly streamVersion: number;
      readonly position: Position;
      /** When it was recorded by the server's clock; for an imported event, the time of its entry. */
      readonly recordedAt: Date;
    }
  : never;

declare const eventsOfStream: unique symbol;

/** The name of one entity's events, `category:id`. Made by `category(…).stream(id)`, or by `streamName(text)` where the union is unknown. */
export type StreamName<E extends AnyEvent = AnyEvent> = string & { readonly [eventsOfStream]?: E };

/** How long a name may be, in UTF-8 bytes. */
export const NAME_BYTES_MAX = 512;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const FORBIDDEN_IN_NAME = /[\s\u0000-\u001f\u007f-\u009f{}]/u;

/** Throws InvalidInputError unless `text` may be (a part of) a name: no white space, control character, brace, lone surrogate, not `__proto__`. */
export function assertName(what: string, text: unknown, alsoForbidden = ''): asserts text is string {
  if (isName(text, alsoForbidden)) return;
  const expected = `well-formed text of 1 to ${NAME_BYTES_MAX} bytes, without white space, control characters, braces${alsoForbidden && ` or any of ${alsoForbidden}`}, and not __proto__`;
  throw new InvalidInputError(what, expected, text);
}

/** What most names are made of; nothing in it is ever forbidden. Names are checked with every append. */
const PLAIN_NAME = /^[\w.-]{1,128}$/;

function isName(text: unknown, alsoForbidden: string): text is string {
  if (typeof text !== 'string' || text === '' || text === '__proto__') return false;
  if (PLAIN_NAME.test(text)) return true;
  const isTooLong = text.length > NAME_BYTES_MAX || Buffer.byteLength(text) > NAME_BYTES_MAX;
  if (isTooLong || FORBIDDEN_IN_NAME.test(text) || !text.isWellFormed()) return false;
  return ![...alsoForbidden].some((character) => text.includes(character));
}

/** Checks a category's name: a name without a colon, for the category ends at the first one. */
export function assertCategoryName(name: unknown): asserts name is string {
  assertName('category name', name, ':');
}

/**
 * Takes a text for a stream's name, `category:id`, where the category's union is not known (tools, tests).
 * @throws InvalidInputError when it is none.
 */
export function streamName(text: string): StreamName {
  splitStreamName(text);
  return text as StreamName;
}

/** The two halves of a stream's name. Throws InvalidInputError when it is none. */
export function splitStreamName(name: unknown): { category: string; id: string } {
  const colon = typeof name === 'string' ? name.indexOf(':') : -1;
  if (typeof name !== 'string' || colon < 0)
    throw new InvalidInputError('stream name', 'a text like "user_updates:1", a category and an id with a colon between', name);
  const category = name.slice(0, colon);
  const id = name.slice(colon + 1);
  assertCategoryName(category);
  assertName('stream id', id);
  return { category, id };
}
