// Cursors and tokens: texts that carry positions of several partitions, out to a caller and back.
import { InvalidInputError } from './errors.ts';
import { type Position, placeIn, positionOf } from './position.ts';

declare const cursor: unique symbol;
declare const token: unique symbol;

/** Where a reader stands: one position for each partition. Opaque, made by the iterators, taken by `from`. */
export type Cursor = string & { readonly [cursor]: true };

/** What an append reached: to be sent along (it fits an HTTP header) and given to a read's `atLeast`. Opaque. */
export type Token = string & { readonly [token]: true };

/** Places by partition: how far something is in each. A partition that is absent is at its beginning. */
export type Places = ReadonlyMap<number, number>;

const CURSOR_START = 'c';

export function isCursor(text: unknown): text is Cursor {
  return typeof text === 'string' && (text === CURSOR_START || text.startsWith(`${CURSOR_START}.`));
}

export function cursorOf(places: Places): Cursor {
  return [CURSOR_START, ...positionsOf(places)].join('.') as Cursor;
}

/** Throws InvalidInputError for a text that is no cursor. */
export function placesOfCursor(text: string): Places {
  const places = isCursor(text) ? placesOf(text.split('.').slice(1)) : undefined;
  if (!places) throw new InvalidInputError('cursor', 'the cursor of a reader, as it was given', text);
  return places;
}

export function tokenOf(storeId: string, places: Places): Token {
  return [storeId, ...positionsOf(places)].join('.') as Token;
}

/** The token of one position. */
export function tokenAt(storeId: string, position: Position): Token {
  return `${storeId}.${position}` as Token;
}

/** Throws InvalidInputError for a text that is no token. */
export function splitToken(text: string): { storeId: string; places: Places } {
  const [storeId, ...positions] = typeof text === 'string' ? text.split('.') : [];
  const places = storeId !== undefined && /^[\w-]{8,64}$/.test(storeId) ? placesOf(positions) : undefined;
  if (storeId === undefined || !places) throw new InvalidInputError('token', 'a token that an append returned, as it was given', text);
  return { storeId, places };
}

/**
 * One token for what several appends reached: a read that has it sees all of them.
 * @throws InvalidInputError for tokens of different stores, or none.
 */
export function joinTokens(...tokens: readonly Token[]): Token {
  const parts = tokens.map(splitToken);
  const first = parts[0];
  if (!first || parts.some(({ storeId }) => storeId !== first.storeId))
    throw new InvalidInputError('tokens to join', 'one or more tokens of one store', tokens);
  const furthest = new Map<number, number>();
  for (const { places } of parts) {
    for (const [partition, packed] of places) furthest.set(partition, Math.max(packed, furthest.get(partition) ?? 0));
  }
  return tokenOf(first.storeId, furthest);
}

function positionsOf(places: Places): string[] {
  return [...places]
    .filter(([, packed]) => packed >= 0)
    .sort(([a], [b]) => a - b)
    .map(([partition, packed]) => positionOf(partition, packed));
}

/** Undefined where one of them is no position, or two are of the same partition. */
function placesOf(positions: readonly string[]): Places | undefined {
  const places = new Map<number, number>();
  for (const text of positions) {
    const place = placeIn(text);
    if (!place || places.has(place.partition)) return undefined;
    places.set(place.partition, place.packed);
  }
  return places;
}
