// A primary and a replica for tests and fault runs: replication can be held back, the primary killed, and the replica takes its place.
import { setTimeout as delay } from 'node:timers/promises';
import { connectRaw } from './clients.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { type Proxy, startProxy } from './proxy.ts';

const SYNC_MS_MAX = 20_000;

/** Two servers, one of which follows the other over a link that can be held up. */
export class Pair implements AsyncDisposable {
  readonly #link: Proxy;
  #primary: TestEngine;
  #replica: TestEngine;

  private constructor(primary: TestEngine, replica: TestEngine, link: Proxy) {
    this.#primary = primary;
    this.#replica = replica;
    this.#link = link;
  }

  static async start(args: readonly string[]): Promise<Pair> {
    const [primary, replica] = await Promise.all([startEngine({ args }), startEngine({ args })]);
    const pair = new Pair(primary, replica, await startProxy(primary.url));
    await pair.#follow();
    return pair;
  }

  get primary(): TestEngine {
    return this.#primary;
  }

  /** Holds back what the primary sends to the replica: from now on it acknowledges what only it has. */
  holdReplication(): void {
    this.#link.freeze('replies');
  }

  /** Resolves when the replica has everything that the primary had at the call. */
  async caughtUp(): Promise<void> {
    const offset = offsetIn(await send(this.#primary.url, 'INFO', 'replication'), 'master_repl_offset');
    await this.#untilReplica('has caught up', (info) => offsetIn(info, 'slave_repl_offset') >= offset);
  }

  /** Kills the primary; what was held back never comes. The replica takes its place. */
  async failOver(downMs: number): Promise<void> {
    await this.#primary.kill();
    this.#link.refuse();
    this.#link.cut();
    this.#link.thaw();
    await delay(downMs);
    await send(this.#replica.url, 'REPLICAOF', 'NO', 'ONE');
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
  }

  /** The killed one comes back and follows; what only it had is gone then. */
  async restartReplica(): Promise<void> {
    this.#link.retarget(this.#primary.url);
    await this.#link.accept();
    await this.#replica.restart();
    await this.#follow();
  }

  async #follow(): Promise<void> {
    await send(this.#replica.url, 'REPLICAOF', '127.0.0.1', new URL(this.#link.url).port);
    await this.#untilReplica('follows', (info) => /^master_link_status:up/m.test(String(info)));
  }

  async #untilReplica(what: string, isSo: (info: unknown) => boolean): Promise<void> {
    const deadline = performance.now() + SYNC_MS_MAX;
    while (!isSo(await send(this.#replica.url, 'INFO', 'replication'))) {
      if (performance.now() > deadline) throw new Error(`waited ${SYNC_MS_MAX} ms in vain until the replica ${what}`);
      await delay(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link.close();
    await Promise.all([this.#primary.stop(), this.#replica.stop()]);
  }
}

async function send(url: string, ...args: string[]): Promise<unknown> {
  await using client = await connectRaw(url);
  return await client.send(...args);
}

function offsetIn(info: unknown, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(String(info))?.[1] ?? -1);
}
