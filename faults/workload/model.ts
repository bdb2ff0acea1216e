// What the workload writes and folds: events that name the operation they are of, and folds that show one that is lost, doubled or moved.
import { type Category, category, type Decider, type Event, type Projection, projection } from 'millrace';

/** What every event says of itself. */
export interface Noted {
  /** The operation that it is of, and which of so many events. */
  readonly op: string;
  readonly index: number;
  readonly of: number;
  readonly n: number;
}

export type Counted = Event<'Counted', Noted>;

export const orders: Category<Counted> = category<Counted>('orders');
/** Written together with `orders`: streams of one id share a partition. */
export const ledger: Category<Counted> = category<Counted>('ledger');

/** What a reactor appends, once for each event that it answers. */
export const answers: Category<Counted> = category<Counted>('answers');

/** What a process manager appends, at once and by a schedule. */
export const bills: Category<Counted> = category<Counted>('bills');
export const reminders: Category<Counted> = category<Counted>('reminders');

/** What folds look at. */
export interface Fact {
  readonly streamName: string;
  readonly streamVersion: number;
  readonly data: Noted;
}

export interface Tally {
  readonly count: number;
  readonly sum: number;
  /** Of the numbers in their order: another order gives another hash. */
  readonly hash: number;
  readonly orders: number;
  readonly ledger: number;
  /** Events that did not come right behind the one before them in their stream. */
  readonly faults: number;
}

export const NO_TALLY: Tally = { count: 0, sum: 0, hash: 0, orders: 0, ledger: 0, faults: 0 };

export function tallied(tally: Tally, { streamName, streamVersion, data: { n } }: Fact): Tally {
  const category = streamName.startsWith('orders:') ? 'orders' : 'ledger';
  return {
    ...tally,
    count: tally.count + 1,
    sum: tally.sum + n,
    hash: hashed(tally.hash, n),
    [category]: streamVersion,
    faults: tally.faults + (streamVersion === tally[category] + 1 ? 0 : 1),
  };
}

function hashed(hash: number, n: number): number {
  return (hash * 31 + n + 1) % 1_000_000_007;
}

export interface Bucket {
  readonly count: number;
  readonly sum: number;
}

export const NO_BUCKET: Bucket = { count: 0, sum: 0 };
const BUCKETS = 40;

export function bucketOf(n: number): string {
  return `bucket-${n % BUCKETS}`;
}

/** Keyed by stream: both streams of an id, in the order of their positions. */
export function tallies(version: number, consistency: 'async' | 'live' = 'async'): Projection<Tally> {
  return projection({
    name: 'tallies',
    version,
    categories: [orders, ledger],
    consistency,
    initialState: () => NO_TALLY,
    evolve: (tally, event) => tallied(tally, event),
  });
}

/** Keyed by number: each document gets events of every partition, in whatever order they come. */
export function buckets(version: number): Projection<Bucket> {
  return projection({
    name: 'buckets',
    version,
    categories: [orders, ledger],
    key: (event) => bucketOf(event.data.n),
    initialState: () => NO_BUCKET,
    evolve: (bucket, event) => bucketed(bucket, event.data.n),
  });
}

export function bucketed({ count, sum }: Bucket, n: number): Bucket {
  return { count: count + 1, sum: sum + n };
}

/** What a decider knows of a stream of orders. */
export interface Order {
  readonly count: number;
  readonly hash: number;
}

export const NO_ORDER: Order = { count: 0, hash: 0 };

export function ordered({ count, hash }: Order, { n }: Noted): Order {
  return { count: count + 1, hash: hashed(hash, n) };
}

/** A command: so many events of an operation; none only looks. */
export interface Command {
  readonly op: string;
  readonly numbers: readonly number[];
}

/** Stored often, so that most states that are read are a snapshot and a tail. */
const EVENTS_A_SNAPSHOT = 7;

export const order: Decider<Counted, Command, Order> = orders.decider({
  initialState: () => NO_ORDER,
  evolve: (state: Order, event) => ordered(state, event.data),
  decide: ({ op, numbers }: Command): readonly Counted[] => counted(op, numbers),
  snapshot: { name: 'order-states', version: 1, everyEvents: EVENTS_A_SNAPSHOT },
});

/** The events of an operation; `first` is where they begin among all of its events. */
export function counted(op: string, numbers: readonly number[], { first = 0, of = numbers.length } = {}): Counted[] {
  return numbers.map((n, index) => ({ type: 'Counted', data: { op, index: first + index, of, n } }));
}

/** Which events are answered. */
export function isAnswered({ streamName, data }: Pick<Fact, 'streamName' | 'data'>): boolean {
  return streamName.startsWith('orders:') && data.n % 4 === 0;
}

export function answerOf({ data: { op, index, n } }: Pick<Fact, 'data'>): Counted {
  return { type: 'Counted', data: { op: answerTo(op, index), index: 0, of: 1, n } };
}

/** The operation that an answer is of. */
export function answerTo(op: string, index: number): string {
  return `answer to ${op}#${index}`;
}

/** Whether an event is of the categories that producers write, and that are folded. */
export function isProduced({ streamName }: Pick<Fact, 'streamName'>): boolean {
  return streamName.startsWith('orders:') || streamName.startsWith('ledger:');
}

/** The part of a stream's name behind the category, which is the key of its document. */
export function idOf(streamName: string): string {
  return streamName.slice(streamName.indexOf(':') + 1);
}
