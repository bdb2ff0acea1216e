// Reactors whose handlers wait, note what they get, or never end, for tests of them.
import { type EventStore, type Reactor, reactor, type StartFrom, StreamProcessor } from 'millrace';
import { notes } from './store.ts';

export const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** Something that is waited for until the test says so. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

export function never(): Promise<void> {
  return new Promise(() => undefined);
}

/** Writes down what it is done with. */
export function listing(handled: number[], startFrom: StartFrom = 'start', name = 'listing'): Reactor {
  return reactor({ name, categories: [notes], startFrom, handle: ({ data: { n } }) => void handled.push(n) });
}

export async function react(store: EventStore, ...reactors: readonly Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

export async function isCaughtUp(processor: StreamProcessor): Promise<boolean> {
  return (await processor.progress()).reactors.every(({ lagEvents }) => lagEvents === 0);
}
