// Delivers what is due in one partition, in the order of due time, and goes on past streams that cannot be written to.
import { type MillraceError } from '../errors.ts';
import { CorruptScheduleError, DeliveryFailedError } from '../processing-errors.ts';
import { type Due, deliver, readDue } from '../log/deliver.ts';
import type { Connection } from '../redis/connection.ts';

/** How many entries go into one append at most, and how many events. */
const COUNT_MAX = 250;
const EVENTS_MAX = 1_000;
/** How many streams may stand still before the partition waits for them: each is remembered. */
const HELD_MAX = 1_000;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;

/** A stream whose first due entry could not be delivered. */
interface Held {
  readonly attempts: number;
  readonly retryAt: number;
}

/**
 * What is due goes in pages, each one append: what takes it out of the schedule also appends it, so none is appended twice, whoever else
 * delivers, and the order of a page holds whatever happens to it. Where Redis cannot write one of a page, its entries go one by one.
 * A stream whose entry fails is held: its later ones wait, with those of the others it goes on, and the entry is tried again.
 *
 * An entry that is not delivered keeps its place in the schedule, so whoever reads from the beginning meets it before later ones of its
 * stream. `#after` spares reading those that are held with each look: it stands behind the last entry that was seen, and goes back to the
 * beginning when one is to be tried again.
 */
export class Delivery {
  readonly #connection: Connection;
  readonly #partition: number;
  readonly #onFailure: (error: DeliveryFailedError) => void;
  readonly #held = new Map<string, Held>();
  /** Those of them that are to be tried again, and were not yet met since the last look at the beginning. */
  readonly #retrying = new Set<string>();
  #after: Due | undefined;
  #count = COUNT_MAX;

  constructor(connection: Connection, partition: number, onFailure: (error: DeliveryFailedError) => void) {
    this.#connection = connection;
    this.#partition = partition;
    this.#onFailure = onFailure;
  }

  /** Another process may have delivered in between, or tried what is held here. */
  restart(): void {
    this.#held.clear();
    this.#retrying.clear();
    this.#after = undefined;
  }

  /** Delivers a page; how long it is until the next look is worth while, in milliseconds: 0 where there may be more now. */
  async next(): Promise<number> {
    if (this.#untilRetry() <= 0) this.#retry();
    if (this.#held.size - this.#retrying.size >= HELD_MAX) return Math.max(1, this.#untilRetry());
    const { due, nextMs = Number.POSITIVE_INFINITY } = await readDue(this.#connection, this.#partition, { count: this.#count, after: this.#after });
    const isWhole = await this.#deliverInOrder(due);
    if (!isWhole) return 0;
    if (nextMs > 0) this.#forgetUnmet();
    this.#after = this.#held.size === 0 ? undefined : (due.at(-1) ?? this.#after);
    return Math.min(nextMs, Math.max(1, this.#untilRetry()));
  }

  #untilRetry(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const [name, { retryAt }] of this.#held) if (!this.#retrying.has(name)) first = Math.min(first, retryAt);
    return first - performance.now();
  }

  #retry(): void {
    this.#after = undefined;
    const now = performance.now();
    for (const [name, { retryAt }] of this.#held) if (retryAt <= now) this.#retrying.add(name);
  }

  /** What was held was cancelled, or delivered by somebody else. */
  #forgetUnmet(): void {
    for (const name of this.#retrying) this.#held.delete(name);
    this.#retrying.clear();
  }

  /** Whether each of them is delivered or held; false where one was gone, and the rest is to be looked at again. */
  async #deliverInOrder(due: readonly Due[]): Promise<boolean> {
    let group: Due[] = [];
    for (const each of due) {
      const isHeld = this.#held.has(nameOf(each));
      // Only the first one of its stream that is met from the beginning on may be tried: the order is that of due times.
      if (isHeld && !this.#retrying.delete(nameOf(each))) continue;
      const isAlone = isHeld || each.stream instanceof CorruptScheduleError;
      if (group.length > 0 && (isAlone || eventsOf(group) + eventsOf([each]) > EVENTS_MAX)) {
        if (!(await this.#deliverGroup(group))) return false;
        group = [];
      }
      // What is tried again must not drag others down with it.
      if (isAlone) await this.#deliverOne(each);
      else group.push(each);
    }
    return group.length === 0 || (await this.#deliverGroup(group));
  }

  async #deliverGroup(group: readonly Due[]): Promise<boolean> {
    const outcome = await deliver(this.#connection, this.#partition, group);
    if (outcome === 'gone') {
      // Smaller pages get through where many are cancelled at this moment; one alone always does.
      this.#count = Math.max(1, Math.floor(this.#count / 4));
      return group.length === 1;
    }
    this.#count = Math.min(COUNT_MAX, this.#count * 2);
    if (outcome !== 'delivered') for (const each of group) if (!this.#held.has(nameOf(each))) await this.#deliverOne(each);
    return true;
  }

  async #deliverOne(each: Due): Promise<void> {
    const outcome = each.stream instanceof CorruptScheduleError ? each.stream : await deliver(this.#connection, this.#partition, [each]);
    if (typeof outcome === 'string') this.#held.delete(nameOf(each));
    else this.#hold(each, outcome);
  }

  #hold(each: Due, cause: MillraceError): void {
    const attempts = (this.#held.get(nameOf(each))?.attempts ?? 0) + 1;
    const retryMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (attempts - 1));
    this.#held.set(nameOf(each), { attempts, retryAt: performance.now() + retryMs });
    const streamName = each.stream instanceof CorruptScheduleError ? '' : each.stream.streamName;
    this.#onFailure(new DeliveryFailedError({ scheduledId: each.id, streamName }, retryMs, { cause }));
  }
}

/** What waits for each other: the entries of a stream. One that cannot be read stands alone; no stream is named like an id. */
function nameOf({ id, stream }: Due): string {
  return stream instanceof CorruptScheduleError ? id : stream.streamName;
}

function eventsOf(due: readonly Due[]): number {
  return due.reduce((sum, { stream }) => sum + (stream instanceof CorruptScheduleError ? 0 : stream.events.length), 0);
}
