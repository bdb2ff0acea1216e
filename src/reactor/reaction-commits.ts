// What became of the events of a reactor in one partition, gathered and committed: the checkpoint moves behind what is finished without a gap.
import { randomUUID } from 'node:crypto';
import type { LogEvent } from '../log/entry.ts';
import { markOf } from '../log/mark.ts';
import type { Connection } from '../redis/connection.ts';
import { commitReactions, type ReactionStep } from '../redis/reaction-scripts.ts';
import { checkpointText } from '../loop/lease.ts';
import type { Leftovers } from './reaction-context.ts';
import type { Reactor } from './reactor.ts';
import { LeaseLost } from '../loop/task.ts';

/** Where a commit begins: as the checkpoint is in Redis. */
export interface Begun {
  readonly epoch: string;
  readonly place: number;
  /** Undefined where others count: that of a reactor without order, whose events any process acknowledges. */
  readonly seen: number | undefined;
  readonly mark: string;
  /** The last commit's name there. */
  readonly turn: string;
}

/** An event in hand, in the order of the log. */
interface Slot {
  readonly place: number;
  readonly mark: string;
  /** Whether nothing of it is left to do, in this process. */
  isDone: boolean;
  /** Whether that is noted in Redis though an earlier one is not done. */
  isNoted: boolean;
}

/** What one event, or key, came to: the checkpoint passes it only in the commit that takes its steps along. */
interface Closing {
  readonly slot: Slot | undefined;
  readonly steps: readonly ReactionStep[];
  readonly leftovers: Leftovers | undefined;
  readonly onCommitted: (() => void) | undefined;
}

export interface CommitsOptions {
  readonly leaseMs: number;
  /** Told after each commit: how many events the checkpoint passed. */
  readonly onCommit: (events: number) => void;
  /** Told once, when commits end: the lease is gone, or Redis does not answer. */
  readonly onBroken: (error: unknown) => void;
  /** Removes what was kept for an event that is committed as done. */
  readonly drop: (leftovers: Leftovers) => Promise<void>;
}

/** Keeps one script from holding Redis for more than a few milliseconds. */
const CLOSINGS_OF_A_COMMIT = 1_000;
const BYTES_OF_A_COMMIT = 1_048_576;
/** Letters hold the texts of their errors: not many of them may wait in memory. */
const BYTES_WAITING_MAX = 4 * BYTES_OF_A_COMMIT;

export class ReactionCommits {
  readonly #connection: Connection;
  readonly #reactor: Reactor;
  readonly #partition: number;
  readonly #options: CommitsOptions;
  readonly #epoch: string;
  readonly #name: string = randomUUID();
  #turn: string;
  #turns = 0;
  #place: number;
  #seen: number | undefined;
  #mark: string;
  /** Slots from the checkpoint on; those before `#first` are passed already. */
  #slots: Slot[] = [];
  #first = 0;
  #through: { readonly place: number; readonly mark: string } | undefined;
  #closings: Closing[] = [];
  /** What they take, about. */
  #bytes = 0;
  /** How many closings were noted, and committed. */
  #noted = 0;
  #committed = 0;
  #running: Promise<void> | undefined;
  #isToProlong = false;
  #isBroken = false;
  #failure: unknown;

  constructor(connection: Connection, reactor: Reactor, partition: number, begun: Begun, options: CommitsOptions) {
    this.#connection = connection;
    this.#reactor = reactor;
    this.#partition = partition;
    this.#options = options;
    this.#epoch = begun.epoch;
    this.#turn = begun.turn;
    this.#place = begun.place;
    this.#seen = begun.seen;
    this.#mark = begun.mark;
  }

  /** Events behind the checkpoint, done or not. */
  get length(): number {
    return this.#slots.length - this.#first;
  }

  /** Whether so much waits to be committed that nothing more should be begun. */
  get isBehind(): boolean {
    return this.#bytes > BYTES_WAITING_MAX;
  }

  /** Notes an event that was read; the result says later that it is done. */
  open({ place, event }: LogEvent, isDone: boolean, isNoted: boolean): Slot {
    const slot: Slot = { place, mark: markOf(event), isDone, isNoted };
    this.#slots.push(slot);
    return slot;
  }

  /** Says that the log was read to there: beyond the last event in hand there was nothing for this reactor. */
  readTo(place: number, mark: string): void {
    this.#through = { place, mark };
    this.flush();
  }

  /** Notes that nothing of an event is left to do, and what came of it. */
  close(slot: Slot | undefined, steps: readonly ReactionStep[], leftovers?: Leftovers, onCommitted?: () => void): void {
    this.#closings.push({ slot, steps, leftovers, onCommitted });
    this.#noted += 1;
    this.#bytes += bytesOf(steps);
    this.flush();
  }

  /** Commits what there is to commit, now or behind the commit that is on its way. */
  flush(): void {
    if (this.#isBroken) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (!this.#isBroken && this.#hasWork()) this.flush();
    });
  }

  /** Resolves when every closing that was noted so far is committed, whatever is noted meanwhile. Throws where that failed. */
  async closed(): Promise<void> {
    const noted = this.#noted;
    while (this.#running && this.#committed < noted) await this.#running;
    if (this.#isBroken) throw (this.#failure ?? new LeaseLost()) as Error;
  }

  /** Resolves when nothing is left to commit: while more comes, it does not. Throws where that failed. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
    if (this.#isBroken) throw (this.#failure ?? new LeaseLost()) as Error;
  }

  /** Commits even if there is nothing to commit, for that prolongs the lease. */
  prolong(): void {
    this.#isToProlong = true;
    this.flush();
  }

  /** Commits nothing more. */
  end(): void {
    this.#isBroken = true;
  }

  #hasWork(): boolean {
    return this.#isToProlong || this.#closings.length > 0 || this.#slots[this.#first]?.isDone === true || this.#isAtEnd();
  }

  /** Whether every event that was read is passed, and the log was read further than that. */
  #isAtEnd(): boolean {
    return this.length === 0 && this.#through !== undefined && this.#through.place > this.#place;
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // what ends in this turn goes along
    if (this.#isBroken || !this.#hasWork()) return;
    this.#isToProlong = false;
    const closings = this.#takeClosings();
    const dropping: Promise<void>[] = [];
    for (const { slot } of closings) if (slot) slot.isDone = true;
    try {
      await this.#commit(closings.flatMap(({ steps }) => steps));
      this.#committed += closings.length;
      for (const { onCommitted } of closings) onCommitted?.();
      for (const { leftovers } of closings)
        if (leftovers && (leftovers.appended.size > 0 || leftovers.ended)) dropping.push(this.#options.drop(leftovers));
      await Promise.all(dropping);
    } catch (error) {
      if (this.#isBroken) return;
      this.#isBroken = true;
      this.#failure = error;
      this.#options.onBroken(error);
    }
  }

  async #commit(closed: readonly ReactionStep[]): Promise<void> {
    const passed = this.#pass();
    const steps = [...closed, ...this.#noteFinished()];
    const { keys, port } = this.#connection;
    const { name, version } = this.#reactor;
    const from = this.#turn;
    this.#turns += 1;
    this.#turn = `${this.#name}:${this.#turns}`;
    const isCommitted = await commitReactions(port, {
      checkpointKey: keys.checkpoint(this.#partition, name, version),
      finishedKey: keys.finished(this.#partition, name, version),
      deadKey: keys.dead(this.#partition, name, version),
      lettersKey: keys.letters(this.#partition, name, version),
      blockedKey: keys.blocked(this.#partition, name, version),
      retryingKey: keys.retrying(this.#partition, name, version),
      parkedKey: (key) => keys.parked(this.#partition, name, version, key),
      channel: keys.committedChannel(this.#partition, name, version),
      epoch: this.#epoch,
      fromTurn: from,
      toTurn: this.#turn,
      to: this.#place < 0 ? undefined : { position: checkpointText(this.#place), place: this.#place },
      seen: this.#seen,
      event: this.#mark,
      leaseMs: this.#options.leaseMs,
      steps,
    });
    if (!isCommitted) throw new LeaseLost();
    this.#options.onCommit(passed);
  }

  /** Moves behind the events that are done without a gap; how many. */
  #pass(): number {
    const before = this.#first;
    for (let slot = this.#slots[this.#first]; slot?.isDone; slot = this.#slots[this.#first]) {
      this.#place = slot.place;
      this.#mark = slot.mark;
      this.#first += 1;
    }
    const passed = this.#first - before;
    if (this.#seen !== undefined) this.#seen += passed;
    if (this.#first > 1_000) {
      this.#slots = this.#slots.slice(this.#first);
      this.#first = 0;
    }
    if (this.#isAtEnd() && this.#through) {
      this.#place = this.#through.place;
      this.#mark = this.#through.mark;
    }
    return passed;
  }

  #takeClosings(): Closing[] {
    let bytes = 0;
    let count = 0;
    for (const { steps } of this.#closings) {
      bytes += bytesOf(steps);
      if (count > 0 && (count >= CLOSINGS_OF_A_COMMIT || bytes > BYTES_OF_A_COMMIT)) break;
      count += 1;
    }
    const taken = this.#closings.splice(0, count);
    for (const { steps } of taken) this.#bytes -= bytesOf(steps);
    return taken;
  }

  /** Those that are done while an earlier one is not: nobody has to do them again. */
  #noteFinished(): ReactionStep[] {
    const steps: ReactionStep[] = [];
    for (let index = this.#first; index < this.#slots.length; index += 1) {
      const slot = this.#slots[index];
      if (!slot?.isDone || slot.isNoted) continue;
      slot.isNoted = true;
      steps.push({ what: 'finished', place: slot.place });
    }
    return steps;
  }
}

function bytesOf(steps: readonly ReactionStep[]): number {
  return steps.reduce((sum, step) => sum + 100 + ('letter' in step ? step.letter.length : 0), 0);
}

export type { Slot };
