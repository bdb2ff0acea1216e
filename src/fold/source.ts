// A source: a plain Redis Stream that others fill, decoded into events of a category.
import { type AnyEvent, assertName } from '../event.ts';
import { InvalidInputError } from '../errors.ts';
import type { Category } from './category.ts';

/** An entry of a foreign Redis Stream. */
export interface SourceEntry {
  readonly id: string;
  /** The time in the entry's id. */
  readonly time: Date;
  /** Field by name; of a doubled one the last. Has no prototype. */
  readonly fields: Readonly<Record<string, string | undefined>>;
  /** All fields as they stand, doubled ones too. */
  readonly pairs: readonly (readonly [name: string, value: string])[];
}

/** An event for a stream of the source's category. */
export interface Imported<E extends AnyEvent> {
  /** The id of the stream. */
  readonly id: string;
  readonly event: E;
}

/** What `source` takes. */
export interface SourceDefinition<E extends AnyEvent> {
  /** The key of the Redis Stream. */
  readonly key: string;
  readonly into: Category<E>;
  /** What an entry says: one event, several, or none (it is passed over). Throws for an entry that it cannot read. Pure. */
  readonly decode: (entry: SourceEntry) => Imported<E> | readonly Imported<E>[] | undefined;
  /** What to do with an entry that `decode` throws at: `stop` this import (the default), or `skip` and count it. */
  readonly onError?: 'stop' | 'skip';
}

/** A source, as `source` makes it; a StreamProcessor imports it. */
export interface Source {
  readonly key: string;
  readonly category: string;
  readonly onError: 'stop' | 'skip';
  decode(entry: SourceEntry): readonly Imported<AnyEvent>[];
}

/** Defines a source: each entry is imported exactly once, with its own time. Throws InvalidInputError for an unusable key. */
export function source<const E extends AnyEvent>(definition: SourceDefinition<E>): Source {
  const { key, into, decode, onError = 'stop' } = definition;
  if (typeof key !== 'string' || key === '' || !key.isWellFormed()) throw new InvalidInputError('source key', 'the key of a Redis Stream', key);
  return Object.freeze({
    key,
    category: into.name,
    onError,
    decode: (entry: SourceEntry) => {
      const decoded = decode(entry);
      const list = decoded === undefined ? [] : Array.isArray(decoded) ? (decoded as readonly Imported<E>[]) : [decoded as Imported<E>];
      for (const each of list) assertName('stream id', each.id);
      return list;
    },
  });
}
