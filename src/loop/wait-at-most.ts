// Waits for something that a server which does not answer could hold up for long.
import { setTimeout as delay } from 'node:timers/promises';

/** Resolves when the promise is settled, however, or after `ms`. What the promise comes to later is heard of by nobody. */
export async function waitAtMost(ms: number, promise: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  const enough = delay(ms, undefined, { signal: waiting.signal });
  for (const each of [promise, enough]) each.catch(() => undefined);
  await Promise.race([promise, enough]).catch(() => undefined);
  waiting.abort();
}
