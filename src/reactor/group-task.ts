// Looks after a reactor that keeps no order, in one partition: whoever holds the lease retries its letters, moves its checkpoint and clears up.
import { CorruptEntryError } from '../errors.ts';
import type { Executor } from '../execute.ts';
import type { Connection } from '../redis/connection.ts';
import { removeConsumers } from '../redis/group-scripts.ts';
import { raiseEpoch } from '../redis/reaction-scripts.ts';
import { workerField } from '../redis/keys.ts';
import { PortError } from '../redis/port.ts';
import { ConsumerGroup, groupStandsAt, readsOf } from './consumer-group.ts';
import { HandlerPool } from './handler-pool.ts';
import type { Checkpoint } from '../loop/lease.ts';
import { LetterRetries } from './letter-retries.ts';
import { ReactionCommits } from './reaction-commits.ts';
import { type Handling, Reactions } from './reaction-context.ts';
import type { Reactor } from './reactor.ts';
import { LeaseLost, type Task } from '../loop/task.ts';

export interface GroupTaskOptions {
  readonly leaseMs: number;
  /** How long handlers of letters have to end when the processor stops, in milliseconds, before their signal is aborted. */
  readonly graceMs: number;
}

/** All that belongs to one lease. */
interface Tenure {
  readonly pool: HandlerPool;
  readonly commits: ReactionCommits;
  readonly retries: LetterRetries;
  place: number;
  clearAt: number;
}

/** A consumer that has nothing pending is removed when it was silent for so many leases, and longer than any blocking read takes. */
const LEASES_UNTIL_REMOVED = 10;
const REMOVED_MS_MIN = 15_000;

export class GroupTask implements Task {
  readonly reactor: Reactor;
  readonly partition: number;
  readonly group: ConsumerGroup;
  readonly name: string;
  readonly title: string;
  readonly subject: { readonly reactor: string };
  readonly checkpointKey: string;
  readonly reads: string;
  readonly categories: ReadonlySet<string>;
  /** It reads nothing: workers do, in every process. */
  readonly standing: undefined = undefined;
  checkpoint: Checkpoint | undefined;
  lastKnown: Checkpoint | undefined;
  failure: unknown;

  readonly #connection: Connection;
  readonly #options: GroupTaskOptions;
  readonly #reactions: Reactions;
  #tenure: Tenure | undefined;
  /** Of the last tenure that began here. */
  #lastEpoch: string | undefined;
  #broken: unknown;

  constructor(connection: Connection, executor: Executor, reactor: Reactor, partition: number, options: GroupTaskOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#reactions = new Reactions(connection, executor, reactor, partition);
    this.reactor = reactor;
    this.partition = partition;
    this.group = new ConsumerGroup(connection, reactor, partition);
    this.name = `${reactor.name}@${reactor.version}`;
    this.title = `reactor ${this.name}`;
    this.subject = { reactor: reactor.name };
    this.checkpointKey = this.group.keys.checkpointKey;
    this.reads = readsOf(reactor);
    this.categories = new Set(reactor.categories);
  }

  async prepare(): Promise<void> {
    if (this.#broken !== undefined) {
      const broken = this.#broken;
      this.forget();
      throw broken as Error;
    }
    const tenure = (this.#tenure ??= await this.#begin());
    tenure.retries.look();
    try {
      await this.#advance(tenure);
      if (performance.now() >= tenure.clearAt) await this.#clear(tenure);
    } catch (error) {
      // Workers make the groups, and see what became of one that is gone, or of an entry that is none.
      if (!(error instanceof CorruptEntryError) && !(error instanceof PortError && error.reply === 'NOGROUP')) throw error;
    }
  }

  async take(): Promise<void> {
    // Nothing: it stands nowhere.
  }

  async settle(): Promise<void> {
    // Commits follow each other by themselves; one that fails shows in `prepare`.
  }

  whenReady(): undefined {
    return undefined;
  }

  async finish(): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) return;
    tenure.retries.end();
    await tenure.pool.drain(this.#options.graceMs, new Error('The processor stops, or gives this partition to another process.'));
    await Promise.resolve(); // what the last handlers came to is noted first
    await tenure.commits.settled();
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
  }

  /** Keeps the last owner's handlers of letters from appending anything more. */
  async #begin(): Promise<Tenure> {
    const { checkpoint, reactor, partition } = this;
    if (!checkpoint) throw new LeaseLost();
    const { epoch, place, mark } = checkpoint;
    await this.#raiseFence(epoch);
    const turn = (await this.#connection.port.send(this.checkpointKey, ['HGET', this.checkpointKey, 'turn'])) as string | null;
    const onBroken = (error: unknown): void => {
      if (tenure === this.#tenure) this.#broken ??= error;
    };
    const pool = new HandlerPool(
      reactor,
      { handle: (handling) => this.#handleLetter(handling, epoch) },
      { epoch, onFenced: () => onBroken(new LeaseLost()) },
    );
    const begun = { epoch, turn: turn ?? '', place, seen: undefined, mark };
    const commits = new ReactionCommits(this.#connection, reactor, partition, begun, {
      leaseMs: this.#options.leaseMs,
      onCommit: () => undefined,
      onBroken,
      drop: (leftovers) => this.#reactions.drop(leftovers),
    });
    const nothing = (): undefined => undefined; // with no order, nothing waits behind a letter
    const waiting = { onFree: nothing, onFreed: nothing, onShift: nothing, parks: () => 0 };
    const sweep = (): void => {
      this.#reactions.sweep((each) => each <= tenure.place).catch(() => undefined); // what stays is swept by the next owner
    };
    const retries = new LetterRetries(this.#connection, reactor, partition, { pool, commits, onBroken, onDiscarded: sweep, ...waiting });
    const tenure: Tenure = { pool, commits, retries, place, clearAt: 0 };
    sweep();
    return tenure;
  }

  /**
   * A checkpoint that was lost, in a failover or a restore, begins with a low epoch again: it goes on behind the highest that was. And each
   * tenure has an epoch of its own, also where this process had the one before, for that may have something on its way.
   */
  async #raiseFence(epoch: string): Promise<void> {
    const highest = epoch === this.#lastEpoch ? Number(epoch) : await this.#reactions.raiseFence(epoch);
    const isUsed = epoch === this.#lastEpoch || highest > Number(epoch);
    if (isUsed) await raiseEpoch(this.#connection.port, this.checkpointKey, epoch, highest + 1);
    if (isUsed || this.checkpoint?.epoch !== epoch) throw new LeaseLost();
    this.#lastEpoch = epoch;
  }

  /** Its number is higher than those of the workers that had the event before. */
  async #handleLetter(handling: Handling, epoch: string): Promise<unknown> {
    const number = Number(await this.#connection.port.send(this.checkpointKey, ['HINCRBY', this.checkpointKey, 'takers', '1']));
    return await this.#reactions.handleBehind({ field: 'epoch', expected: epoch, epoch: number }, handling);
  }

  /** Up to the last event before which all are done: from there the groups could be made again. */
  async #advance(tenure: Tenure): Promise<void> {
    const reached = await groupStandsAt(this.#connection, this.reactor, this.partition);
    if (!reached || reached.place <= tenure.place) return;
    tenure.place = reached.place;
    tenure.commits.readTo(reached.place, reached.mark);
  }

  async #clear(tenure: Tenure): Promise<void> {
    const idleMs = Math.max(REMOVED_MS_MIN, LEASES_UNTIL_REMOVED * this.#options.leaseMs);
    tenure.clearAt = performance.now() + idleMs / 2;
    const gone = await removeConsumers(this.#connection.port, this.group.keys, idleMs);
    await this.group.forget(gone.map(workerField));
  }
}
