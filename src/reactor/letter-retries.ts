// Dead letters that are to be tried again, and the events that waited behind them: in the order of their key, a bounded number at a time.
import type { RecordedEvent } from '../event.ts';
import type { Connection } from '../redis/connection.ts';
import type { HandlerPool, Outcome } from './handler-pool.ts';
import { decodeLetter, edited, type EditedEvent, encodeLetter, letterOf, parseWaitingEntry, readAt } from './letter.ts';
import type { ReactionCommits } from './reaction-commits.ts';
import type { Leftovers } from './reaction-context.ts';
import type { Reactor } from './reactor.ts';

/** What retries need of the task that they belong to. */
export interface RetriesOptions {
  readonly pool: HandlerPool;
  readonly commits: ReactionCommits;
  /** Told when nothing blocks a key any more, at once: its next event may be handled. */
  readonly onFree: (key: string) => void;
  /** Told when that is committed. */
  readonly onFreed: (key: string) => void;
  /** Told when one of those that waited waits no more. */
  readonly onShift: () => void;
  readonly onBroken: (error: unknown) => void;
  /** Told when one that waited became a letter, once that is committed. */
  readonly onDeadLetter?: (event: RecordedEvent, error: unknown) => void;
  /** How many events of a blocked key were sent to wait so far, in this process. */
  readonly parks: (key: string) => number;
  /** Told once nothing is under way, where a letter was discarded: what was kept for its event is to be removed. */
  readonly onDiscarded?: () => void;
}

function gone(): Outcome {
  const now = Date.now();
  return { kind: 'failed', error: new Error('The event is no longer in the log.'), attempts: 0, firstFailedAt: now, lastFailedAt: now };
}

const LOOK_MS = 1_000;

type Waiting = ReturnType<typeof parseWaitingEntry>;

/** What is retried of one reactor in one partition, for as long as one lease lasts. */
export class LetterRetries {
  readonly #connection: Connection;
  readonly #reactor: Reactor;
  readonly #partition: number;
  readonly #options: RetriesOptions;
  /** Keys (with order 'none': places) that are being worked on. */
  readonly #underWay = new Set<string>();
  #lookAt = 0;
  #isLooking = false;
  #foundNothing = false;
  #hasDiscarded = false;
  #isEnded = false;

  constructor(connection: Connection, reactor: Reactor, partition: number, options: RetriesOptions) {
    this.#connection = connection;
    this.#reactor = reactor;
    this.#partition = partition;
    this.#options = options;
  }

  /** Looks for something to try again, once a second; what it finds goes on by itself. */
  look(): void {
    if (performance.now() >= this.#lookAt) void this.#look();
  }

  /** Whether there was nothing to try again, at the last look. */
  get isIdle(): boolean {
    return this.#foundNothing && this.#underWay.size === 0;
  }

  /** Starts nothing more. */
  end(): void {
    this.#isEnded = true;
  }

  async #look(): Promise<void> {
    if (this.#isEnded || this.#isLooking || this.#underWay.size >= this.#reactor.concurrency) return;
    this.#isLooking = true;
    try {
      this.#lookAt = performance.now() + LOOK_MS;
      const most = this.#underWay.size + this.#reactor.concurrency;
      const key = this.#key('retrying');
      const found = (await this.#connection.port.send(key, ['ZRANGE', key, '0', String(most - 1), 'WITHSCORES'])) as string[];
      this.#foundNothing = found.length === 0;
      for (let at = 0; at < found.length; at += 2) this.#begin(found[at] as string, found[at + 1] as string);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isLooking = false;
    }
  }

  /** `asked` says when it was asked for: who asks again meanwhile is heard. */
  #begin(key: string, asked: string): void {
    if (this.#isEnded || this.#underWay.has(key) || this.#underWay.size >= this.#reactor.concurrency) return;
    this.#underWay.add(key);
    const work = this.#reactor.order === 'none' ? this.#retryLetter('', Number(key), asked) : this.#retryKey(key, asked);
    work.then(
      () => {
        this.#underWay.delete(key);
        this.#clearUp();
        void this.#look(); // there may be more than were looked at
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #clearUp(): void {
    if (this.#isEnded || !this.#hasDiscarded || this.#underWay.size > 0) return;
    this.#hasDiscarded = false;
    this.#options.onDiscarded?.();
  }

  #fail(error: unknown): void {
    if (!this.#isEnded) this.#options.onBroken(error);
  }

  /** The letter first, then what waits behind it, until one fails or nothing is left. */
  async #retryKey(key: string, asked: string): Promise<void> {
    const blockedKey = this.#key('blocked');
    const place = (await this.#connection.port.send(blockedKey, ['HGET', blockedKey, key])) as string | null;
    if (place === '') this.#hasDiscarded = true; // or its letter was closed, and the process died then
    if (place && !(await this.#retryLetter(key, Number(place), asked))) return;
    while (!this.#isEnded) {
      const waiting = await this.#waiting(key);
      if (waiting.length === 0 && (await this.#free(key))) return;
      const isThrough = await this.#handleInOrder(key, waiting);
      // Whoever looks at this key next must find what became of these.
      await this.#options.commits.closed();
      if (!isThrough) return;
    }
  }

  async #handleInOrder(key: string, waiting: readonly Waiting[]): Promise<boolean> {
    for (const each of waiting) if (!(await this.#handleWaiting(key, each))) return false;
    return true;
  }

  /** Whether its letter is closed: what waits behind it may go on. */
  async #retryLetter(key: string, place: number, asked: string): Promise<boolean> {
    const lettersKey = this.#key('letters');
    const [text, edit] = (await this.#connection.port.send(lettersKey, ['HMGET', lettersKey, String(place), `${place}:edit`])) as (string | null)[];
    const { commits, pool } = this.#options;
    if (!text) {
      this.#hasDiscarded = true;
      await this.#commit([{ what: 'close', key, place }]); // discarded meanwhile
      return true;
    }
    const before = decodeLetter(text);
    const logEvent = await readAt(this.#connection, this.#partition, before.category, place);
    const change = edit ? (this.#connection.codec.decode(edit) as EditedEvent) : undefined;
    const outcome = logEvent ? await pool.handle({ ...logEvent, event: edited(logEvent.event, change) }, key === '' ? String(place) : key) : gone();
    if (outcome.kind === 'behind') return false;
    if (outcome.kind === 'done') commits.close(undefined, [{ what: 'close', key, place }], outcome.leftovers);
    else commits.close(undefined, [{ what: 'again', key, place, asked, letter: encodeLetter(letterOf(before.category, key, outcome, before)) }]);
    await commits.closed();
    return outcome.kind === 'done';
  }

  async #waiting(key: string): Promise<readonly Waiting[]> {
    const { keys, port } = this.#connection;
    const list = keys.parked(this.#partition, this.#reactor.name, this.#reactor.version, key);
    const entries = (await port.send(list, ['LRANGE', list, '0', '99'])) as string[];
    return entries.map(parseWaitingEntry);
  }

  /** Whether the next one may go on: it was handled, or is no longer in the log. */
  async #handleWaiting(key: string, { place, category }: Waiting): Promise<boolean> {
    if (this.#isEnded) return false;
    const { pool } = this.#options;
    const logEvent = await readAt(this.#connection, this.#partition, category, place);
    if (!logEvent) {
      this.#shift([{ what: 'shift', key }]);
      return true;
    }
    const outcome = await pool.handle(logEvent, key);
    if (outcome.kind === 'done') {
      this.#shift([{ what: 'shift', key }], outcome.leftovers);
      return true;
    }
    if (outcome.kind === 'failed') {
      const letter = encodeLetter(letterOf(category, key, outcome));
      const tell = (): void => this.#options.onDeadLetter?.(logEvent.event, outcome.error);
      this.#shift(
        [
          { what: 'shift', key },
          { what: 'dead', key, place, letter },
        ],
        undefined,
        tell,
      );
    }
    return false;
  }

  #shift(steps: Parameters<ReactionCommits['close']>[1], leftovers?: Leftovers, onCommitted?: () => void): void {
    this.#options.onShift();
    this.#options.commits.close(undefined, steps, leftovers, onCommitted);
  }

  /** Whether nothing waits any more: then the key's next event may be handled. */
  async #free(key: string): Promise<boolean> {
    const { commits, parks, onFree, onFreed } = this.#options;
    let before: number;
    do {
      before = parks(key);
      await commits.closed();
      if ((await this.#waiting(key)).length > 0) return false;
    } while (parks(key) !== before); // one may have been sent to wait while the list was read
    commits.close(undefined, [{ what: 'free', key }]);
    onFree(key);
    await commits.closed();
    setImmediate(() => onFreed(key)); // behind the replies of what was asked before that commit
    return true;
  }

  async #commit(steps: Parameters<ReactionCommits['close']>[1]): Promise<void> {
    this.#options.commits.close(undefined, steps);
    await this.#options.commits.closed();
  }

  #key(what: 'retrying' | 'blocked' | 'letters'): string {
    const { name, version } = this.#reactor;
    return this.#connection.keys[what](this.#partition, name, version);
  }
}
