// Delivers scheduled events in every partition: a lease keeps several processes from doing the same, while the script says what counts.
import { setTimeout as delay } from 'node:timers/promises';
import { isMillraceError } from '../errors.ts';
import type { Connection } from '../redis/connection.ts';
import { isPassing, isPassingReply, publicError } from '../redis/public-error.ts';
import { acquireLeases, askForLeases, releaseLeases } from '../redis/scripts.ts';
import { Delivery } from './delivery.ts';
import { givenBack } from '../loop/lease.ts';
import { Share } from '../loop/share.ts';

export interface ScheduleLoopOptions {
  readonly owner: string;
  readonly leaseMs: number;
  /** Told for each failed attempt; the rest goes on. */
  readonly onFailure: (partition: number, error: unknown) => void;
}

/** How soon something is noticed that was scheduled for a time before all others. */
const LOOK_MS_MAX = 1_000;
const PAUSE_WITHOUT_SERVER_MS = 200;
const PAUSE_AFTER_FAILURE_MS = 5_000;
/** How long a lease is kept for whoever asked for it, in turns of looking. */
const TURNS_KEPT = 3;
/** The lease has the form of a checkpoint's, which says what it reads. */
const READS = 'schedule';

/** The loops of all partitions. */
export class ScheduleLoops {
  readonly #loops: readonly ScheduleLoop[];

  constructor(connection: Connection, options: ScheduleLoopOptions) {
    const share = new Share(options.owner);
    this.#loops = Array.from(
      { length: connection.keys.partitions },
      (_, partition) => new ScheduleLoop(connection, partition, { ...options, share }),
    );
  }

  start(): void {
    for (const loop of this.#loops) loop.start();
  }

  /** Finishes the pages in hand and gives the leases back. */
  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
  }
}

/**
 * Delivers what is due now, whoever else does, and waits out a lost connection. Throws what one of them cannot be delivered for, when all
 * others are.
 */
export async function deliverDue(connection: Connection, signal: AbortSignal | undefined): Promise<void> {
  const failures: unknown[] = [];
  const partitions = Array.from({ length: connection.keys.partitions }, (_, partition) => partition);
  const deliveries = partitions.map((partition) => new Delivery(connection, partition, (error) => failures.push(error)));
  await Promise.all(deliveries.map((delivery) => deliverThrough(connection, delivery, signal)));
  if (failures.length > 0) throw failures[0];
}

async function deliverThrough({ closed }: Connection, delivery: Delivery, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    closed.throwIfAborted();
    try {
      if ((await delivery.next()) > 0) return;
    } catch (error) {
      if (!isWaitedOut(error)) throw publicError('deliver what is scheduled', error);
      await delay(PAUSE_WITHOUT_SERVER_MS);
    }
  }
}

class ScheduleLoop {
  readonly #connection: Connection;
  readonly #partition: number;
  readonly #options: ScheduleLoopOptions & { readonly share: Share };
  readonly #delivery: Delivery;
  readonly #stopping: AbortController = new AbortController();
  #epoch: string | undefined;
  #holdAt = Number.NEGATIVE_INFINITY;
  #run: Promise<void> | undefined;

  constructor(connection: Connection, partition: number, options: ScheduleLoopOptions & { readonly share: Share }) {
    this.#connection = connection;
    this.#partition = partition;
    this.#options = options;
    this.#delivery = new Delivery(connection, partition, (error) => options.onFailure(partition, error));
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#run;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted && !this.#connection.closed.aborted) {
      try {
        await this.#hold();
        const nextMs = this.#epoch === undefined ? LOOK_MS_MAX : await this.#delivery.next();
        if (nextMs > 0) await this.#sleep(Math.min(nextMs, LOOK_MS_MAX, Math.max(1, this.#holdAt - performance.now())));
      } catch (error) {
        await this.#recover(error);
      }
    }
    if (this.#epoch !== undefined) await givenBack(releaseLeases(this.#connection.port, [this.#leaseKey()], this.#options.owner));
  }

  /** Whether what was under way was delivered shows with the next look. */
  async #recover(error: unknown): Promise<void> {
    this.#epoch = undefined;
    this.#holdAt = Number.NEGATIVE_INFINITY;
    if (this.#stopping.signal.aborted || isWaitedOut(error)) return await this.#sleep(PAUSE_WITHOUT_SERVER_MS);
    this.#options.onFailure(this.#partition, publicError('deliver what is scheduled', error));
    await this.#sleep(PAUSE_AFTER_FAILURE_MS);
  }

  #leaseKey(): string {
    return this.#connection.keys.delivery(this.#partition);
  }

  /** Takes or prolongs the lease; gives it up where another process asks for its share. */
  async #hold(): Promise<void> {
    const now = performance.now();
    if (now < this.#holdAt) return;
    const { owner, leaseMs, share } = this.#options;
    const intervalMs = Math.min(leaseMs / 3, LOOK_MS_MAX);
    const [reply] = await acquireLeases(this.#connection.port, [{ key: this.#leaseKey(), reads: READS }], this.#options);
    this.#holdAt = now + intervalMs;
    if (reply?.status !== 'held') {
      this.#epoch = undefined;
      if (reply?.status === 'other') await this.#claimShare(reply.owner, reply.remainingMs);
      return;
    }
    if (reply.epoch !== this.#epoch) this.#delivery.restart();
    this.#epoch = reply.epoch;
    share.note(this.#partition, owner);
    if (reply.wantedBy !== '') await this.#giveAway(TURNS_KEPT * intervalMs);
  }

  async #giveAway(keptMs: number): Promise<void> {
    await releaseLeases(this.#connection.port, [this.#leaseKey()], this.#options.owner, keptMs);
    this.#epoch = undefined;
    this.#options.share.note(this.#partition, undefined);
  }

  async #claimShare(holder: string, remainingMs: number): Promise<void> {
    const { owner, share } = this.#options;
    this.#holdAt = Math.min(this.#holdAt, performance.now() + Math.max(10, remainingMs));
    share.note(this.#partition, holder);
    if (share.asksFor(this.#partition)) await askForLeases(this.#connection.port, [this.#leaseKey()], { owner, from: holder });
  }

  async #sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** A lost connection, a server that cannot answer for now, an outcome that nobody knows: all of them show with the next look. */
function isWaitedOut(error: unknown): boolean {
  if (isPassing(error) || isMillraceError(error, 'outcome-unknown') || isMillraceError(error, 'connection-failed')) return true;
  if (isMillraceError(error, 'store-closed')) return true;
  return isMillraceError(error, 'server-refused') && isPassingReply((error as { readonly reason?: string }).reason ?? '');
}
