// What a reactor's task holds in one partition for as long as one lease lasts.
import type { LogEvent } from '../log/entry.ts';
import type { Marked } from '../log/mark.ts';
import type { HandlerPool } from './handler-pool.ts';
import type { LetterRetries } from './letter-retries.ts';
import type { ReactionCommits } from './reaction-commits.ts';

/** All that belongs to one lease. */
export interface Tenure {
  readonly pool: HandlerPool;
  readonly commits: ReactionCommits;
  readonly retries: LetterRetries;
  readonly finished: ReadonlySet<number>;
  /** Keys that were found blocked by a letter, or became so here; how many events were sent to wait here. */
  readonly blocked: Map<string, number>;
  /** Keys that are free since a moment ago: what is read of them may be older. */
  readonly changed: Set<string>;
  standing: Marked;
  mayBeBlocked: boolean;
  waiting: number;
  /** Was sent to wait though too many do. */
  overflow: LogEvent | undefined;
}

/** Nothing blocks this key any more. */
export function free(tenure: Tenure, key: string): void {
  tenure.blocked.delete(key);
  tenure.changed.add(key);
}
