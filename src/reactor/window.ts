// How many events a worker has in hand: enough that its handlers never wait for the next read, and not more than they do in a moment.

/** Others could do meanwhile what waits here for longer than about this. */
const AHEAD_MS = 100;
const EVENTS_MAX = 2_000;
/** How long events are counted before the count says something. */
const LOOK_MS = 50;

export class Window {
  readonly #least: number;
  #size: number;
  #finished = 0;
  #since: number = performance.now();

  /** Each handler has an event, and another one is ready. */
  constructor(concurrency: number) {
    this.#least = 2 * concurrency;
    this.#size = this.#least;
  }

  get size(): number {
    return this.#size;
  }

  /** So many more are done. */
  finished(events: number): void {
    this.#finished += events;
    const elapsedMs = performance.now() - this.#since;
    if (elapsedMs < LOOK_MS) return;
    const inAMoment = (this.#finished * AHEAD_MS) / elapsedMs;
    this.#size = Math.max(this.#least, Math.min(EVENTS_MAX, Math.ceil(inAMoment), 2 * this.#size));
    this.#finished = 0;
    this.#since += elapsedMs;
  }
}
