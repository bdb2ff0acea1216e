// Reactors that fail at some events, for tests of dead letters.
import { type DeadLetter, type DeadLetters, type EventStore, ProcessorControl } from 'millrace';
import { type Reactor, type ReactorDefinition, reactor, StreamProcessor } from 'millrace';
import { expect } from 'vitest';
import { run } from './processors.ts';
import { notes } from './store.ts';

export const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** A reactor that fails at the notes whose numbers are in `broken`, and what it has handled so far. */
export interface Picky {
  readonly reactor: Reactor;
  readonly broken: Set<number>;
  readonly handled: string[];
  readonly letters: DeadLetters;
}

export function picky(store: EventStore, broken: readonly number[], definition: Partial<ReactorDefinition<[typeof notes], 'Noted'>> = {}): Picky {
  const handled: string[] = [];
  const isBroken = new Set(broken);
  const made = reactor({
    name: 'picky',
    categories: [notes],
    retry: quick,
    ...definition,
    handle: async (event, context) => {
      await definition.handle?.(event, context);
      if (isBroken.has(event.data.n)) throw new TypeError(`cannot take ${event.data.n}`);
      handled.push(`${event.streamName.slice('notes:'.length)}${event.data.n}`);
    },
  });
  return { reactor: made, broken: isBroken, handled, letters: new ProcessorControl(store).deadLetters(made) };
}

export async function react(store: object, ...reactors: Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

/** Runs the reactor until nothing that was asked for is left. */
export async function settle(store: EventStore, { reactor: made, letters }: Picky): Promise<void> {
  await using _running = run(store, { reactors: [made] });
  await letters.settled();
}

export async function listed(letters: DeadLetters, options: Parameters<DeadLetters['list']>[0] = {}): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  for await (const letter of letters.list(options)) found.push(letter);
  return found;
}

export async function onlyId(letters: DeadLetters): Promise<string> {
  const [letter, ...others] = await listed(letters);
  expect(others).toEqual([]);
  return letter?.id ?? '';
}

export const eventsOf = (found: readonly DeadLetter[]): string[] => found.map(({ event }) => event?.id ?? 'gone');

export async function waitingOf(store: EventStore, made: Reactor): Promise<number> {
  await using processor = new StreamProcessor(store, { reactors: [made] });
  const { reactors } = await processor.progress();
  return reactors.reduce((sum, { eventsWaiting }) => sum + eventsWaiting, 0);
}
