// What an append may wait for beyond the server's own answer: the option, and by how much a write fell short of it.
import { InvalidInputError } from '../errors.ts';

/** What has to hold before an append resolves. */
export type Durability =
  /** The server has run it: what that survives is up to its `appendfsync`. The default. */
  | 'server'
  /** The server's disk has it. */
  | 'fsync'
  /** So many replicas have it in memory, as `WAIT` tells. `timeoutMs`: how long they are waited for, in milliseconds. */
  | { readonly replicas: number; readonly timeoutMs: number };

/** A durability that is waited for. */
export type WaitedDurability = Exclude<Durability, 'server'>;

/** By how much a write that was made fell short of what it was to reach. */
export interface Shortfall {
  readonly durability: WaitedDurability;
  /** How many were to confirm it: replicas, or the one disk. */
  readonly asked: number;
  /** How many did. */
  readonly confirmed: number;
  /** Why no more, as the end of a sentence. */
  readonly why: string;
}

/** Timers and Redis take no more. */
const LARGEST = 2 ** 31 - 1;

/** Throws InvalidInputError for what is no durability. */
export function checkedDurability(given: unknown): Durability {
  if (given === 'server' || given === 'fsync') return given;
  if (typeof given !== 'object' || given === null)
    throw new InvalidInputError('option durability', "'server', 'fsync' or { replicas, timeoutMs }", given);
  const { replicas, timeoutMs } = given as { readonly replicas?: unknown; readonly timeoutMs?: unknown };
  return {
    replicas: counted('durability.replicas', 'a whole number from 1', replicas),
    timeoutMs: counted('durability.timeoutMs', 'a whole number of milliseconds from 1', timeoutMs),
  };
}

function counted(what: string, expected: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > LARGEST)
    throw new InvalidInputError(`option ${what}`, expected, value);
  return value;
}

/** How many are to confirm a write. */
export function askedFor(durability: WaitedDurability): number {
  return durability === 'fsync' ? 1 : durability.replicas;
}
