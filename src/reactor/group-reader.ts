// Reads what is new for a consumer of a reactor's groups: a blocking read on a connection of its own, which is replaced when it goes silent.
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionFailedError } from '../errors.ts';
import type { GroupKeys } from '../redis/group-scripts.ts';
import type { RedisPort } from '../redis/port.ts';
import { isPassing } from '../redis/public-error.ts';
import type { RawEntry } from '../redis/scripts.ts';

const BLOCK_MS = 2_000;
/** How long after that the connection is taken for dead and replaced. */
const GRACE_MS = 1_500;
const PAUSE_AFTER_FAILURE_MS = 100;

export class GroupReader {
  readonly #open: (key: string) => Promise<RedisPort>;
  readonly #keys: GroupKeys;
  readonly #consumer: string;
  #port: RedisPort | undefined;
  #isClosed = false;

  constructor(port: RedisPort, keys: GroupKeys, consumer: string) {
    this.#open = (key) => port.dedicated(key);
    this.#keys = keys;
    this.#consumer = consumer;
  }

  /**
   * Up to so many new entries of each log, by the log's key; none after two seconds, or after a fault of the connection. What was given to
   * the consumer by a reply that was lost lies with it: it finds that by itself.
   * @throws PortError for what the server refuses.
   */
  async read(count: number): Promise<ReadonlyMap<string, readonly RawEntry[]>> {
    if (this.#isClosed) return new Map();
    try {
      this.#port ??= await this.#opened();
      return new Map(await this.#readGroup(this.#port, count));
    } catch (error) {
      if (!isPassing(error) && !(error instanceof Silence)) throw error;
      await this.#replace();
      return new Map();
    }
  }

  /** Ends the connection, also in the middle of a read. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#port?.close();
  }

  async #opened(): Promise<RedisPort> {
    const port = await this.#open(this.#keys.logs[0] ?? '').catch((error: unknown) => {
      // The server cannot be reached for now, as when a connection breaks.
      throw error instanceof ConnectionFailedError ? new Silence() : error;
    });
    if (!this.#isClosed) return port;
    // Closed while the connection was made: nobody else knows of it.
    await port.close();
    throw new Silence();
  }

  async #readGroup(port: RedisPort, count: number): Promise<[string, RawEntry[]][]> {
    const { group, logs } = this.#keys;
    const command = ['XREADGROUP', 'GROUP', group, this.#consumer, 'COUNT', String(count), 'BLOCK', String(BLOCK_MS), 'STREAMS', ...logs];
    for (const _ of logs) command.push('>');
    let watchdog: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      watchdog = setTimeout(() => reject(new Silence()), BLOCK_MS + GRACE_MS);
    });
    try {
      return ((await Promise.race([port.send(logs[0], command), silence])) as [string, RawEntry[]][] | null) ?? [];
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

/** The connection says nothing any more, or is closed. */
class Silence extends Error {}
