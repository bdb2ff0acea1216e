// What a set-up of several servers must tell, so that calls find the one that serves them.
import { setTimeout as delay } from 'node:timers/promises';
import { ClientPort } from './client-port.ts';
import type { Secrets } from './failures.ts';
import type { RedisPort } from './port.ts';
import type { NodeName, SlotMap } from './slot-map.ts';
import type { Wire } from './wire.ts';

/** A cluster, or what sentinels watch over. */
export interface Topology {
  /** What messages call it. Holds no password. */
  readonly where: string;
  /** Whether the slots are spread over several nodes. */
  readonly isCluster: boolean;
  readonly secrets: Secrets;
  /** How often to ask although nothing seems wrong, in milliseconds; undefined: never. */
  readonly refreshMs?: number;
  /** Asks which node serves what. Rejects with what went wrong at the node that was asked last. */
  discover(): Promise<SlotMap>;
  /** A connection to a node, not opened yet. */
  wireTo(node: NodeName): Wire;
  /** The name by which to reach what a node calls another one. */
  translated(node: NodeName): NodeName;
  /** Rejects where a node that was just connected to is not what it was taken for. */
  check(port: RedisPort): Promise<void>;
  /** Ends what was opened for asking. */
  close(): Promise<void>;
}

/** A node that does not answer this fast is passed over: another one can tell as well. */
export const ASK_MS = 2_000;
/** How long to wait for one node before the next one is asked, too. */
const STAGGER_MS = 250;

/** Asks some of many who know the same, and keeps the connection to the one who answered. */
export class Asker {
  readonly #wireTo: (node: NodeName) => Wire;
  readonly #askMs: number;
  #last: { readonly node: NodeName; readonly port: ClientPort } | undefined;
  #isClosed = false;

  constructor(wireTo: (node: NodeName) => Wire, timeoutMs: number) {
    this.#wireTo = wireTo;
    this.#askMs = Math.min(ASK_MS, timeoutMs);
  }

  /** The first answer, of the one who answered last or else of any of the candidates. */
  async ask<T>(candidates: Iterable<NodeName>, question: (port: RedisPort, node: NodeName) => Promise<T>): Promise<T> {
    const last = this.#last;
    if (last !== undefined) {
      try {
        return await inMs(this.#askMs, question(last.port, last.node));
      } catch {
        this.#last = undefined;
        await last.port.close();
      }
    }
    const names = [...new Set(candidates)].sort(() => Math.random() - 0.5);
    return await firstOf(names, (node) => this.#askOne(node, question));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last?.port.close();
  }

  async #askOne<T>(node: NodeName, question: (port: RedisPort, node: NodeName) => Promise<T>): Promise<T> {
    const port = new ClientPort(this.#wireTo(node), { timeoutMs: this.#askMs });
    try {
      await port.connect();
      const answer = await inMs(this.#askMs, question(port, node));
      if (this.#last === undefined && !this.#isClosed) this.#last = { node, port };
      else await port.close();
      return answer;
    } catch (error) {
      await port.close();
      throw error;
    }
  }
}

/** One after the other, each a little later, until one succeeds; rejects with the last failure. */
function firstOf<T>(names: readonly NodeName[], ask: (node: NodeName) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let asked = 0;
    let failed = 0;
    const askNext = (): void => {
      const name = names[asked];
      if (name === undefined) return;
      asked += 1;
      const timer = setTimeout(askNext, STAGGER_MS);
      ask(name)
        .then(resolve, (error: unknown) => {
          failed += 1;
          if (failed === names.length) reject(error as Error);
          else askNext();
        })
        .finally(() => clearTimeout(timer));
    };
    askNext();
    if (names.length === 0) reject(new Error('no node is known'));
  });
}

/** Rejects where that takes longer. */
export async function inMs<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${ms} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}
