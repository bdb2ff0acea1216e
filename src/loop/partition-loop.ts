// The one loop that processes: for one partition, it holds leases, reads pages, and lets every projection or reactor that stands there take them.
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from '../log/page.ts';
import { Waiter, watchedLogs } from '../log/waiter.ts';
import type { Connection } from '../redis/connection.ts';
import { isPassing, publicError } from '../redis/public-error.ts';
import { askForLeases } from '../redis/scripts.ts';
import { allSettled } from './all-settled.ts';
import { batchOf, categoriesOf, type Group, groupsOf, isAtEnd } from './group.ts';
import { GroupPages } from './group-pages.ts';
import { giveBack, givenBack, holdLeases, rewoundOf } from './lease.ts';
import type { Share } from './share.ts';
import { LeaseLost, type Task } from './task.ts';
import type { Throttle } from './throttle.ts';

export interface LoopOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly share: Share;
  readonly throttle?: Throttle | undefined;
  /** Told when one of them stops in this partition; the others go on. */
  readonly onFailure: (task: Task, error: unknown) => void;
  /** Told when it took a lease that it did not have. */
  readonly onLease?: (task: Task) => void;
}

const PAUSE_WITHOUT_SERVER_MS = 200;
const HOLD_AGAIN_MS_MIN = 10;
/** How long a lease is kept for whoever asked for it, in turns of looking. */
const TURNS_KEPT = 3;

/** Often enough that a lease does not run out under a process that lives, and that one who asks for its share is heard soon. */
function holdIntervalMs(leaseMs: number): number {
  return Math.min(leaseMs / 3, 1_000);
}

export class PartitionLoop {
  readonly #connection: Connection;
  readonly #partition: number;
  readonly #tasks: readonly Task[];
  readonly #options: LoopOptions;
  readonly #waiter: Waiter;
  readonly #stopping: AbortController = new AbortController();
  readonly #pages: GroupPages;
  #holdAt = Number.NEGATIVE_INFINITY;
  #run: Promise<void> | undefined;

  constructor(connection: Connection, partition: number, tasks: readonly Task[], options: LoopOptions) {
    this.#connection = connection;
    this.#partition = partition;
    this.#tasks = tasks;
    this.#options = options;
    this.#waiter = new Waiter(connection);
    this.#pages = new GroupPages(connection, partition, options.throttle);
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  /** Finishes the batch in hand, stores it, and gives the leases back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#waiter.close();
    await this.#run;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted && !this.#connection.closed.aborted) {
      try {
        await this.#hold();
        const throttledMs = this.#options.throttle?.waitMs() ?? 0;
        if (throttledMs > 0) await this.#sleep(Math.min(throttledMs, this.#untilHold()));
        else if (!(await this.#pass())) await this.#wait();
      } catch (error) {
        await this.#recover(error);
      }
    }
    await this.#finishAll();
    await givenBack(giveBack(this.#connection, this.#tasks, this.#options.owner));
  }

  /** What goes wrong outside a single projection is the connection, or a server that cannot answer: waited out. */
  async #recover(error: unknown): Promise<void> {
    for (const task of this.#tasks) task.letGo();
    this.#pages.forget();
    this.#holdAt = Number.NEGATIVE_INFINITY;
    if (!isPassing(error) && !(error instanceof LeaseLost)) for (const task of this.#tasks) this.#fail(task, error);
    await this.#sleep(PAUSE_WITHOUT_SERVER_MS);
  }

  /** Prolongs the leases while there is time, takes those that are free, and gives them up where another process asks for its share. */
  async #hold(): Promise<void> {
    const now = performance.now();
    if (now < this.#holdAt) return;
    await this.#revive();
    const tasks = this.#tasks.filter(({ failure }) => failure === undefined);
    const intervalMs = holdIntervalMs(this.#options.leaseMs);
    this.#holdAt = now + intervalMs;
    if (tasks.length === 0) return;
    const before = tasks.map(({ checkpoint }) => checkpoint);
    const held = await holdLeases(this.#connection, this.#partition, tasks, this.#options);
    const { failures, otherMs = intervalMs, otherOwner, isWanted, halted } = held;
    this.#holdAt = now + Math.min(intervalMs, Math.max(HOLD_AGAIN_MS_MIN, otherMs));
    for (const [index, task] of tasks.entries()) {
      const failure = failures.get(task);
      if (failure) this.#fail(task, failure);
      else if (halted.has(task)) await this.#halt(task);
      else if (!task.checkpoint) task.letGo();
      else if (task.checkpoint.epoch !== before[index]?.epoch) this.#taken(task);
    }
    if (isWanted) await this.#giveAway();
    else await this.#claimShare(tasks, otherOwner);
  }

  /** Another process may have had it in between. */
  #taken(task: Task): void {
    task.forget();
    this.#options.onLease?.(task);
  }

  /** What stood still and was rewound since begins anew. */
  async #revive(): Promise<void> {
    const standing = this.#tasks.filter(({ failure }) => failure !== undefined);
    for (const task of await rewoundOf(this.#connection, standing)) {
      task.failure = undefined;
      task.lastKnown = undefined;
    }
  }

  /** Somebody paused it, or took it away: what is in hand is finished, and the lease given up. */
  async #halt(task: Task): Promise<void> {
    if (task.checkpoint) await task.finish().catch(() => undefined);
    if (task.checkpoint) await giveBack(this.#connection, [task], this.#options.owner);
    task.letGo();
  }

  /** To whoever asked, for whom they are kept a while; should it be gone, anybody takes them. */
  async #giveAway(): Promise<void> {
    await this.#finishAll();
    await giveBack(this.#connection, this.#tasks, this.#options.owner, TURNS_KEPT * holdIntervalMs(this.#options.leaseMs));
    for (const task of this.#tasks) task.letGo();
    this.#options.share.note(this.#partition, undefined);
  }

  async #claimShare(tasks: readonly Task[], otherOwner: string | undefined): Promise<void> {
    const { owner, share } = this.#options;
    const isMine = tasks.some(({ checkpoint }) => checkpoint !== undefined);
    share.note(this.#partition, isMine ? owner : otherOwner);
    if (isMine || otherOwner === undefined || !share.asksFor(this.#partition)) return;
    await askForLeases(
      this.#connection.port,
      tasks.map(({ checkpointKey }) => checkpointKey),
      { owner, from: otherOwner },
    );
  }

  /** One page for each place where projections stand; whether any of them had something to read. */
  async #pass(): Promise<boolean> {
    await allSettled(this.#tasks.filter(isHeld).map((task) => this.#prepare(task)));
    const groups = groupsOf(this.#tasks);
    let hasRead = false;
    for (const [index, group] of groups.entries()) {
      if (this.#stopping.signal.aborted) break;
      // Up to where the next ones stand: there they join.
      if (await this.#advance(group, groups[index + 1])) hasRead = true;
    }
    this.#pages.keepOnly((place) => this.#tasks.some((task) => isHeld(task) && (task.standing?.place ?? place) === place));
    return hasRead;
  }

  async #advance(group: Group, next: Group | undefined): Promise<boolean> {
    let page: Page;
    try {
      page = await this.#pages.read(group);
    } catch (error) {
      return await this.#readFailed(group, next, error);
    }
    const batch = batchOf(page, next);
    if (batch?.through === page.through && !page.isEnd) this.#pages.readAhead(group, batch);
    if (batch) await allSettled(group.tasks.map((task) => this.#do(task, () => task.take(batch))));
    this.#options.throttle?.spend(batch?.events.length ?? 0);
    if (isAtEnd(page, batch)) await allSettled(group.tasks.filter(isHeld).map((task) => this.#do(task, async () => await task.reachedEnd?.())));
    return batch !== undefined;
  }

  /** What one of a group cannot read must not stop those that do not read it: each reads by itself then. */
  async #readFailed(group: Group, next: Group | undefined, error: unknown): Promise<boolean> {
    if (isPassing(error)) throw error;
    const [only] = group.tasks;
    if (only && group.tasks.length === 1) {
      await this.#stopTask(only, error);
      return false;
    }
    const alone = await allSettled(group.tasks.map((task) => this.#advance({ ...group, tasks: [task] }, next)));
    return alone.includes(true);
  }

  async #prepare(task: Task): Promise<void> {
    await this.#do(task, () => task.prepare());
  }

  async #do(task: Task, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof LeaseLost) return this.#loseLease(task);
      if (isPassing(error)) throw error;
      await this.#stopTask(task, error);
    }
  }

  #loseLease(task: Task): void {
    task.letGo();
    this.#holdAt = Number.NEGATIVE_INFINITY; // look at once who has it, or whether the checkpoint is gone
  }

  /** Gives the lease back, for another process may have code that can. */
  async #stopTask(task: Task, error: unknown): Promise<void> {
    await task.finish().catch(() => undefined);
    await giveBack(this.#connection, [task], this.#options.owner).catch(() => undefined);
    this.#fail(task, error);
  }

  #fail(task: Task, error: unknown): void {
    task.letGo();
    task.failure = publicError(`run ${task.title}`, error);
    this.#options.onFailure(task, task.failure);
  }

  async #finishAll(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task.finish().catch(() => task.letGo())));
  }

  async #wait(): Promise<void> {
    await this.#settleAllOrThrow();
    const untilHold = this.#untilHold();
    const reading = this.#tasks.filter(({ standing }) => standing !== undefined);
    if (reading.length > 0) {
      const place = Math.max(...reading.map(({ standing }) => standing?.place ?? -1));
      return await this.#waiter.wait(watchedLogs(this.#connection, this.#partition, categoriesOf(reading), place), untilHold);
    }
    const ready = this.#tasks.flatMap((task) => task.whenReady() ?? []);
    await this.#sleep(Math.min(untilHold, holdIntervalMs(this.#options.leaseMs)), ready);
  }

  #untilHold(): number {
    return Math.max(1, this.#holdAt - performance.now());
  }

  async #settleAllOrThrow(): Promise<void> {
    for (const task of this.#tasks) {
      try {
        await task.settle();
      } catch (error) {
        if (!(error instanceof LeaseLost)) throw error;
        this.#loseLease(task);
      }
    }
  }

  /** Until so long has passed, one of the others resolves, or the loop is to stop. */
  async #sleep(ms: number, others: readonly Promise<void>[] = []): Promise<void> {
    const waking = new AbortController();
    const wake = (): void => waking.abort();
    this.#stopping.signal.addEventListener('abort', wake, { once: true });
    for (const other of others) void other.then(wake);
    if (!this.#stopping.signal.aborted) await delay(ms, undefined, { signal: waking.signal }).catch(() => undefined);
    this.#stopping.signal.removeEventListener('abort', wake);
  }
}

function isHeld({ checkpoint, failure }: Task): boolean {
  return checkpoint !== undefined && failure === undefined;
}
