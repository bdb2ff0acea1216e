// What checkers are given, and what they answer with.
import type { Recording } from '../history.ts';
import type { Noted } from '../workload/model.ts';

/** An event as it was read at the end. */
export interface Logged {
  readonly streamName: string;
  readonly streamVersion: number;
  readonly position: string;
  readonly data: Noted;
}

/** The documents of one projection, come by in one way: stored while it ran, built anew, folded on read. */
export interface Documents {
  readonly how: string;
  readonly found: ReadonlyMap<string, unknown>;
  /** The pure fold of the log. */
  readonly folded: ReadonlyMap<string, unknown>;
}

/** How long everything took to be folded and handled once the faults had healed. */
export interface Drain {
  readonly tookMs: number;
  readonly limitMs: number;
  /** What had not been folded or handled when time was up. */
  readonly left: readonly string[];
}

/** What is to be known of a reactor. */
export interface ReactorFacts {
  readonly name: string;
  /** Whether events of one key (the stream's id) are handled one after the other. */
  readonly isOrdered: boolean;
  readonly categories: readonly string[];
}

/** A whole history: what was asked and told while it ran, and what was there at the end. */
export interface History extends Recording {
  /** In the order of all. */
  readonly log: readonly Logged[];
  readonly streams: ReadonlyMap<string, readonly Logged[]>;
  readonly documents: readonly Documents[];
  /** What a command sees of each stream: a snapshot and its tail. */
  readonly loaded: ReadonlyMap<string, { readonly version: number; readonly state: unknown }>;
  readonly reactors: readonly ReactorFacts[];
  /** Followers that nothing ended before everything was drained. */
  readonly followersAtEnd: readonly string[];
  readonly drain: Drain;
  /** Whether a failover may have lost what was acknowledged. Then a loss is expected, and has to be told; nothing else is excused. */
  readonly mayLose: boolean;
}

export type FindingKind = 'lost' | 'doubled' | 'unordered' | 'wrong' | 'late';

export interface Finding {
  readonly kind: FindingKind;
  readonly message: string;
  /** Whether it is what asynchronous replication does: counted, and no violation. */
  readonly isExpected?: boolean;
}

/** A pure function: the same history has the same findings. */
export type Checker = (history: History) => readonly Finding[];

/** Which event of which operation. */
export function keyOf({ data: { op, index } }: Pick<Logged, 'data'>): string {
  return `${op}#${index}`;
}

/** The partition that a position is of. */
export function partitionOf(position: string): string {
  return position.split('@')[1] ?? '0';
}

export function grouped<T>(items: Iterable<T>, groupOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(groupOf(item));
    if (group) group.push(item);
    else groups.set(groupOf(item), [item]);
  }
  return groups;
}

/** The operations that have events in the log. */
export function survivors({ log }: Pick<History, 'log'>): ReadonlySet<string> {
  return new Set(log.map(({ data }) => data.op));
}
