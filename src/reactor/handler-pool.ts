// Calls a reactor's handlers: so many at the same time, those of one key one after the other, each event until it is done or given up.
import { InvalidInputError, PartitionMismatchError } from '../errors.ts';
import { ReactionFencedError } from '../processing-errors.ts';
import type { LogEvent } from '../log/entry.ts';
import { attempt, delayAfter, LazyAbort } from './attempts.ts';
import type { Leftovers, ReactionHandler } from './reaction-context.ts';
import type { Reactor } from './reactor.ts';

/**
 * What became of an event: its handler was done, or failed as often as it may; 'behind' says that an earlier event of its key did, so that
 * this one has to wait.
 */
export type Outcome =
  | { readonly kind: 'done'; readonly leftovers: Leftovers }
  | { readonly kind: 'failed'; readonly error: unknown; readonly attempts: number; readonly firstFailedAt: number; readonly lastFailedAt: number }
  | { readonly kind: 'behind' };

interface Work {
  readonly logEvent: LogEvent;
  readonly key: string;
  readonly onEnd: (outcome: Outcome) => void;
  readonly leftovers: Leftovers;
  attempts: number;
  firstFailedAt: number;
}

/** The handlers of one reactor in one partition, for as long as one lease lasts. */
export class HandlerPool {
  readonly #reactor: Reactor;
  readonly #handler: Pick<ReactionHandler, 'handle'>;
  readonly #epoch: string;
  readonly #onFenced: () => void;
  /** The events of each key that are in hand, the first one of them with its handler. */
  readonly #queues = new Map<string, Work[]>();
  readonly #ready: string[] = [];
  readonly #running = new Set<LazyAbort>();
  readonly #delays = new Set<NodeJS.Timeout>();
  #isStopping = false;
  #inHand = 0;
  #onIdle: (() => void) | undefined;

  constructor(
    reactor: Reactor,
    handler: Pick<ReactionHandler, 'handle'>,
    { epoch, onFenced }: { readonly epoch: string; readonly onFenced: () => void },
  ) {
    this.#reactor = reactor;
    this.#handler = handler;
    this.#epoch = epoch;
    this.#onFenced = onFenced;
  }

  /** Events that have no outcome yet. */
  get inHand(): number {
    return this.#inHand;
  }

  /** Resolves with what became of the event; never, where the pool was stopped before. */
  handle(logEvent: LogEvent, key: string): Promise<Outcome> {
    return new Promise((resolve) => this.add(logEvent, key, resolve));
  }

  /**
   * The same, told at once and not in a later turn: whoever adds the key's next event knows then what became of this one, and those that
   * stood behind it are told in their order.
   */
  add(logEvent: LogEvent, key: string, onEnd: (outcome: Outcome) => void): void {
    this.#inHand += 1;
    const work: Work = { logEvent, key, onEnd, leftovers: { appended: new Map(), ended: undefined }, attempts: 0, firstFailedAt: 0 };
    const queue = this.#queues.get(key);
    if (queue) queue.push(work);
    else {
      this.#queues.set(key, [work]);
      this.#ready.push(key);
      this.#start();
    }
  }

  /**
   * Starts nothing more, and lets what runs end; after `graceMs` its signals are aborted, which is told, and it is waited for as long again
   * at most.
   */
  async drain(graceMs: number, reason: Error, onAborting?: () => void): Promise<void> {
    this.#stop();
    await this.#idle(graceMs);
    if (this.#running.size === 0) return;
    onAborting?.();
    this.#abort(reason);
    await this.#idle(graceMs);
  }

  /** Ends everything at once: what comes of it does not count any more. */
  cancel(reason: Error): void {
    this.#stop();
    this.#abort(reason);
    this.#queues.clear();
    this.#inHand = 0;
  }

  #stop(): void {
    this.#isStopping = true;
    for (const timer of this.#delays) clearTimeout(timer);
    this.#delays.clear();
  }

  #abort(reason: Error): void {
    for (const abort of this.#running) abort.abort(reason);
  }

  async #idle(mostMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, mostMs);
    });
    clearTimeout(timer);
  }

  #start(): void {
    while (!this.#isStopping && this.#running.size < this.#reactor.concurrency) {
      const key = this.#ready.shift();
      const work = key === undefined ? undefined : this.#queues.get(key)?.[0];
      if (!work) return;
      void this.#try(work);
    }
  }

  async #try(work: Work): Promise<void> {
    const abort = new LazyAbort();
    this.#running.add(abort);
    work.attempts += 1;
    const { logEvent, key, attempts, leftovers } = work;
    const handle = (): Promise<unknown> | void => this.#handler.handle({ logEvent, key, attempt: attempts, abort, leftovers }, this.#epoch);
    const outcome = await attempt(this.#reactor, logEvent.event, handle, abort);
    this.#running.delete(abort);
    // One that was aborted here failed for no reason of its own: whoever has the event next tries it.
    if (this.#queues.get(key)?.[0] === work && !(this.#isStopping && abort.isAborted && !outcome.isDone)) this.#tried(work, outcome);
    if (this.#running.size === 0) this.#onIdle?.();
    this.#start();
  }

  #tried(work: Work, outcome: Awaited<ReturnType<typeof attempt>>): void {
    if (outcome.isDone) return this.#done(work);
    if (outcome.error instanceof ReactionFencedError) return this.#onFenced();
    const now = Date.now();
    work.firstFailedAt ||= now;
    if (work.attempts >= this.#reactor.retry.attempts || isHopeless(outcome.error)) return this.#giveUp(work, outcome.error, now);
    if (this.#isStopping) return;
    const timer = setTimeout(
      () => {
        this.#delays.delete(timer);
        this.#ready.push(work.key);
        this.#start();
      },
      delayAfter(work.attempts, this.#reactor.retry),
    );
    this.#delays.add(timer);
  }

  #done({ key, onEnd, leftovers }: Work): void {
    const queue = this.#queues.get(key) ?? [];
    queue.shift();
    if (queue.length > 0) this.#ready.push(key);
    else this.#queues.delete(key);
    this.#inHand -= 1;
    onEnd({ kind: 'done', leftovers });
  }

  #giveUp({ key, onEnd, attempts, firstFailedAt }: Work, error: unknown, lastFailedAt: number): void {
    const [, ...behind] = this.#queues.get(key) ?? [];
    this.#queues.delete(key);
    this.#inHand -= 1 + behind.length;
    onEnd({ kind: 'failed', error, attempts, firstFailedAt, lastFailedAt });
    for (const each of behind) each.onEnd({ kind: 'behind' });
  }
}

/** What this library refuses it refuses the next time, too. */
function isHopeless(error: unknown): boolean {
  return error instanceof InvalidInputError || error instanceof PartitionMismatchError;
}
