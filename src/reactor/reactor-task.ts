// Runs one reactor in one partition: takes events from the log, hands them to handlers, and keeps each key in order also over dead letters.
import { ReactorFailedError } from '../processing-errors.ts';
import type { RecordedEvent } from '../event.ts';
import type { Executor } from '../execute.ts';
import type { LogEvent } from '../log/entry.ts';
import type { Marked } from '../log/mark.ts';
import type { Connection } from '../redis/connection.ts';
import { packEntryId } from '../position.ts';
import { raiseEpoch } from '../redis/reaction-scripts.ts';
import { HandlerPool, type Outcome } from './handler-pool.ts';
import type { Checkpoint } from '../loop/lease.ts';
import { encodeLetter, letterOf, tooManyWaiting, waitingEntry } from './letter.ts';
import { LetterRetries } from './letter-retries.ts';
import { type Begun, ReactionCommits, type Slot } from './reaction-commits.ts';
import { type ReactionHandler, Reactions } from './reaction-context.ts';
import { isProcessManager } from './process-manager.ts';
import { ProcessSteps } from './process-step.ts';
import type { Reactor } from './reactor.ts';
import { readBeginning } from './start-from.ts';
import { free, type Tenure } from './reactor-tenure.ts';
import { type Batch, LeaseLost, type Task } from '../loop/task.ts';

/** Bounds of what a reactor has in hand. */
export const reactorLimits: Readonly<Record<'eventsBehindCheckpoint' | 'eventsWaiting', number>> = Object.freeze({
  /** Events of a partition that may be done or under way while an earlier one is not. */
  eventsBehindCheckpoint: 10_000,
  /** Events of a partition that may wait behind dead letters; with more the reactor stands still there. */
  eventsWaiting: 100_000,
});

export interface ReactorTaskOptions {
  readonly leaseMs: number;
  /** How long handlers have to end when the processor stops, in milliseconds, before their signal is aborted. */
  readonly graceMs: number;
  readonly onCommit: (task: ReactorTask, events: number) => void;
  readonly onDeadLetter: (task: ReactorTask, event: RecordedEvent, error: unknown) => void;
}

export class ReactorTask implements Task {
  readonly reactor: Reactor;
  readonly partition: number;
  readonly name: string;
  readonly title: string;
  readonly subject: { readonly reactor: string };
  readonly checkpointKey: string;
  readonly reads: string;
  readonly categories: ReadonlySet<string>;
  checkpoint: Checkpoint | undefined;
  lastKnown: Checkpoint | undefined;
  failure: unknown;

  readonly #connection: Connection;
  readonly #options: ReactorTaskOptions;
  readonly #handler: ReactionHandler;
  #tenure: Tenure | undefined;
  /** Of the last tenure that began here. */
  #lastEpoch: string | undefined;
  #broken: unknown;
  #onReady: (() => void) | undefined;

  constructor(connection: Connection, executor: Executor, reactor: Reactor, partition: number, options: ReactorTaskOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#handler = isProcessManager(reactor)
      ? new ProcessSteps(connection, reactor, partition)
      : new Reactions(connection, executor, reactor, partition);
    this.reactor = reactor;
    this.partition = partition;
    this.name = `${reactor.name}@${reactor.version}`;
    this.title = `reactor ${this.name}`;
    this.subject = { reactor: reactor.name };
    this.checkpointKey = connection.keys.checkpoint(partition, reactor.name, reactor.version);
    this.reads = reactor.categories.join(',');
    this.categories = new Set(reactor.categories);
  }

  get standing(): Marked | undefined {
    const tenure = this.#tenure;
    return tenure && this.#broken === undefined && !this.#isFull(tenure) ? tenure.standing : undefined;
  }

  async prepare(): Promise<void> {
    if (this.#broken !== undefined) {
      const broken = this.#broken;
      this.forget();
      throw broken as Error;
    }
    const tenure = (this.#tenure ??= await this.#begin());
    tenure.retries.look();
    if (!tenure.overflow || !this.#isOverfull(tenure) || !tenure.retries.isIdle) return;
    this.forget();
    throw tooManyWaiting(this.name, tenure.overflow, reactorLimits.eventsWaiting);
  }

  async take({ events, through, mark }: Batch): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) throw new LeaseLost();
    const keys = events.map((logEvent) => this.#keyOf(logEvent));
    await this.#learnBlocked(tenure, new Set(keys.filter((key) => key !== undefined)));
    if (this.#tenure !== tenure) throw new LeaseLost();
    for (const [index, logEvent] of events.entries()) this.#admit(tenure, logEvent, keys[index]);
    tenure.standing = { place: through, mark };
    tenure.commits.readTo(through, mark);
  }

  async settle(): Promise<void> {
    // Commits follow each other by themselves; one that fails shows in `prepare`.
  }

  whenReady(): Promise<void> | undefined {
    const tenure = this.#tenure;
    if (!tenure) return undefined;
    if (this.#broken !== undefined || !this.#isFull(tenure)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onReady = resolve;
    });
  }

  async finish(): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) return;
    const { commits, pool, retries } = tenure;
    retries.end();
    commits.prolong(); // nobody should take over while handlers are given time to end
    await pool.drain(this.#options.graceMs, new Error('The processor stops, or gives this partition to another process.'), () => commits.prolong());
    await Promise.resolve(); // what the last handlers came to is noted first
    await commits.settled();
    this.forget();
  }

  letGo(): void {
    this.checkpoint = undefined;
    this.forget();
  }

  forget(): void {
    const tenure = this.#tenure;
    this.#tenure = undefined;
    this.#broken = undefined;
    tenure?.retries.end();
    tenure?.commits.end();
    tenure?.pool.cancel(new Error('Another process took over, or the connection was lost: what this handler comes to does not count.'));
    this.#ready();
  }

  /** Reads where the last owner left off, and keeps that one's handlers from appending anything more. */
  async #begin(): Promise<Tenure> {
    const { checkpoint, reactor, partition } = this;
    if (!checkpoint) throw new LeaseLost();
    const { epoch } = checkpoint;
    const { start, turn, ...found } = await readBeginning(this.#connection, reactor, partition);
    await this.#raiseFence(epoch);
    const tenure = this.#tenureFrom({ epoch, turn, ...start }, found);
    // Where a new reactor begins is fixed before anything is handled.
    if (start.isNew) {
      tenure.commits.close(undefined, [{ what: 'finished', place: start.place }]);
      await tenure.commits.settled();
    }
    const isPassed = (place: number): boolean => place <= start.place || found.finished.has(place);
    this.#handler.sweep(isPassed).catch(() => undefined); // what stays is swept by the next owner
    return tenure;
  }

  /**
   * A checkpoint that was lost, in a failover or a restore, begins with a low epoch again: it goes on behind the highest that was. And each
   * tenure has an epoch of its own, also where this process had the one before, for that may have something on its way.
   */
  async #raiseFence(epoch: string): Promise<void> {
    const highest = epoch === this.#lastEpoch ? Number(epoch) : await this.#handler.raiseFence(epoch);
    const isUsed = epoch === this.#lastEpoch || highest > Number(epoch);
    if (isUsed) await raiseEpoch(this.#connection.port, this.checkpointKey, epoch, highest + 1);
    if (isUsed || this.checkpoint?.epoch !== epoch) throw new LeaseLost();
    this.#lastEpoch = epoch;
  }

  #tenureFrom(begun: Begun, found: Pick<Tenure, 'finished' | 'mayBeBlocked' | 'waiting'>): Tenure {
    const { reactor, partition } = this;
    const onBroken = (error: unknown): void => {
      if (tenure === this.#tenure) this.#break(error);
    };
    const pool = new HandlerPool(reactor, this.#handler, { epoch: begun.epoch, onFenced: () => onBroken(new LeaseLost()) });
    const commits = new ReactionCommits(this.#connection, reactor, partition, begun, {
      leaseMs: this.#options.leaseMs,
      onCommit: (events) => {
        this.#options.onCommit(this, events);
        this.#ready();
      },
      onBroken,
      drop: (leftovers) => this.#handler.drop(leftovers),
    });
    const retries = new LetterRetries(this.#connection, reactor, partition, {
      pool,
      commits,
      onFree: (key) => free(tenure, key),
      onFreed: (key) => tenure.changed.delete(key),
      onShift: () => void (tenure.waiting -= 1),
      onBroken,
      onDeadLetter: (event, error) => this.#options.onDeadLetter(this, event, error),
      parks: (each) => tenure.blocked.get(each) ?? 0,
      onDiscarded: () => void this.#sweep().catch(() => undefined), // what stays is swept by the next owner
    });
    const { place, mark } = begun;
    const tenure: Tenure = {
      pool,
      commits,
      retries,
      ...found,
      blocked: new Map(),
      changed: new Set(),
      standing: { place, mark },
      overflow: undefined,
    };
    return tenure;
  }

  /** Removes what was kept for letters that were discarded. Only what is committed is done with. */
  async #sweep(): Promise<void> {
    const position = await this.#connection.port.send(this.checkpointKey, ['HGET', this.checkpointKey, 'position']);
    if (typeof position === 'string' && position !== '') await this.#handler.sweep((place) => place <= packEntryId(position));
  }

  #isFull(tenure: Tenure): boolean {
    const { pool, commits } = tenure;
    if (this.#isOverfull(tenure)) return true;
    return pool.inHand >= 2 * this.reactor.concurrency || commits.isBehind || commits.length >= reactorLimits.eventsBehindCheckpoint;
  }

  /** Nothing more is read then, while letters are retried or discarded: that makes room. */
  #isOverfull({ waiting, overflow, retries }: Tenure): boolean {
    return waiting > reactorLimits.eventsWaiting && (overflow !== undefined || !retries.isIdle);
  }

  /** The key of an event that is to be handled; undefined for one that is passed over. */
  #keyOf({ event, category }: LogEvent): string | undefined {
    const { types } = this.reactor;
    if (!this.categories.has(category) || (types && !types.has(event.type))) return undefined;
    try {
      return this.reactor.key(event);
    } catch (cause) {
      throw new ReactorFailedError(this.name, event, { cause });
    }
  }

  /** Which of these keys wait behind a letter, where that is not known. */
  async #learnBlocked(tenure: Tenure, keys: ReadonlySet<string>): Promise<void> {
    if (!tenure.mayBeBlocked || keys.size === 0) return;
    const { keys: names, port } = this.#connection;
    const blockedKey = names.blocked(this.partition, this.reactor.name, this.reactor.version);
    const asked = [...keys].filter((key) => !tenure.blocked.has(key));
    if (asked.length === 0) return;
    const places = (await port.send(blockedKey, ['HMGET', blockedKey, ...asked])) as (string | null)[];
    for (const [index, key] of asked.entries())
      if (places[index] !== null && !tenure.changed.has(key) && !tenure.blocked.has(key)) tenure.blocked.set(key, 0);
  }

  #admit(tenure: Tenure, logEvent: LogEvent, key: string | undefined): void {
    const isFinished = tenure.finished.has(logEvent.place);
    const slot = tenure.commits.open(logEvent, key === undefined || isFinished, isFinished);
    if (key === undefined || isFinished) return;
    if (tenure.blocked.has(key)) this.#park(tenure, slot, logEvent, key);
    else tenure.pool.add(logEvent, key, (outcome) => this.#ended(tenure, slot, logEvent, { key, outcome }));
  }

  #ended(tenure: Tenure, slot: Slot, logEvent: LogEvent, { key, outcome }: { readonly key: string; readonly outcome: Outcome }): void {
    if (outcome.kind === 'behind') this.#park(tenure, slot, logEvent, key);
    else if (outcome.kind === 'done') tenure.commits.close(slot, [], outcome.leftovers);
    else {
      tenure.blocked.set(key, 0);
      const letter = encodeLetter(letterOf(logEvent.category, key, outcome));
      const tell = (): void => this.#options.onDeadLetter(this, logEvent.event, outcome.error);
      tenure.commits.close(slot, [{ what: 'dead', key, place: logEvent.place, letter }], undefined, tell);
    }
  }

  #park(tenure: Tenure, slot: Slot, logEvent: LogEvent, key: string): void {
    tenure.blocked.set(key, (tenure.blocked.get(key) ?? 0) + 1);
    tenure.waiting += 1;
    if (tenure.waiting > reactorLimits.eventsWaiting) tenure.overflow = logEvent;
    tenure.commits.close(slot, [{ what: 'park', key, entry: waitingEntry(logEvent) }]);
  }

  #break(error: unknown): void {
    this.#broken ??= error;
    this.#ready();
  }

  #ready(): void {
    this.#onReady?.();
    this.#onReady = undefined;
  }
}
