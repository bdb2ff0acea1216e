// Holds a processor to so many events a second, so that a rebuild leaves the server room for other work.
import { InvalidInputError } from '../errors.ts';

/** Of a second: what is read at once is at most so much, so that leases are prolonged and stops are heard in between. */
const BURST = 0.25;

/** A bucket that fills with time, by this process's monotonic clock. All partitions of a processor take from the same one. */
export class Throttle {
  /** How many events are read at once, at most. */
  readonly pageMax: number;
  readonly #perMs: number;
  readonly #capacity: number;
  #available: number;
  #at: number = performance.now();

  constructor(eventsPerSecond: number) {
    this.pageMax = Math.max(1, Math.floor(eventsPerSecond * BURST));
    this.#perMs = eventsPerSecond / 1_000;
    this.#capacity = this.pageMax;
    this.#available = this.#capacity;
  }

  /** How long to wait before the next page, in milliseconds; 0 where it may be read now. */
  waitMs(): number {
    const now = performance.now();
    this.#available = Math.min(this.#capacity, this.#available + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#available > 0 ? 0 : Math.max(1, -this.#available / this.#perMs);
  }

  /** Takes out what was read: it may go into debt, for how much a page holds is known only then. */
  spend(events: number): void {
    this.#available -= events;
  }
}

/** Checks the option of a processor. Throws InvalidInputError. */
export function throttleOf(eventsPerSecond: number | undefined): Throttle | undefined {
  if (eventsPerSecond === undefined) return undefined;
  if (!(typeof eventsPerSecond === 'number' && eventsPerSecond >= 1 && Number.isFinite(eventsPerSecond)))
    throw new InvalidInputError('option eventsPerSecond', 'a number from 1', eventsPerSecond);
  return new Throttle(eventsPerSecond);
}
