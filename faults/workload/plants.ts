// Mistakes that programs make, planted into the workload (never into the library): the checkers have to find each of them.
import { setTimeout as delay } from 'node:timers/promises';
import type { AppendResult, EventStore, Projection } from 'millrace';
import type { Counted } from './model.ts';

/** How appends of one stream are made: the store's own way, or a planted one. */
export type AppendOne = (
  stream: ReturnType<typeof import('./model.ts').orders.stream>,
  events: readonly Counted[],
) => Promise<Pick<AppendResult, 'streamVersion' | 'position' | 'token'>>;

const PATIENCE_MS = 60;

/** No deduplication: sends again, over another connection, what was not answered soon; the first answer counts. */
export function appendAgainWhenSlow(first: EventStore, second: EventStore): AppendOne {
  return async (stream, events) => {
    const sent = first.append(stream, events);
    const isSlow = await Promise.race([
      sent.then(
        () => false,
        () => true,
      ),
      delay(PATIENCE_MS, true),
    ]);
    if (!isSlow) return await sent;
    return await Promise.any([sent, second.append(stream, events)]);
  };
}

/** The version taken from the log's length, as it was before the append: another one may have come between. */
export function appendAtLength(store: EventStore): AppendOne {
  return async (stream, events) => {
    let length = 0;
    for await (const event of store.readStream(stream)) length = event.streamVersion;
    const result = await store.append(stream, events);
    return { ...result, streamVersion: length + events.length };
  };
}

const AFTERWARDS_MS = 30;

/** Acknowledged before it is handled: a process that is killed in between has handled nothing. */
export function afterwards(handle: () => Promise<void>): void {
  setTimeout(() => void handle().catch(() => undefined), AFTERWARDS_MS);
}

/** A fold that is not the one that is checked: every hundredth event counts twice. */
export function countsTwice<State>(projection: Projection<State>): Projection<State> {
  const twice = (state: State, event: Parameters<Projection<State>['evolve']>[1]): State | null => {
    const next = projection.evolve(state, event);
    return (event.data as { readonly n: number }).n % 100 === 0 && next !== null ? projection.evolve(next, event) : next;
  };
  return { ...projection, keys: (event) => projection.keys(event), initialState: () => projection.initialState(), evolve: twice };
}
