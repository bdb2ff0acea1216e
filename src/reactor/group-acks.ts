// Acknowledges what a worker of a reactor without order is done with: many events at once, letters with them, again until it is known.
import { setTimeout as delay } from 'node:timers/promises';
import { acknowledge, type LogEntryId, type Worker } from '../redis/group-scripts.ts';
import { isPassing } from '../redis/public-error.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import type { Leftovers } from './reaction-context.ts';

/** An event in hand, and where it stands. */
export interface Entry extends LogEntryId {
  readonly place: number;
}

/** What became of one: it was handled, or is to become a letter. */
export interface Ended {
  readonly entry: Entry;
  readonly letter?: string;
  readonly leftovers?: Leftovers;
  /** Called when it is acknowledged. */
  readonly tell?: () => void;
}

export interface AcksOptions {
  /** Told what was acknowledged, and how many of that by this process. */
  readonly onAcknowledged: (ended: readonly Ended[], count: number) => void;
  readonly onFenced: () => void;
  readonly onBroken: (error: unknown) => void;
}

/** Keeps one script from holding Redis for more than a few milliseconds. */
const EVENTS_AT_ONCE = 1_000;
const BYTES_AT_ONCE = 1_048_576;
const PAUSE_WITHOUT_SERVER_MS = 200;

export class GroupAcks {
  readonly #group: ConsumerGroup;
  readonly #worker: Worker;
  readonly #options: AcksOptions;
  #ended: Ended[] = [];
  #running: Promise<void> | undefined;
  #isLast = false;
  #isOver = false;

  constructor(group: ConsumerGroup, worker: Worker, options: AcksOptions) {
    this.#group = group;
    this.#worker = worker;
    this.#options = options;
  }

  /** Notes what became of an event; it is acknowledged soon, with whatever else ends meanwhile. */
  add(ended: Ended): void {
    this.#ended.push(ended);
    this.#start();
  }

  /** Resolves when everything that was noted is acknowledged, or could not be: it is tried once more, and not again. */
  async settle(): Promise<void> {
    this.#isLast = true;
    while (this.#running) await this.#running;
  }

  /** Acknowledges nothing more. */
  end(): void {
    this.#isOver = true;
  }

  #start(): void {
    if (this.#isOver) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#ended.length > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // what ends in this turn goes along
    while (this.#ended.length > 0 && !this.#isOver) {
      const ended = this.#ended.splice(0, this.#fitting());
      const count = await this.#acknowledge(ended);
      if (this.#isOver) return;
      if (count === undefined) return this.#fenced();
      this.#options.onAcknowledged(ended, count);
    }
  }

  #fitting(): number {
    let bytes = 0;
    let count = 0;
    for (const { letter } of this.#ended) {
      bytes += letter?.length ?? 50;
      if (count > 0 && (count >= EVENTS_AT_ONCE || bytes > BYTES_AT_ONCE)) break;
      count += 1;
    }
    return count;
  }

  #fenced(): void {
    this.#isOver = true;
    this.#options.onFenced();
  }

  /** Sent again it does nothing more, so it is, until there is an answer. */
  async #acknowledge(ended: readonly Ended[]): Promise<number | undefined> {
    const { connection, keys, partition, reactor } = this.#group;
    const acknowledgement = {
      deadKey: connection.keys.dead(partition, reactor.name, reactor.version),
      lettersKey: connection.keys.letters(partition, reactor.name, reactor.version),
      handled: this.#handledOf(ended),
      letters: ended.flatMap(({ entry, letter }) => (letter === undefined ? [] : [{ ...entry, letter }])),
    };
    while (!this.#isOver) {
      try {
        return await acknowledge(connection.port, keys, this.#worker, acknowledgement);
      } catch (error) {
        if (this.#isLast || !isPassing(error)) this.#isOver = true;
        if (!isPassing(error)) this.#options.onBroken(error);
        else await delay(PAUSE_WITHOUT_SERVER_MS);
      }
    }
    return undefined;
  }

  #handledOf(ended: readonly Ended[]): readonly (readonly string[])[] {
    const handled: string[][] = this.#group.keys.logs.map(() => []);
    for (const { entry, letter } of ended) if (letter === undefined) handled[entry.log]?.push(entry.entryId);
    return handled;
  }
}
