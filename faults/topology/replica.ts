// A primary and a replica behind an address that moves to the replica when the primary is killed.
import { setTimeout as delay } from 'node:timers/promises';
import { connectRaw } from '../../test/support/clients.ts';
import { startEngine, type TestEngine } from '../../test/support/engine.ts';
import { type Proxy, startProxy } from '../../test/support/proxy.ts';
import { networkFaults } from '../inject/network.ts';
import { serverFaults } from '../inject/server.ts';
import type { Fault } from '../schedule.ts';
import { DURABLE } from './single.ts';
import type { Topology } from './topology.ts';

const SYNC_MS_MAX = 20_000;
/** In so many of all failovers replication hangs behind: what was acknowledged in the meantime is lost. */
const LOSING = 0.7;
const LOST_MS_MAX = 600;

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
    const deadline = performance.now() + SYNC_MS_MAX;
    while (!/^master_link_status:up/m.test(String(await send(this.#replica.url, 'INFO', 'replication')))) {
      if (performance.now() > deadline) throw new Error(`the replica did not follow within ${SYNC_MS_MAX} ms`);
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

export async function startReplica(): Promise<Topology> {
  const pair = await Pair.start([...DURABLE, '--repl-diskless-sync-delay', '0']);
  const proxy = await startProxy(pair.primary.url);
  let failovers = 0;
  const failover: Fault = {
    kind: 'failover',
    lane: 'server',
    lastsMs: [200, 3_000],
    async inject(random, lastsMs) {
      const isLosing = random.next() < LOSING;
      if (isLosing) {
        pair.holdReplication();
        await delay(random.below(LOST_MS_MAX));
      }
      failovers += 1;
      await pair.failOver(lastsMs);
      proxy.retarget(pair.primary.url);
      proxy.cut();
      await pair.restartReplica();
    },
  };
  return {
    description: 'a primary and a replica (asynchronous) behind a proxy that moves',
    url: proxy.url,
    get directUrl() {
      return pair.primary.url;
    },
    elsewhere: undefined,
    faults: [...networkFaults(proxy), ...serverFaults(() => pair.primary), failover],
    unavailable: ['clock jump', 'network partition'].map((kind) => ({ kind, why: 'made with --topology single' })),
    get failovers() {
      return failovers;
    },
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await pair[Symbol.asyncDispose]();
    },
  };
}
