// Where an event stands in its partition's log: one type, one comparator, one packing into a number.
import { InvalidInputError, PartitionMismatchError } from './errors.ts';

declare const position: unique symbol;

/**
 * Where an event stands in its partition's log: the Redis Stream entry id (`1767225600000-0`), and behind an `@` the
 * partition where that is not the first (`1767225600000-0@3`). Opaque: compare with `comparePositions`, never as text.
 */
export type Position = string & { readonly [position]: true };

/** Positions are packed from here on: 2025-01-01T00:00:00Z. The packing is exact for 69 years. */
export const EPOCH_MS = 1_735_689_600_000;

/** Entries of one millisecond that the packing tells apart; the append script carries the next one over. */
export const SEQUENCES_PER_MS = 4_096;

const POSITION = /^([1-9]\d{0,14})-(0|[1-9]\d{0,3})(?:@([1-9]\d{0,4}))?$/;

/** Orders two positions of one partition: negative, zero or positive. Throws PartitionMismatchError across partitions. */
export function comparePositions(a: Position, b: Position): number {
  const [left, right] = [splitPosition(a), splitPosition(b)];
  if (left.partition !== right.partition) {
    throw new PartitionMismatchError(
      `Positions ${a} and ${b} stand in different partitions, between which there is no order. Compare recordedAt instead.`,
    );
  }
  return left.packed - right.packed;
}

/** Takes a text that was a position before (from a database, a URL). Throws InvalidInputError when it is none. */
export function parsePosition(text: string): Position {
  splitPosition(text);
  return text as Position;
}

/** A position as numbers: its partition, and its place as one exact, ordered number. Throws InvalidInputError when it is none. */
export function splitPosition(text: unknown): { partition: number; packed: number } {
  const place = placeIn(text);
  if (!place) throw new InvalidInputError('position', 'a position as an event carries it, like "1767225600000-0"', text);
  return place;
}

/** The same of what may be no position at all: undefined then. */
export function placeIn(text: unknown): { partition: number; packed: number } | undefined {
  const match = typeof text === 'string' ? POSITION.exec(text) : null;
  if (!match) return undefined;
  const [sequence, packed] = [Number(match[2]), (Number(match[1]) - EPOCH_MS) * SEQUENCES_PER_MS + Number(match[2])];
  if (sequence >= SEQUENCES_PER_MS || packed < 0 || !Number.isSafeInteger(packed)) return undefined;
  return { partition: Number(match[3] ?? 0), packed };
}

/** The entry id in Redis of a packed position. */
export function entryIdOf(packed: number): string {
  return `${Math.floor(packed / SEQUENCES_PER_MS) + EPOCH_MS}-${packed % SEQUENCES_PER_MS}`;
}

/** The packed place of an entry id; NaN when the entry was not written by the append script. */
export function packEntryId(id: string): number {
  const dash = id.indexOf('-');
  const sequence = numberIn(id, dash + 1, id.length);
  const packed = (numberIn(id, 0, dash) - EPOCH_MS) * SEQUENCES_PER_MS + sequence;
  return dash > 0 && sequence < SEQUENCES_PER_MS && packed >= 0 && Number.isSafeInteger(packed) ? packed : Number.NaN;
}

// Each event that is read goes through here: four times as fast as Number of a slice.
function numberIn(text: string, from: number, to: number): number {
  let number = from < to ? 0 : Number.NaN;
  for (let i = from; i < to; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    number = digit >= 0 && digit <= 9 ? number * 10 + digit : Number.NaN;
  }
  return number;
}

/** About where an entry stands that the append script did not write. */
export function roughPlaceOf(id: string): number {
  const [ms = '', sequence = ''] = id.split('-');
  return Math.max(0, (Number(ms) - EPOCH_MS) * SEQUENCES_PER_MS + Math.min(Number(sequence), SEQUENCES_PER_MS - 1));
}

/** The public form of a packed place in a partition. */
export function positionOf(partition: number, packed: number): Position {
  return positionOfEntry(partition, entryIdOf(packed));
}

/** The public form of an entry id in a partition. */
export function positionOfEntry(partition: number, entryId: string): Position {
  return (partition === 0 ? entryId : `${entryId}@${partition}`) as Position;
}

/** The first packed place at or after a time. */
export function packTime(time: Date): number {
  return Math.max(0, (time.getTime() - EPOCH_MS) * SEQUENCES_PER_MS);
}

/** The time in milliseconds that a packed place carries. */
export function timeOfPacked(packed: number): number {
  return Math.floor(packed / SEQUENCES_PER_MS) + EPOCH_MS;
}
