// Sends appends to one store in batches, each batch exactly once whatever the connection does (group commit).
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { OutcomeUnknownError, StoreClosedError } from '../errors.ts';
import { encodeBatch, missedRanges, type PreparedAppend, splitReply, type WriteOutcome } from './batch.ts';
import type { Keys } from './keys.ts';
import { PortError, type RedisPort } from './port.ts';
import { appendBatch, type BatchReply, MISSED_EVENTS_MAX, readStreams, registerWriter, settleBatch } from './scripts.ts';
import { lostConnection, neverInTime, notRegistered, refusedError } from './write-failures.ts';

/** How long Redis remembers a writer's last batches. A writer takes a new id after half of it. */
const RECORD_TTL_MS = 3_600_000;

/** Two batches on their way keep both Redis and this process busy. */
const BATCHES_IN_FLIGHT = 2;

/** How many batches the record remembers: none may be so far ahead of one without a reply that it takes its place there. */
const RECORD_SLOTS = 16;

/** Keeps Redis from being held by one batch for more than a few milliseconds. */
const BATCH_APPENDS_MAX = 500;
const BATCH_BYTES_MAX = 1_048_576;

const PAUSE_BEFORE_RESEND_MS = 20;

interface Waiting {
  readonly append: PreparedAppend;
  readonly resolve: (outcome: WriteOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** A writer's name in one partition, with the number of its next batch. */
interface Identity {
  readonly recordKey: string;
  readonly expiresAt: number;
  readonly registered: Promise<void>;
  sequence: number;
  /** The batches that have no reply yet. */
  readonly pending: Set<number>;
}

interface SentBatch {
  readonly sequence: number;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly deadline: number;
}

export interface WriterOptions {
  /** How long an append may wait for a connection, in milliseconds. */
  readonly timeoutMs: number;
  /** Default 3,600,000 (1 h): how long the outcome of a batch can be found out after its reply was lost. */
  readonly recordTtlMs?: number | undefined;
}

/** The writer of an open store. Appends to one partition are run in the order of the calls, unless a connection is lost. */
export class Writer {
  readonly #port: RedisPort;
  readonly #keys: Keys;
  readonly #options: WriterOptions;
  readonly #partitions = new Map<number, PartitionWriter>();

  constructor(port: RedisPort, keys: Keys, options: WriterOptions) {
    this.#port = port;
    this.#keys = keys;
    this.#options = options;
  }

  /** Appends; the outcome is a success, a conflict or the like. Rejects when it could not be run, or when that cannot be known. */
  append(partition: number, append: PreparedAppend): Promise<WriteOutcome> {
    let writer = this.#partitions.get(partition);
    if (!writer) {
      writer = new PartitionWriter(this.#port, this.#keys, partition, this.#options);
      this.#partitions.set(partition, writer);
    }
    return writer.append(append);
  }

  /** Waits for what is on its way, and refuses what comes after. */
  async close(): Promise<void> {
    await Promise.all([...this.#partitions.values()].map((writer) => writer.close()));
  }
}

class PartitionWriter {
  readonly #port: RedisPort;
  readonly #keys: Keys;
  readonly #partition: number;
  readonly #options: WriterOptions;
  readonly #registeredCategories = new Set<string>();
  #waiting: Waiting[] = [];
  #inFlight = 0;
  #isScheduled = false;
  #isClosed = false;
  #identity: Identity | undefined;
  #epoch = 0;
  #onIdle: (() => void) | undefined;

  constructor(port: RedisPort, keys: Keys, partition: number, options: WriterOptions) {
    this.#port = port;
    this.#keys = keys;
    this.#partition = partition;
    this.#options = options;
  }

  append(append: PreparedAppend): Promise<WriteOutcome> {
    if (this.#isClosed) return Promise.reject(new StoreClosedError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ append, resolve, reject });
      this.#schedule();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#inFlight === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  // After this turn's promises: what they append goes along, and a lone append loses nothing.
  #schedule(): void {
    if (this.#isScheduled || this.#inFlight >= BATCHES_IN_FLIGHT) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#inFlight < BATCHES_IN_FLIGHT && !this.#isFarAhead()) {
      const batch = this.#takeBatch();
      this.#inFlight += 1;
      void this.#send(batch).finally(() => {
        this.#inFlight -= 1;
        this.#schedule();
        if (this.#inFlight === 0 && this.#waiting.length === 0) this.#onIdle?.();
      });
    }
  }

  /** Whether the next batch would make the record forget one that may have to be sent again. */
  #isFarAhead(): boolean {
    const { sequence = 0, pending = [] } = this.#identity ?? {};
    return sequence - Math.min(...pending) >= RECORD_SLOTS;
  }

  // At most half of what waits, so that the other half is made ready while Redis runs the first.
  #takeBatch(): Waiting[] {
    const most = Math.min(BATCH_APPENDS_MAX, Math.ceil(this.#waiting.length / (BATCHES_IN_FLIGHT - this.#inFlight)));
    let count = 0;
    let bytes = 0;
    for (const { append } of this.#waiting) {
      bytes += append.bytes;
      if (count === most || (count > 0 && bytes > BATCH_BYTES_MAX)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #send(batch: Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#run(batch.map(({ append }) => append));
      batch.forEach((waiting, index) => {
        const outcome = outcomes[index];
        if (outcome) waiting.resolve(outcome);
        else waiting.reject(new OutcomeUnknownError('the server answered with fewer outcomes than appends.'));
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  async #run(appends: readonly PreparedAppend[]): Promise<readonly WriteOutcome[]> {
    const deadline = performance.now() + this.#options.timeoutMs;
    for (;;) {
      const identity = this.#currentIdentity();
      // Taken before the wait for the record: batches keep the order in which they were made.
      const sequence = identity.sequence++;
      identity.pending.add(sequence);
      if (!(await this.#register(identity, deadline))) continue;
      const isRegistered = (category: string): boolean => this.#registeredCategories.has(category);
      const { keys, args, registers } = encodeBatch(this.#keys, this.#partition, appends, { recordKey: identity.recordKey, sequence, isRegistered });
      const reply = await this.#runOnce(identity, { sequence, keys, args, deadline }).finally(() => identity.pending.delete(sequence));
      if (reply[0] !== 'unknown') {
        for (const name of registers) this.#registeredCategories.add(name);
        return splitReply(reply, appends);
      }
      // Not run under this name, so it may be under a new one.
      this.#forget(identity);
      if (performance.now() >= deadline) throw neverInTime();
    }
  }

  /** Sends until there is a reply: it may be sent again and again, for it is run once. 'unknown' comes back only where it surely was not. */
  async #runOnce(identity: Identity, batch: SentBatch): Promise<BatchReply> {
    let mayHaveRun = false;
    for (;;) {
      const { epoch } = this.#port;
      // On one connection it was sent once, so the answer is to this sending.
      const isOnlySending = (): boolean => !mayHaveRun && this.#port.epoch === epoch;
      try {
        const reply = await appendBatch(this.#port, batch.keys, batch.args);
        if (reply[0] !== 'unknown' || isOnlySending()) return reply;
      } catch (error) {
        if (!(error instanceof PortError)) throw error;
        if (error.kind === 'refused') return await this.#settleRefusal(identity, batch, error, isOnlySending());
        mayHaveRun ||= error.kind === 'unknown';
        if (performance.now() >= batch.deadline) throw lostConnection(error, mayHaveRun);
        await delay(PAUSE_BEFORE_RESEND_MS);
        continue;
      }
      this.#forget(identity);
      throw new OutcomeUnknownError('the connection was lost before the reply came, and the server has no record of it any more.');
    }
  }

  /** What a refusal means: the reply of an earlier sending where that was run; otherwise it throws. */
  async #settleRefusal(identity: Identity, { sequence, keys }: SentBatch, refusal: PortError, isFirstSending: boolean): Promise<BatchReply> {
    if (isFirstSending) throw refusedError(refusal);
    try {
      const [became, outcome = ''] = await settleBatch(this.#port, identity.recordKey, sequence);
      if (became === 'never') throw refusedError(refusal);
      if (became === 'done') return await this.#replyAfterwards(outcome, keys);
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
    }
    this.#forget(identity);
    throw new OutcomeUnknownError(`the connection was lost before the reply came, and the server answered ${refusal.reply} when it was sent again.`, {
      cause: refusal,
    });
  }

  /** The reply that was lost: its outcome was kept, and what conflicts missed can be read. */
  async #replyAfterwards(outcome: string, keys: readonly string[]): Promise<BatchReply> {
    const ranges = missedRanges(outcome, MISSED_EVENTS_MAX).map(({ indexKey, logKey, from, to }) => {
      return { indexKey: keys[indexKey] ?? '', logKey: keys[logKey] ?? '', start: from, stop: to };
    });
    const parts = ranges.length === 0 ? [] : await readStreams(this.#port, ranges);
    return [outcome, ...parts.map(({ entries }) => entries)];
  }

  #currentIdentity(): Identity {
    const now = performance.now();
    // Behind a new connection may be a server that never got the last batches, with the categories that they registered.
    if (this.#port.epoch !== this.#epoch) this.#registeredCategories.clear();
    this.#epoch = this.#port.epoch;
    if (this.#identity && now < this.#identity.expiresAt) return this.#identity;
    const ttlMs = this.#options.recordTtlMs ?? RECORD_TTL_MS;
    const recordKey = this.#keys.writer(this.#partition, randomUUID());
    const registered = registerWriter(this.#port, recordKey, ttlMs);
    registered.catch(() => undefined); // whoever waits for it hears of it
    this.#identity = { recordKey, expiresAt: now + ttlMs / 2, registered, sequence: 1, pending: new Set() };
    return this.#identity;
  }

  /** Whether the record is there. Nothing of the batch was sent yet: it may be tried again under a new name. */
  async #register(identity: Identity, deadline: number): Promise<boolean> {
    try {
      await identity.registered;
      return true;
    } catch (error) {
      this.#forget(identity);
      const isBroken = error instanceof PortError && error.kind !== 'refused';
      if (!isBroken || performance.now() >= deadline) throw notRegistered(error);
      await delay(PAUSE_BEFORE_RESEND_MS);
      return false;
    }
  }

  #forget(identity: Identity): void {
    if (this.#identity === identity) this.#identity = undefined;
    this.#registeredCategories.clear();
  }
}
