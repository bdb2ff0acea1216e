// One attempt at an event: the handler under a time limit, and the wait before the next one.
import type { RecordedEvent } from '../event.ts';
import { ReactionTimeoutError } from '../processing-errors.ts';
import type { Reactor, RetryOptions } from './reactor.ts';

/** Makes its signal only when it is asked for: few handlers do, and to make one takes longer than the rest of an attempt. */
export class LazyAbort {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  get isAborted(): boolean {
    return this.#reason !== undefined;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(this.#reason);
  }
}

/** What one attempt came to. */
export type AttemptOutcome = { readonly isDone: true } | { readonly isDone: false; readonly error: unknown };

/**
 * Calls the handler. It counts as failed once its time is over, whether or not it heeds its signal: a handler that hangs must not hold
 * its key for ever. One that goes on all the same may overlap the next attempt.
 */
export async function attempt(
  reactor: Reactor,
  event: RecordedEvent,
  handle: () => Promise<unknown> | void,
  abort: LazyAbort,
): Promise<AttemptOutcome> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new ReactionTimeoutError(`${reactor.name}@${reactor.version}`, event, reactor.timeoutMs);
      abort.abort(error);
      reject(error);
    }, reactor.timeoutMs);
    timer.unref(); // a handler that never ends must not keep a process that has stopped
  });
  try {
    await Promise.race([handle(), tooLate]);
    return { isDone: true };
  } catch (error) {
    return { isDone: false, error };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * How long to wait after so many attempts: it doubles, and is between half and all of that by chance, so that what failed together
 * does not come back together.
 */
export function delayAfter(attempts: number, { minDelayMs, maxDelayMs }: Required<RetryOptions>): number {
  return Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempts - 1, 30)) * (0.5 + Math.random() / 2);
}
