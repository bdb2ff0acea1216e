// Runs batches of one writer in one partition, each exactly once whatever the connection does.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { OutcomeUnknownError } from '../errors.ts';
import { encodeBatch, missedRanges, type PreparedAppend, splitReply, type WriteOutcome } from './batch.ts';
import type { Keys } from './keys.ts';
import { PortError, type RedisPort } from './port.ts';
import { appendBatch, type BatchReply, MISSED_EVENTS_MAX, readStreams, registerWriter, settleBatch } from './scripts.ts';
import { lostConnection, neverInTime, notRegistered, refusedError } from './write-failures.ts';

/** How long Redis remembers a writer's last batches. A writer takes a new id after half of it. */
export const RECORD_TTL_MS = 3_600_000;

/** How many batches the record remembers: none may be so far ahead of one that is still asked for that it takes its place there. */
export const RECORD_SLOTS = 16;

const PAUSE_BEFORE_RESEND_MS = 20;

export interface RunnerOptions {
  /** How long an append may wait for a connection, in milliseconds. */
  readonly timeoutMs: number;
  /** Default 3,600,000 (1 h): how long the outcome of a batch can be found out after its reply was lost. */
  readonly recordTtlMs?: number | undefined;
}

/** A batch that was run, and where the record of that stands. */
export interface RanBatch {
  readonly recordKey: string;
  readonly sequence: number;
  readonly outcomes: readonly WriteOutcome[];
  /** Says that nobody will ask the record for it any more. */
  release(): void;
}

/** A writer's name in one partition, with the number of its next batch. */
interface Identity {
  readonly recordKey: string;
  readonly expiresAt: number;
  readonly registered: Promise<void>;
  sequence: number;
  /** The batches that the record may still be asked for. */
  readonly pending: Set<number>;
}

interface SentBatch {
  readonly sequence: number;
  readonly deadline: number;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

export class BatchRunner {
  readonly #port: RedisPort;
  readonly #keys: Keys;
  readonly #partition: number;
  readonly #options: RunnerOptions;
  #identity: Identity | undefined;

  constructor(port: RedisPort, keys: Keys, partition: number, options: RunnerOptions) {
    this.#port = port;
    this.#keys = keys;
    this.#partition = partition;
    this.#options = options;
  }

  /** Whether the next batch would make the record forget one that may still be asked for. */
  get isFarAhead(): boolean {
    const { sequence = 0, pending = [] } = this.#identity ?? {};
    return sequence - Math.min(...pending) >= RECORD_SLOTS;
  }

  /** Rejects when it could not be run, or when that cannot be known. */
  async run(appends: readonly PreparedAppend[]): Promise<RanBatch> {
    const deadline = performance.now() + this.#options.timeoutMs;
    for (;;) {
      const identity = this.#currentIdentity();
      // Taken before the wait for the record: batches keep the order in which they were made.
      const sequence = identity.sequence++;
      identity.pending.add(sequence);
      if (!(await this.#register(identity, deadline))) continue;
      const { recordKey } = identity;
      const { keys, args } = encodeBatch(this.#keys, this.#partition, appends, { recordKey, sequence });
      const release = (): void => void identity.pending.delete(sequence);
      const reply = await this.#runOnce(identity, { sequence, keys, args, deadline }).catch((error: unknown) => {
        release();
        throw error;
      });
      if (reply[0] !== 'unknown') {
        return { recordKey, sequence, outcomes: splitReply(reply, appends), release };
      }
      release();
      // Not run under this name, so it may be under a new one.
      this.#forget(identity);
      if (performance.now() >= deadline) throw neverInTime();
    }
  }

  /**
   * What became of a batch that was run, on the server that answers now: `done`, or `never`, and then it never will be; `unknown` where
   * nothing tells.
   */
  async became({ recordKey, sequence }: RanBatch): Promise<'done' | 'never' | 'unknown'> {
    const [became] = await settleBatch(this.#port, recordKey, sequence);
    return became;
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
  }
}
