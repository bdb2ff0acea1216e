// Knows for what something is still on its way to Redis, or may be: what was kept for that has to stay until it is settled.
import { OutcomeUnknownError } from '../errors.ts';

/** By the event's place, or whatever else says what belongs together. */
export class Unsettled<Of = number> {
  readonly #counts = new Map<Of, number>();
  readonly #waiting = new Map<Of, () => void>();

  has(of: Of): boolean {
    return this.#counts.has(of);
  }

  /** Counts until the outcome is known. One that stays unknown may be carried out at any later time. */
  async count<T>(of: Of, work: Promise<T>): Promise<T> {
    this.#counts.set(of, (this.#counts.get(of) ?? 0) + 1);
    try {
      const result = await work;
      this.#settle(of);
      return result;
    } catch (error) {
      if (!(error instanceof OutcomeUnknownError)) this.#settle(of);
      throw error;
    }
  }

  /** Calls back when nothing for this is on its way any more. */
  whenSettled(of: Of, call: () => void): void {
    this.#waiting.set(of, call);
  }

  #settle(of: Of): void {
    const left = (this.#counts.get(of) ?? 1) - 1;
    if (left > 0) return void this.#counts.set(of, left);
    this.#counts.delete(of);
    this.#waiting.get(of)?.();
    this.#waiting.delete(of);
  }
}
