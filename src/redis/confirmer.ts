// Waits until batches that were run are on disk or on replicas: one wait for all that came together.
import { setTimeout as delay } from 'node:timers/promises';
import { RECORD_SLOTS } from './batch-runner.ts';
import { askedFor, type Shortfall, type WaitedDurability } from './durability.ts';
import { PortError, type RedisPort, type Reply } from './port.ts';
import { isPassingReply } from './public-error.ts';
import { factsOf } from './server.ts';
import { isAlways, isWaitAofTrue, type Proof, SETTINGS } from './durable-server.ts';

/** Where the record of a batch that was run stands. */
export interface Recorded {
  readonly recordKey: string;
  readonly sequence: number;
}

/** `absent`: the server that answers now does not hold the batch. */
export type Confirmation = 'confirmed' | 'absent' | Shortfall;

export interface ConfirmerOptions {
  readonly durability: WaitedDurability;
  readonly proof: Proof;
  /** How long a wait may take, in milliseconds. */
  readonly limitMs: number;
  /** How long a writer's record lives, in milliseconds. */
  readonly recordTtlMs: number;
}

interface Asked {
  readonly batch: Recorded;
  readonly resolve: (confirmation: Confirmation) => void;
}

/** Doubled with each retry, up to a second. */
const FIRST_PAUSE_MS = 20;
const PAUSE_MS_MAX = 1_000;

/** How much later than it was told to a server may answer before its connection counts as dead. */
const GRACE_MS = 1_000;

const SERVER_INFO: readonly string[] = ['INFO', 'server'];

/** What came of asking once: what the record has of each batch, and how many have what was written behind them all. */
interface Answer {
  readonly records: readonly Reply[];
  /** Undefined where nothing was written, so that the count would mean nothing. */
  readonly confirmed: number | undefined;
  readonly why: string;
}

/**
 * Confirms the batches of one partition.
 *
 * WAIT and WAITAOF speak of what their own connection wrote, stall that connection, and return a count also when their time is over. So they
 * go over a connection of their own, and in front of each goes, on that very connection,
 * 1. a look at the writer's record: whether the server behind it holds the batch. The one that ran it may have been replaced since;
 * 2. a write, behind the batch in the server's history: whoever has that has the batch. (A longer life for the record: it takes no memory, so
 *    a server that is full runs it, and it changes nothing that counts.)
 * What comes meanwhile goes into the next wait together.
 */
export class Confirmer {
  readonly #port: RedisPort;
  readonly #options: ConfirmerOptions;
  #own: Promise<RedisPort> | undefined;
  #waiting: Asked[] = [];
  #isRunning = false;

  constructor(port: RedisPort, options: ConfirmerOptions) {
    this.#port = port;
    this.#options = options;
  }

  /** Resolves after `limitMs` at the latest, counted from when its turn comes, and about a second more where the connection is dead. */
  confirm(batch: Recorded): Promise<Confirmation> {
    return new Promise((resolve) => {
      this.#waiting.push({ batch, resolve });
      void this.#run(); // never rejects
    });
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#waiting.length > 0) await this.#confirmTogether(this.#waiting.splice(0));
    this.#isRunning = false;
  }

  /** Asks again where the connection broke: whatever was confirmed before, asking once more does no harm. */
  async #confirmTogether(all: readonly Asked[]): Promise<void> {
    const deadline = performance.now() + this.#options.limitMs;
    let group = all;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(PAUSE_MS_MAX, 2 * pauseMs)) {
      const leftMs = Math.max(1, Math.ceil(deadline - performance.now()));
      let why = 'the server forgot the writer again and again';
      try {
        group = this.#settle(group, await within(leftMs + GRACE_MS, this.#ask(group, leftMs)));
      } catch (error) {
        this.#dropConnection();
        why = error instanceof Error ? error.message.replace(/\.+$/, '') : String(error);
        if (isFinal(error)) return this.#giveUp(group, why);
      }
      if (group.length === 0) return;
      if (performance.now() + pauseMs >= deadline) return this.#giveUp(group, why);
      await delay(pauseMs);
    }
  }

  /** Tells each what came of it; those that have to ask again. */
  #settle(group: readonly Asked[], { records, confirmed, why }: Answer): readonly Asked[] {
    const isHeld = group.map(({ batch }, index) => String(records[index]).startsWith(`${batch.sequence} `));
    // Maybe it is only this connection that leads to the wrong server.
    if (isHeld.includes(false)) this.#dropConnection();
    return group.filter(({ resolve }, index) => {
      if (!isHeld[index]) resolve('absent');
      else if (confirmed === undefined) return true;
      else resolve(confirmed >= askedFor(this.#options.durability) ? 'confirmed' : this.shortfall(confirmed, why));
      return false;
    });
  }

  #giveUp(group: readonly Asked[], why: string): void {
    for (const { resolve } of group) resolve(this.shortfall(0, why));
  }

  async #ask(group: readonly Asked[], ms: number): Promise<Answer> {
    const lastRecord = (group.at(-1) as Asked).batch.recordKey;
    const looks = group.map(({ batch }): Command => [batch.recordKey, ['HGET', batch.recordKey, String(batch.sequence % RECORD_SLOTS)]]);
    if (this.#options.proof === 'always') {
      const [config, ...records] = await onOneConnection(this.#port, [[lastRecord, SETTINGS], ...looks]);
      if (isAlways(config)) return { records, confirmed: 1, why: '' };
      expectTrueWaitAof(await this.#port.send(lastRecord, SERVER_INFO));
    }
    this.#own ??= this.#port.dedicated(lastRecord);
    // The key leads the wait, too, to the node of a cluster that the write goes to.
    const write: Command = [lastRecord, ['PEXPIRE', lastRecord, String(this.#options.recordTtlMs)]];
    const replies = await onOneConnection(await this.#own, [[lastRecord, SERVER_INFO], ...looks, write, [lastRecord, this.#wait(ms)]]);
    if (this.#options.durability === 'fsync') expectTrueWaitAof(replies[0]);
    const [written, count] = replies.slice(-2);
    const confirmed = Number(Array.isArray(count) ? count[0] : count);
    return { records: replies.slice(1, -2), confirmed: written === 1 ? confirmed : undefined, why: `none more within ${ms} ms` };
  }

  #wait(ms: number): readonly string[] {
    const { durability } = this.#options;
    return durability === 'fsync' ? ['WAITAOF', '1', '0', String(ms)] : ['WAIT', String(durability.replicas), String(ms)];
  }

  /** What is told where so many confirmed a write. */
  shortfall(confirmed: number, why: string): Shortfall {
    const { durability } = this.#options;
    return { durability, asked: askedFor(durability), confirmed, why };
  }

  /** A server that was told to be a replica keeps its connections: only another connection finds the one that took over. */
  #dropConnection(): void {
    const own = this.#own;
    this.#own = undefined;
    // One that is still being made is closed once it is there; one that is not made needs no closing.
    void own?.then((port) => port.close()).catch(() => undefined);
  }
}

type Command = readonly [key: string | undefined, args: readonly string[]];

/** Sends commands behind each other. Fails where they may have gone over more than one connection. */
async function onOneConnection(port: RedisPort, commands: readonly Command[]): Promise<readonly Reply[]> {
  const { epoch } = port;
  const replies = await Promise.all(commands.map(([key, args]) => port.send(key, args)));
  if (port.epoch !== epoch) throw new PortError('unknown', '', 'the connection changed while the write was being confirmed');
  return replies;
}

/** Asked each time, for after a failover another server answers. */
function expectTrueWaitAof(info: Reply | undefined): void {
  if (isWaitAofTrue(factsOf(String(info)))) return;
  throw new PortError('refused', '', 'appendfsync is not always any more, and the WAITAOF of this server cannot be relied on');
}

/** A server that may still come to confirm it, or another one, is worth asking again. */
function isFinal(error: unknown): boolean {
  return error instanceof PortError && error.kind === 'refused' && !isPassingReply(error.reply);
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PortError('unknown', '', `no answer within ${ms} ms`)), ms);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
