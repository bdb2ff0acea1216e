// Sends appends to one store in batches, and tells each append what came of it (group commit).
import { OutcomeUnknownError, StoreClosedError } from '../errors.ts';
import type { PreparedAppend, WriteOutcome } from './batch.ts';
import { BatchRunner, RECORD_TTL_MS, type RanBatch, type RunnerOptions } from './batch-runner.ts';
import { Confirmer } from './confirmer.ts';
import { askedFor, type Shortfall, type WaitedDurability } from './durability.ts';
import type { Proof } from './durable-server.ts';
import type { Keys } from './keys.ts';
import type { RedisPort, Reply } from './port.ts';

/** Two batches on their way keep both Redis and this process busy. */
const BATCHES_IN_FLIGHT = 2;

/** Keeps Redis from being held by one batch for more than a few milliseconds. */
const BATCH_APPENDS_MAX = 500;
const BATCH_BYTES_MAX = 1_048_576;

export type { Shortfall };

export type SuccessOutcome = WriteOutcome & { readonly kind: 'appended' | 'repeated' };

/** It is in the log, but less certainly than the store's durability asks for. */
export interface UnconfirmedOutcome {
  readonly kind: 'unconfirmed';
  readonly outcome: SuccessOutcome;
  readonly shortfall: Shortfall;
}

/** What came of one append, after whatever its store waits for. */
export type AppendOutcome = WriteOutcome | UnconfirmedOutcome;

/** What shows that something is still there: a command that reads it, its key second, and the reply that was seen before. */
export interface Witness {
  readonly args: readonly [command: string, key: string, ...rest: string[]];
  readonly reply: Reply;
}

export interface WriterOptions extends RunnerOptions {
  /** What appends wait for beyond the server's answer. Default: nothing. */
  readonly waited?: { readonly durability: WaitedDurability; readonly proof: Proof } | undefined;
}

const ANOTHER_SERVER = 'another server seems to have taken over, and does not have it';

/** Writes nothing, and so is confirmed together with everything that stands in front of it. */
const NOTHING: PreparedAppend = { kind: 'multi', streams: [], guards: [], marks: [], result: undefined, bytes: 0 };

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
  append(partition: number, append: PreparedAppend): Promise<AppendOutcome> {
    let writer = this.#partitions.get(partition);
    if (!writer) {
      writer = new PartitionWriter(this.#port, this.#keys, partition, this.#options);
      this.#partitions.set(partition, writer);
    }
    return writer.append(append);
  }

  /**
   * Waits, as appends do, for what another append wrote, maybe of another process: the result of a request that came again. Resolves with what is
   * missing from it. Rejects when that cannot be asked.
   */
  async confirm(partition: number, { args, reply }: Witness): Promise<Shortfall | undefined> {
    const { waited } = this.#options;
    if (!waited) return undefined;
    const outcome = await this.append(partition, NOTHING);
    if (outcome.kind === 'unconfirmed') return outcome.shortfall;
    // Looked at afterwards: had another server taken over in between, without it, then what was confirmed is that server's log.
    if ((await this.#port.send(args[1], args)) === reply) return undefined;
    const { durability } = waited;
    return { durability, asked: askedFor(durability), confirmed: 0, why: ANOTHER_SERVER };
  }

  /** Waits for what is on its way, and refuses what comes after. */
  async close(): Promise<void> {
    await Promise.all([...this.#partitions.values()].map((writer) => writer.close()));
  }
}

interface Waiting {
  readonly append: PreparedAppend;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** One that was run and waits to be confirmed. */
interface Written {
  readonly waiting: Waiting;
  readonly outcome: SuccessOutcome;
}

class PartitionWriter {
  readonly #runner: BatchRunner;
  readonly #timeoutMs: number;
  readonly #confirmer: Confirmer | undefined;
  #waiting: Waiting[] = [];
  #inFlight = 0;
  #beingConfirmed = 0;
  #isScheduled = false;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor(port: RedisPort, keys: Keys, partition: number, options: WriterOptions) {
    this.#runner = new BatchRunner(port, keys, partition, options);
    const { waited, timeoutMs, recordTtlMs = RECORD_TTL_MS } = options;
    this.#timeoutMs = timeoutMs;
    if (!waited) return;
    const limitMs = waited.durability === 'fsync' ? timeoutMs : waited.durability.timeoutMs;
    this.#confirmer = new Confirmer(port, { ...waited, limitMs, recordTtlMs });
  }

  append(append: PreparedAppend): Promise<AppendOutcome> {
    if (this.#isClosed) return Promise.reject(new StoreClosedError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ append, resolve, reject });
      this.#schedule();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #isIdle(): boolean {
    return this.#inFlight === 0 && this.#beingConfirmed === 0 && this.#waiting.length === 0;
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
    while (this.#waiting.length > 0 && this.#inFlight < BATCHES_IN_FLIGHT && !this.#runner.isFarAhead) {
      const batch = this.#takeBatch();
      this.#inFlight += 1;
      void this.#send(batch).finally(() => {
        this.#inFlight -= 1;
        this.#goOn();
      });
    }
  }

  #goOn(): void {
    this.#schedule();
    if (this.#isIdle()) this.#onIdle?.();
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

  async #send(batch: readonly Waiting[]): Promise<void> {
    try {
      const ran = await this.#runner.run(batch.map(({ append }) => append));
      const written = this.#tell(batch, ran);
      if (!this.#confirmer || written.length === 0) return ran.release();
      // Not awaited: the next batch runs meanwhile. It tells each append itself, also what went wrong.
      this.#beingConfirmed += 1;
      void this.#confirm(written, ran, this.#confirmer).finally(() => {
        this.#beingConfirmed -= 1;
        this.#goOn();
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** Tells each append what came of it; those that have to be confirmed first are left. What wrote nothing need not wait. */
  #tell(batch: readonly Waiting[], { outcomes }: RanBatch): Written[] {
    const written: Written[] = [];
    batch.forEach((waiting, index) => {
      const outcome = outcomes[index];
      if (!outcome) waiting.reject(new OutcomeUnknownError('the server answered with fewer outcomes than appends.'));
      else if (this.#confirmer && (outcome.kind === 'appended' || outcome.kind === 'repeated')) written.push({ waiting, outcome });
      else waiting.resolve(outcome);
    });
    return written;
  }

  /** Waits for what was written to be confirmed, and tells each append. Never rejects. */
  async #confirm(written: readonly Written[], ran: RanBatch, confirmer: Confirmer): Promise<void> {
    const deadline = performance.now() + this.#timeoutMs;
    let confirmation = await confirmer.confirm(ran);
    while (confirmation === 'absent') {
      const became = await this.#runner.became(ran).catch(() => 'unknown');
      // Another server took over, without the batch, and has promised never to run the first sending. Nobody was told of it yet.
      if (became === 'never') {
        ran.release();
        return await this.#send(written.map(({ waiting }) => waiting));
      }
      const isAskedAgain = became === 'done' && performance.now() < deadline;
      confirmation = isAskedAgain ? await confirmer.confirm(ran) : confirmer.shortfall(0, ANOTHER_SERVER);
    }
    ran.release();
    for (const { waiting, outcome } of written) {
      waiting.resolve(confirmation === 'confirmed' ? outcome : { kind: 'unconfirmed', outcome, shortfall: confirmation });
    }
  }
}
