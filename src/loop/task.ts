// What a partition's loop runs: something with a checkpoint that takes the events behind it, a projection or a reactor.
import type { LogEvent } from '../log/entry.ts';
import type { Marked } from '../log/mark.ts';
import type { Leased } from './lease.ts';

/** What a page of the log brings: the events, where it ends, and the mark of the event there. */
export interface Batch {
  readonly events: readonly LogEvent[];
  readonly through: number;
  readonly mark: string;
}

/** Another process, or nobody, has the lease that this one worked under: what it remembers is void. Internal: never reaches a caller. */
export class LeaseLost extends Error {}

/** One projection or reactor in one partition. Its methods throw LeaseLost, what Redis answered, or why it has to stand still. */
export interface Task extends Leased {
  /** What messages call it, like `projection profiles@1`. */
  readonly title: string;
  /** How the event `failed` names it. */
  readonly subject: { readonly projection: string } | { readonly reactor: string };
  readonly partition: number;
  readonly categories: ReadonlySet<string>;
  /** Where it reads on; undefined where it does not hold the lease, or has as much in hand as it can take. */
  readonly standing: Marked | undefined;
  /** Why it stands still, if it does. */
  failure: unknown;
  /** Called before each look while the lease is held. */
  prepare(): Promise<void>;
  /** Takes a batch that begins behind where it stands. What is under way then, `settle` waits for. */
  take(batch: Batch): Promise<void>;
  /** Told, while the lease is held, that there was nothing behind what it has taken. */
  reachedEnd?(): Promise<void>;
  /** Waits for the commit that is on its way. */
  settle(): Promise<void>;
  /** Ends what is under way and stores how far it came: the lease is about to be given back. */
  finish(): Promise<void>;
  /** Resolves when it takes something again; undefined where it does already, or holds no lease. */
  whenReady(): Promise<void> | undefined;
  /** Lets the checkpoint go, and all that depends on it: another process may go on. */
  letGo(): void;
  /** Lets all go that depends on the lease from before. */
  forget(): void;
}
