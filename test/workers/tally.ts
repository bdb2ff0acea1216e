// The fold that the crash tests check: how many events of a stream, in which order, and whether one was missing or came twice.
import { type Category, category, type Event, type Imported, type Projection, projection, type Source, type SourceEntry, source } from 'millrace';

export type Counted = Event<'Counted', { readonly n: number }>;

export const counted: Category<Counted> = category<Counted>('counted');

export interface Tally {
  readonly count: number;
  readonly sum: number;
  /** Of the numbers in their order: the same numbers in another one give another hash. */
  readonly hash: number;
  readonly lastVersion: number;
  /** Events that did not come right behind the one before them: a lost one, a doubled one, two in the wrong order. */
  readonly faults: number;
}

export const NO_TALLY: Tally = { count: 0, sum: 0, hash: 0, lastVersion: 0, faults: 0 };

export function tallied({ count, sum, hash, lastVersion, faults }: Tally, streamVersion: number, n: number): Tally {
  return {
    count: count + 1,
    sum: sum + n,
    hash: (hash * 31 + n + 1) % 1_000_000_007,
    lastVersion: streamVersion,
    faults: faults + (streamVersion === lastVersion + 1 ? 0 : 1),
  };
}

export const tallies: Projection<Tally> = projection({
  name: 'tallies',
  categories: [counted],
  initialState: () => NO_TALLY,
  evolve: (tally, event) => tallied(tally, event.streamVersion, event.data.n),
});

export interface Bucket {
  readonly count: number;
  readonly sum: number;
}

export const NO_BUCKET: Bucket = { count: 0, sum: 0 };

/** The document of a number: it gets events of every partition. */
export function bucketOf(n: number): string {
  return `bucket-${n % 20}`;
}

/** Folded over all partitions, in whatever order their events come. */
export const buckets: Projection<Bucket> = projection({
  name: 'buckets',
  categories: [counted],
  key: (event) => bucketOf(event.data.n),
  initialState: () => NO_BUCKET,
  evolve: ({ count, sum }, event) => ({ count: count + 1, sum: sum + event.data.n }),
});

/** The versions that come next: folded from the beginning beside those that serve. */
export const talliesNext: Projection<Tally> = { ...tallies, version: 2 };
export const bucketsNext: Projection<Bucket> = { ...buckets, version: 2 };

/** Entries with the fields `id` and `n`. */
export function countedFrom(key: string): Source {
  return source({
    key,
    into: counted,
    decode: ({ fields: { id = '', n } }: SourceEntry): Imported<Counted> => ({ id, event: { type: 'Counted', data: { n: Number(n) } } }),
  });
}
