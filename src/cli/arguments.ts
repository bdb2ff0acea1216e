// What people write on the command line, taken apart: times, numbers, places of the log, JSON.
import { InvalidArgumentError } from 'commander';
import { type Cursor, parsePosition, type Position } from '../index.ts';

/** A whole number from 1. */
export function positiveNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('Expected a whole number from 1.');
  return number;
}

/** A whole number from 0. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) throw new InvalidArgumentError('Expected a whole number from 0.');
  return number;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time: ISO 8601 (a date alone is midnight UTC), or so long ago, like `10m`, `2h`, `7d`. */
export function time(text: string): Date {
  const ago = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (ago) return new Date(Date.now() - Number(ago[1]) * (UNITS_MS[ago[2] ?? ''] ?? 0));
  const date = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError('Expected a time like 2026-01-31T12:00:00Z, or so long ago, like 10m, 2h or 7d.');
  return date;
}

/** A place of the log: `start`, `end`, `now`, a time, a position, or a cursor. */
export function place(text: string): 'start' | 'end' | 'now' | Date | Position | Cursor {
  if (text === 'start' || text === 'end' || text === 'now') return text;
  if (/^\d{13,}-\d+(@\d+)?$/.test(text)) return parsePosition(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) || /^\d+(?:\.\d+)?(ms|s|m|h|d)$/.test(text)) return time(text);
  if (/^c(\.\d{13,}-\d+(@\d+)?)*$/.test(text)) return text as Cursor;
  throw new InvalidArgumentError(
    `Expected start, end, a time like 2026-01-31T12:00:00Z or 10m (ago), a position like 1767225600000-0, or a cursor as it was told; found ${JSON.stringify(text)}.`,
  );
}

/** JSON, of whatever kind. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(
      `Expected JSON, like '{"name":"Daffy"}' (in quotes, so that the shell leaves it alone). ${(error as Error).message}`,
    );
  }
}
