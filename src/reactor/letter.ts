// A dead letter as it lies in Redis: which event was given up, why, how often it was tried and when.
import { ReactorFailedError } from '../processing-errors.ts';
import type { AnyEvent, EventMetadata, RecordedEvent } from '../event.ts';
import { decodeEntry, type LogEvent } from '../log/entry.ts';
import { entryIdOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { RawEntry } from '../redis/scripts.ts';
import type { Outcome } from './handler-pool.ts';

/** What is kept of an error. */
export interface LetterError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
}

/** What is kept beside the event, which stays in the log. */
export interface StoredLetter {
  /** What keeps its order; '' where nothing does. */
  readonly key: string;
  readonly category: string;
  readonly error: LetterError;
  /** Attempts in all, over retries. */
  readonly attempts: number;
  readonly firstFailedAt: number;
  readonly lastFailedAt: number;
  /** How often it was tried again by hand. */
  readonly retries: number;
}

/** What an operator made of an event before it is tried again: the log keeps it as it was. */
export type EditedEvent = Pick<AnyEvent, 'type' | 'data'> & { readonly metadata?: EventMetadata };

const STACK_LENGTH_MAX = 4_000;
const MESSAGE_LENGTH_MAX = 2_000;

type Failed = Outcome & { readonly kind: 'failed' };

/** A letter for an event that failed; with `before`, one that failed again. */
export function letterOf(category: string, key: string, failed: Failed, before?: StoredLetter): StoredLetter {
  return {
    key,
    category,
    error: errorOf(failed.error),
    attempts: (before?.attempts ?? 0) + failed.attempts,
    firstFailedAt: before?.firstFailedAt ?? failed.firstFailedAt,
    lastFailedAt: failed.lastFailedAt,
    retries: before === undefined ? 0 : before.retries + 1,
  };
}

function errorOf(error: unknown): LetterError {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error).slice(0, MESSAGE_LENGTH_MAX) };
  return { name: error.name, message: error.message.slice(0, MESSAGE_LENGTH_MAX), stack: error.stack?.slice(0, STACK_LENGTH_MAX) };
}

export function encodeLetter(letter: StoredLetter): string {
  return JSON.stringify(letter).toWellFormed();
}

export function decodeLetter(text: string): StoredLetter {
  return JSON.parse(text) as StoredLetter;
}

/** An event by its place; undefined where it was removed from the log. */
export async function readAt(connection: Connection, partition: number, category: string, place: number): Promise<LogEvent | undefined> {
  const key = connection.keys.log(partition, category);
  const id = entryIdOf(place);
  const [entry] = (await connection.port.send(key, ['XRANGE', key, id, id])) as readonly RawEntry[];
  return entry && decodeEntry(connection, { partition, category }, entry);
}

/** The event with what an operator made of it. */
export function edited(event: RecordedEvent, edit: EditedEvent | undefined): RecordedEvent {
  return edit === undefined ? event : { ...event, type: edit.type, data: edit.data, metadata: edit.metadata ?? event.metadata };
}

/** How a place and a category are written into a list of events that wait. */
export function waitingEntry({ place, category }: LogEvent): string {
  return `${place} ${category}`;
}

export function parseWaitingEntry(text: string): { readonly place: number; readonly category: string } {
  const space = text.indexOf(' ');
  return { place: Number(text.slice(0, space)), category: text.slice(space + 1) };
}

/** Why a reactor stands still before an event. */
export function tooManyWaiting(name: string, { event }: LogEvent, most: number): ReactorFailedError {
  const why = `More than ${most} events of this partition wait behind dead letters: retry those, edit or discard them.`;
  return new ReactorFailedError(name, event, { cause: new Error(why) });
}
