// Looks at the store about each second while somebody looks on, once for all of them, and keeps the figures of the last minutes.
import { setTimeout as delay } from 'node:timers/promises';
import type { Inspector } from '../index.ts';
import type { Json, NowReply, Sample } from './api.ts';

/** What came of one look. */
export type Look = { readonly now: NowReply } | { readonly error: unknown };

const INTERVAL_MS = 1_000;
/** A quarter of an hour. */
const SAMPLES_MAX = 900;
/** It goes on for a while when nobody looks any more, so that a page that is loaded again has its past. */
const LINGER_MS = 60_000;

export class Sampler {
  readonly #facts: Inspector;
  readonly #closed: AbortSignal;
  readonly #watchers = new Set<(look: Look) => void>();
  #samples: Sample[] = [];
  #isRunning = false;
  #lastWatched = 0;

  constructor(facts: Inspector, closed: AbortSignal) {
    this.#facts = facts;
    this.#closed = closed;
  }

  /** At this moment, with what was kept. */
  async now(): Promise<NowReply> {
    this.#keepRunning();
    const now = await this.#look();
    return { ...now, samples: this.#samples };
  }

  /** Told of each look from now on; the result ends it. */
  watch(watcher: (look: Look) => void): () => void {
    this.#watchers.add(watcher);
    this.#keepRunning();
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  #keepRunning(): void {
    this.#lastWatched = performance.now();
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#loop().finally(() => {
      this.#isRunning = false;
    });
  }

  async #loop(): Promise<void> {
    while (!this.#closed.aborted && (this.#watchers.size > 0 || performance.now() - this.#lastWatched < LINGER_MS)) {
      const look = await this.#look().then(
        (now): Look => ({ now: { ...now, samples: this.#samples.slice(-1) } }),
        (error: unknown): Look => ({ error }),
      );
      for (const watcher of this.#watchers) watcher(look);
      await delay(INTERVAL_MS, undefined, { signal: this.#closed, ref: false }).catch(() => undefined);
    }
  }

  async #look(): Promise<Omit<NowReply, 'samples'>> {
    const [servers, store, processors] = await Promise.all([this.#facts.server(), this.#facts.store(), this.#facts.processors()]);
    const at = Date.now();
    const before = this.#samples.at(-1);
    const passedMs = before ? at - before.at : 0;
    if (!before || passedMs >= INTERVAL_MS / 2) {
      const sample: Sample = {
        at,
        events: store.events,
        appendsPerSecond: before ? Math.max(0, ((store.events - before.events) * 1_000) / passedMs) : 0,
        memoryUsedBytes: servers.reduce((sum, { memoryUsedBytes }) => sum + memoryUsedBytes, 0),
        deadLetters: processors.reduce((sum, { deadLetters }) => sum + deadLetters, 0),
        lag: Object.fromEntries(processors.map(({ kind, name, version, lagEvents }) => [kind === 'source' ? name : `${name}@${version}`, lagEvents])),
      };
      this.#samples = [...this.#samples.slice(1 - SAMPLES_MAX), sample];
    }
    return asJson({ servers, store, processors });
  }
}

/** Dates become texts here, as they would on the way. */
export function asJson<T>(value: T): Json<T> {
  return JSON.parse(JSON.stringify(value)) as Json<T>;
}
