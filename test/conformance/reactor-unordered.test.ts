// Reactors that keep no order: any worker takes any event, each is handled at least once, and what a handler appends happens once.
import { type ReactionContext, type Reactor, reactor, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, it } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { until } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** Runs reactors until they are caught up. */
async function react(store: object, ...reactors: Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

function upTo(count: number, from = 1): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

describe.each<StoreOptions & { partitions: number }>([{ partitions: 1 }, { partitions: 4 }])(
  "a reactor with order 'none', with $partitions partitions",
  (options) => {
    it('handles each event once, many of one stream at the same time, but no more than its concurrency allows', async () => {
      await using store = await openStore({ ...options });
      for (let first = 1; first < 200; first += 50) await store.append(notes.stream('a'), someNotes(50, first));
      const handled: number[] = [];
      let running = 0;
      let most = 0;
      const each = reactor({
        name: 'each',
        categories: [notes],
        order: 'none',
        concurrency: 8,
        handle: async ({ data }) => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running -= 1;
          handled.push(data.n);
        },
      });
      await react(store, each);
      expect(sorted(handled)).toEqual(upTo(200));
      expect(most).toBe(8);
    });

    it('goes on behind what is acknowledged, in another processor, and takes what comes while it runs', async () => {
      await using store = await openStore(options);
      const handled: number[] = [];
      const each = reactor({ name: 'each', categories: [notes, marks], order: 'none', handle: ({ data }) => void handled.push(data.n) });
      await store.append(notes.stream('a'), someNotes(3));
      await react(store, each);
      expect(sorted(handled)).toEqual([1, 2, 3]);
      await store.append(notes.stream('b'), someNotes(2, 4));
      await using processor = new StreamProcessor(store, { reactors: [each] });
      processor.start();
      await until('what was there is handled', () => handled.length === 5);
      await store.append(marks.stream('a'), someNotes(2, 6));
      await until('what came is handled', () => handled.length === 7);
      await processor.runUntilCaughtUp();
      expect(sorted(handled)).toEqual(upTo(7));
      const { reactors } = await processor.progress();
      expect(reactors.reduce((sum, { eventsDone }) => sum + eventsDone, 0)).toBe(7);
      expect(reactors.reduce((sum, { lagEvents }) => sum + lagEvents, 0)).toBe(0);
      expect(reactors.every((each) => each.isRunHere)).toBe(true);
    });

    it('tries again what failed, and makes it a dead letter after the last attempt: nothing waits behind it', async () => {
      await using store = await openStore(options);
      const handled: number[] = [];
      const seen: Pick<ReactionContext, 'attempt' | 'idempotencyKey'>[] = [];
      const told: number[] = [];
      const picky = reactor({
        name: 'picky',
        categories: [notes],
        order: 'none',
        retry: quick,
        handle: async ({ data }, { attempt, idempotencyKey }) => {
          if (data.n === 2) {
            seen.push({ attempt, idempotencyKey });
            throw new Error('never');
          }
          handled.push(data.n);
        },
      });
      await store.append(notes.stream('a'), someNotes(3));
      await using processor = new StreamProcessor(store, { reactors: [picky] });
      processor.on('deadLetter', ({ event }) => told.push((event.data as { n: number }).n));
      await processor.runUntilCaughtUp();
      expect(sorted(handled)).toEqual([1, 3]);
      expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(new Set(seen.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
      expect(told).toEqual([2]);
      const { reactors } = await processor.progress();
      expect(reactors.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(1);
      expect(reactors.reduce((sum, { eventsWaiting, lagEvents }) => sum + eventsWaiting + lagEvents, 0)).toBe(0);
    });

    it('appends once for each event, however often it is tried', async () => {
      await using store = await openStore(options);
      const echo = reactor({
        name: 'echo',
        categories: [notes],
        order: 'none',
        retry: { attempts: 3, minDelayMs: 1 },
        handle: async (event, context) => {
          await context.append(marks.stream('all'), note(event.data.n));
          if (context.attempt < 3) throw new Error('after the append');
        },
      });
      await store.append(notes.stream('a'), someNotes(3));
      await react(store, echo);
      const copies = [];
      for await (const { data } of store.readStream(marks.stream('all'))) copies.push(data.n);
      expect(sorted(copies)).toEqual([1, 2, 3]);
    });

    it('begins where it is told, and takes all events of a category that comes later', async () => {
      await using store = await openStore(options);
      await store.append(notes.stream('a'), someNotes(3));
      const handled: number[] = [];
      const handle = ({ data }: { data: { n: number } }): void => void handled.push(data.n);
      const later = reactor({ name: 'later', categories: [notes, marks], order: 'none', startFrom: 'now', handle });
      await react(store, later);
      await store.append(notes.stream('a'), someNotes(2, 4));
      await store.append(marks.stream('a'), someNotes(2, 6));
      await react(store, later);
      expect(sorted(handled)).toEqual([4, 5, 6, 7]);
    });

    it('passes over the types that it does not name', async () => {
      await using store = await openStore(options);
      await store.append(notes.stream('a'), someNotes(3));
      const none = reactor({ name: 'none', categories: [notes], order: 'none', types: ['Noted'], handle: () => undefined });
      await react(store, { ...none, types: new Set(['Other']), handle: () => Promise.reject(new Error('not asked for')) });
    });
  },
);
