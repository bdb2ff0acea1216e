// Waits until something may be new in a partition's logs: a blocking read that only wakes, on a connection of its own.
import { setTimeout as delay } from 'node:timers/promises';
import { StoreClosedError } from '../errors.ts';
import { entryIdOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { RedisPort } from '../redis/port.ts';

/** A blocking read ends by itself after this, for one whose connection went silent would wait for ever. */
const BLOCK_MS = 2_000;
/** How long after that the connection is taken for dead and replaced. */
const GRACE_MS = 1_500;
const PAUSE_AFTER_FAILURE_MS = 100;

/** A key to wait on, and the last entry id that was seen there. */
export interface Watched {
  readonly key: string;
  readonly lastId: string;
}

/** What a log's reader waits on when it stands at `place`. */
export function watchedLogs({ keys }: Connection, partition: number, categories: readonly string[], place: number): Watched[] {
  return categories.map((category) => ({ key: keys.log(partition, category), lastId: place < 0 ? '0-0' : entryIdOf(place) }));
}

/** One waiting reader. `wait` never rejects for a fault of the connection: it only wakes, and the read that follows tells. */
export class Waiter {
  readonly #connection: Connection;
  #port: RedisPort | undefined;
  #isClosed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Resolves when one of the keys got an entry, after `mostMs` (by default two seconds), or once `close` was called. */
  async wait(watched: readonly Watched[], mostMs: number = BLOCK_MS): Promise<void> {
    if (this.#isClosed) return;
    if (watched.length === 0) return await delay(PAUSE_AFTER_FAILURE_MS);
    try {
      this.#port ??= await this.#open(watched[0]?.key);
      await this.#block(this.#port, watched, Math.max(1, Math.min(BLOCK_MS, Math.floor(mostMs))));
    } catch {
      await this.#replace();
    }
  }

  /** Ends the connection, also in the middle of a wait. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#port?.close();
  }

  async #open(key: string | undefined): Promise<RedisPort> {
    const port = await this.#connection.port.dedicated(key);
    if (!this.#isClosed) return port;
    // Closed while the connection was made: nobody else knows of it.
    await port.close();
    throw new StoreClosedError();
  }

  async #block(port: RedisPort, watched: readonly Watched[], blockMs: number): Promise<void> {
    const keys = watched.map(({ key }) => key);
    const command = ['XREAD', 'COUNT', '1', 'BLOCK', String(blockMs), 'STREAMS', ...keys, ...watched.map(({ lastId }) => lastId)];
    let watchdog: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      watchdog = setTimeout(() => reject(new Error('silence')), blockMs + GRACE_MS);
    });
    try {
      await Promise.race([port.send(keys[0], command), silence]);
    } finally {
      clearTimeout(watchdog);
    }
  }

  async #replace(): Promise<void> {
    const port = this.#port;
    this.#port = undefined;
    if (this.#isClosed) return;
    await port?.close();
    await delay(PAUSE_AFTER_FAILURE_MS);
  }
}
