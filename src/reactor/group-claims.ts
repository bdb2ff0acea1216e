// Looks after what a worker of a reactor without order has claimed: keeps it, and takes over what lies idle with workers that are gone.
import { claimIdle, type Claimed, idleConsumers, keepClaims, type Worker } from '../redis/group-scripts.ts';
import { workerField } from '../redis/keys.ts';
import type { RawEntry } from '../redis/scripts.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import type { Entry } from './group-acks.ts';

/** For so long everything lies idle that a worker leaves when it stops: anybody may take it at once. */
export const LEFT_IDLE_MS = 86_400_000;

/** Of what was delivered without a reply, so much is taken at once. */
const LOST_AT_ONCE = 100;

export class GroupClaims {
  readonly #group: ConsumerGroup;
  readonly #worker: Worker;
  readonly #claimMs: number;
  #keptAt = Number.NEGATIVE_INFINITY;
  #claimFrom = 0;

  constructor(group: ConsumerGroup, worker: Worker, claimMs: number) {
    this.#group = group;
    this.#worker = worker;
    this.#claimMs = claimMs;
  }

  /** Keeps what is in hand from being claimed. For each log what was delivered to this worker without its knowing; undefined where it was fenced off. */
  async keep(entries: Iterable<Entry>, isRunning: boolean): Promise<readonly (readonly RawEntry[])[] | undefined> {
    const inHand: string[][] = this.#group.keys.logs.map(() => []);
    for (const { log, entryId } of entries) inHand[log]?.push(entryId);
    const lostAfterMs = Math.ceil(this.#claimMs / 4);
    const { connection, keys } = this.#group;
    const found = await keepClaims(connection.port, keys, this.#worker, { inHand, lostAfterMs, most: isRunning ? LOST_AT_ONCE : 0 });
    const now = performance.now();
    // After an outage everybody's claims have run out: the others get the time to keep theirs.
    if (now - this.#keptAt > this.#claimMs / 2) this.#claimFrom = now + this.#claimMs;
    this.#keptAt = now;
    return found;
  }

  /** Takes what lies idle with others, and fences those off before, so that none of it is worked on by two that both count. */
  async claim(most: number): Promise<Claimed | 'fenced' | undefined> {
    const { connection, keys } = this.#group;
    const idleMs = performance.now() < this.#claimFrom ? LEFT_IDLE_MS / 2 : this.#claimMs;
    const from = [...(await idleConsumers(connection.port, keys, idleMs))].filter((consumer) => consumer !== this.#worker.consumer);
    if (from.length === 0) return undefined;
    await Promise.all(from.map((consumer) => this.#group.fence(workerField(consumer))));
    return (await claimIdle(connection.port, keys, this.#worker, { from, idleMs, most })) ?? 'fenced';
  }
}
