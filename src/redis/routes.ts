// Keeps the map of slots, asks for it anew when something is wrong, and tells when it changed.
import { setTimeout as delay } from 'node:timers/promises';
import { connectionFailed, isFinal } from './failures.ts';
import { type NodeName, SlotMap } from './slot-map.ts';
import type { Topology } from './topology.ts';

/** At least so long between two questions. */
const PAUSE_MS = 100;

export class Routes {
  readonly topology: Topology;
  /** What went wrong last, for messages. */
  lastError: unknown;
  #map = SlotMap.of([]);
  #refreshing: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(topology: Topology) {
    this.topology = topology;
    if (topology.refreshMs !== undefined) this.#timer = setInterval(() => void this.refresh(), topology.refreshMs).unref();
  }

  get map(): SlotMap {
    return this.#map;
  }

  /** Asks until there is a map. Throws ConnectionFailedError, at once where waiting cannot help. */
  async open(timeoutMs: number): Promise<void> {
    const { where, secrets } = this.topology;
    const until = performance.now() + timeoutMs;
    while (this.#map.primaries.size === 0) {
      this.lastError = undefined;
      await this.refresh();
      if (this.#map.primaries.size > 0) return;
      if (isFinal(this.lastError) || performance.now() >= until) throw connectionFailed(where, timeoutMs, this.lastError, secrets);
    }
  }

  /** Asks for the map, once for all who want it at the same time. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** A node told that another one serves a slot. One that moved is seldom alone: the whole map is asked for, too. */
  moved(slot: number, node: NodeName): void {
    this.#take(this.#map.with(slot, node));
    void this.refresh();
  }

  /** Calls back after each change of the map. The result ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.topology.close();
  }

  async #refresh(): Promise<void> {
    const pauseMs = this.#askedAt + PAUSE_MS - performance.now();
    if (pauseMs > 0) await delay(pauseMs);
    if (this.#isClosed) return;
    try {
      this.#take(await this.topology.discover());
    } catch (error) {
      this.lastError = error;
    }
    this.#askedAt = performance.now();
  }

  #take(map: SlotMap): void {
    if (this.#isClosed || map.equals(this.#map)) return;
    this.#map = map;
    for (const listener of this.#listeners) listener();
  }
}
