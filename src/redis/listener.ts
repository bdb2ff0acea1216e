// Listens to channels of a set-up of servers: on one of its nodes, and on another when that is gone.
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionFailedError } from '../errors.ts';
import type { Routes } from './routes.ts';
import { becomeReady, GONE, inTime, type Wire } from './wire.ts';

interface Subscription {
  readonly channel: string;
  readonly deliver: (message: string) => void;
}

/** Within this time a node that is restarted may be back; then another one is taken. */
const PATIENCE_MS = 300;

/** Messages are told to every node of a cluster, so any of them will do. */
export class Listener {
  readonly #routes: Routes;
  readonly #timeoutMs: number;
  readonly #subscriptions = new Set<Subscription>();
  #wire: Promise<Wire> | undefined;
  #isClosed = false;

  constructor(routes: Routes, timeoutMs: number) {
    this.#routes = routes;
    this.#timeoutMs = timeoutMs;
  }

  /** Throws ConnectionFailedError or PortError. */
  async listen(channel: string, onMessage: (message: string) => void): Promise<() => Promise<void>> {
    const wire = await this.#open();
    const subscription = { channel, deliver: (message: string): void => onMessage(message) };
    await inTime(wire, 'SUBSCRIBE', wire.subscribe(channel, subscription.deliver), this.#timeoutMs);
    this.#subscriptions.add(subscription);
    return () => this.#stop(subscription);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const wire = await this.#wire?.catch(() => undefined);
    wire?.destroy();
  }

  async #stop({ channel, deliver }: Subscription): Promise<void> {
    for (const each of this.#subscriptions) if (each.deliver === deliver) this.#subscriptions.delete(each);
    const wire = await this.#wire?.catch(() => undefined);
    // Where there is no connection there is nothing to stop.
    if (wire !== undefined) await inTime(wire, 'UNSUBSCRIBE', wire.unsubscribe(channel, deliver), this.#timeoutMs).catch(() => undefined);
  }

  #open(): Promise<Wire> {
    if (this.#wire !== undefined) return this.#wire;
    const opening = this.#connect();
    this.#wire = opening;
    opening.catch(() => {
      if (this.#wire === opening) this.#wire = undefined;
    });
    return opening;
  }

  /** Any primary; each a few times until time is over. */
  async #connect(): Promise<Wire> {
    const until = performance.now() + this.#timeoutMs;
    const { topology } = this.#routes;
    for (let attempt = Math.floor(Math.random() * 100); ; attempt += 1) {
      if (this.#isClosed) throw new ConnectionFailedError(`The connection to Redis at ${topology.where} was closed. Open another one.`);
      const nodes = [...this.#routes.map.primaries];
      const wire = topology.wireTo(nodes[attempt % nodes.length] ?? '');
      // An 'error' event without a listener ends the process.
      wire.on('error', () => undefined);
      try {
        await becomeReady(wire, Math.max(1, Math.min(until - performance.now(), this.#timeoutMs / 3)));
        for (const event of GONE) wire.on(event, () => void this.#onGone(wire));
        return wire;
      } catch (error) {
        wire.destroy();
        if (performance.now() >= until) throw error;
        await Promise.all([this.#routes.refresh(), delay(PATIENCE_MS)]);
      }
    }
  }

  /** The client makes another connection to the same node, and listens again. Where it cannot, another node is taken. */
  async #onGone(wire: Wire): Promise<void> {
    await delay(PATIENCE_MS, undefined, { ref: false });
    if (this.#isClosed || wire.isReady() || (await this.#wire?.catch(() => undefined)) !== wire) return;
    this.#wire = undefined;
    wire.destroy();
    while (!this.#isClosed && !(await this.#resume())) await delay(PATIENCE_MS, undefined, { ref: false });
  }

  async #resume(): Promise<boolean> {
    try {
      const wire = await this.#open();
      const again = [...this.#subscriptions].map(({ channel, deliver }) =>
        inTime(wire, 'SUBSCRIBE', wire.subscribe(channel, deliver), this.#timeoutMs),
      );
      await Promise.all(again);
      return true;
    } catch {
      return false;
    }
  }
}
