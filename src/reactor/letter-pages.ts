// Reads the open dead letters of a reactor in one partition, a page at a time: only where they are, or all that is known of them.
import type { RecordedEvent } from '../event.ts';
import { type Position, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { LetterAt, LetterKeys } from '../redis/reaction-scripts.ts';
import { decodeLetter, type EditedEvent, type LetterError, readAt, type StoredLetter } from './letter.ts';

/** An event that a reactor gave up on. */
export interface DeadLetter {
  /** The position of its event, which is stable: for `get`, `retry` and `discard`, now or later, here or by way of a URL. */
  readonly id: Position;
  /** As it stands in the log; undefined where it was removed from there: then it can only be discarded. */
  readonly event: RecordedEvent | undefined;
  readonly category: string;
  /** What keeps its order: later events of this key wait. Undefined with order 'none'. */
  readonly key: string | undefined;
  /** What the last attempt failed with; long texts are cut. */
  readonly error: LetterError;
  /** In all, over its retries. */
  readonly attempts: number;
  /** How often it was asked for again, and failed again. */
  readonly retries: number;
  readonly firstFailedAt: Date;
  readonly lastFailedAt: Date;
  /** 'retrying' from when that was asked for until it has failed again. One that is handled is no letter any more. */
  readonly state: 'dead' | 'retrying';
  /** What its handler gets in place of the event. */
  readonly edit: EditedEvent | undefined;
  /** Events of its key that wait behind it. */
  readonly eventsWaiting: number;
}

/** Which reactor's letters, in which partition. */
export interface LettersOf {
  readonly name: string;
  readonly version: number;
  readonly partition: number;
}

/** Open letters behind a place, up to another one. */
export interface PageOf {
  readonly after: number;
  /** Undefined for all there are. */
  readonly through: number | undefined;
  readonly count: number;
}

interface Found extends LetterAt {
  readonly letter: StoredLetter;
}

export function letterKeys({ keys }: Connection, { name, version, partition }: LettersOf): LetterKeys {
  return {
    deadKey: keys.dead(partition, name, version),
    lettersKey: keys.letters(partition, name, version),
    blockedKey: keys.blocked(partition, name, version),
    retryingKey: keys.retrying(partition, name, version),
  };
}

/** The places of open letters, in order. */
export async function readPlaces(connection: Connection, of: LettersOf, { after, through, count }: PageOf): Promise<readonly number[]> {
  const { deadKey } = letterKeys(connection, of);
  const range = [`(${after}`, String(through ?? '+inf'), 'BYSCORE', 'LIMIT', '0', String(count)];
  return ((await connection.port.send(deadKey, ['ZRANGE', deadKey, ...range])) as string[]).map(Number);
}

/** The place of the last open letter; -1 where there is none. */
export async function readLastPlace(connection: Connection, of: LettersOf): Promise<number> {
  const { deadKey } = letterKeys(connection, of);
  const [last = '-1'] = (await connection.port.send(deadKey, ['ZRANGE', deadKey, '-1', '-1'])) as string[];
  return Number(last);
}

/** Those of some places where there are letters, with what is stored. */
export async function readStored(connection: Connection, of: LettersOf, places: readonly number[]): Promise<readonly Found[]> {
  if (places.length === 0) return [];
  const { lettersKey } = letterKeys(connection, of);
  const texts = (await connection.port.send(lettersKey, ['HMGET', lettersKey, ...places.map(String)])) as (string | null)[];
  return places.flatMap((place, index) => {
    const text = texts[index];
    if (!text) return []; // closed meanwhile
    const letter = decodeLetter(text);
    return [{ place, key: letter.key, letter }];
  });
}

/** Those of some places where there are letters, whole. */
export async function readLetters(connection: Connection, of: LettersOf, places: readonly number[]): Promise<readonly DeadLetter[]> {
  const found = await readStored(connection, of, places);
  return await Promise.all(found.map((each) => readWhole(connection, of, each)));
}

async function readWhole(connection: Connection, of: LettersOf, { place, key, letter }: Found): Promise<DeadLetter> {
  const { port, keys, codec } = connection;
  const { lettersKey, retryingKey } = letterKeys(connection, of);
  const parkedKey = keys.parked(of.partition, of.name, of.version, key);
  const [logEvent, edit, asked, waiting] = await Promise.all([
    readAt(connection, of.partition, letter.category, place),
    port.send(lettersKey, ['HGET', lettersKey, `${place}:edit`]),
    port.send(retryingKey, ['ZSCORE', retryingKey, key === '' ? String(place) : key]),
    key === '' ? 0 : port.send(parkedKey, ['LLEN', parkedKey]),
  ]);
  const { category, error, attempts, retries, firstFailedAt, lastFailedAt } = letter;
  return {
    id: positionOf(of.partition, place),
    event: logEvent?.event,
    category,
    key: key === '' ? undefined : key,
    error,
    attempts,
    retries,
    firstFailedAt: new Date(firstFailedAt),
    lastFailedAt: new Date(lastFailedAt),
    state: asked === null ? 'dead' : 'retrying',
    edit: typeof edit === 'string' && edit !== '' ? (codec.decode(edit) as EditedEvent) : undefined,
    eventsWaiting: Number(waiting),
  };
}
