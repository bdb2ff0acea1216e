// Reactors in one or two processors: time limits, the end of a processor, where a new one begins, how much is in hand, and who has which partition.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, ReactionTimeoutError, type Reactor, type ReactionContext, reactor, type StartFrom } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, run, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

import { quick, gate, never, listing, react, isCaughtUp } from '../support/reactors.ts';

describe('an attempt that takes too long', () => {
  test('has its signal aborted with the reason, and is followed by the next one', async () => {
    await using store = await openStore();
    const attempts: Pick<ReactionContext, 'attempt' | 'signal'>[] = [];
    const slow = reactor({
      name: 'slow',
      categories: [notes],
      timeoutMs: 50,
      retry: { attempts: 3, minDelayMs: 1 },
      handle: async (_event, { attempt, signal }) => {
        attempts.push({ attempt, signal });
        if (attempt === 1) await never();
        if (attempt === 2) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('heeded'))));
      },
    });
    await store.append(notes.stream('a'), note(1));
    await react(store, slow);
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(attempts.map(({ signal }) => signal.reason instanceof ReactionTimeoutError)).toEqual([true, true, false]);
  });

  test('can append nothing any more', async () => {
    await using store = await openStore();
    const errors: unknown[] = [];
    const late = gate();
    const slow = reactor({
      name: 'slow',
      categories: [notes],
      timeoutMs: 50,
      retry: { attempts: 2, minDelayMs: 1 },
      handle: async (event, context) => {
        if (context.attempt === 1) await late.opened;
        await context.append(marks.stream('a'), note(event.data.n)).catch((error: unknown) => errors.push(error));
      },
    });
    await store.append(notes.stream('a'), note(1));
    await react(store, slow);
    late.open();
    await until('it was refused', () => errors.length === 1);
    expect(errors[0]).toBeInstanceOf(ReactionTimeoutError);
    expect((await collect(store.readStream(marks.stream('a')))).length).toBe(1);
  });

  test('becomes a dead letter in the end, while other keys go on, and stop does not wait for a handler that never ends', async () => {
    await using store = await openStore();
    const handled: string[] = [];
    const stuck = reactor({
      name: 'stuck',
      categories: [notes],
      timeoutMs: 60,
      retry: quick,
      concurrency: 2,
      handle: async ({ streamName }) => {
        if (streamName === 'notes:stuck') await never();
        handled.push(streamName);
      },
    });
    await store.append(notes.stream('stuck'), someNotes(2));
    for (let n = 0; n < 20; n += 1) await store.append(notes.stream(`s${n}`), note(n));
    await using running = run(store, { reactors: [stuck] });
    const letters: unknown[] = [];
    running.processor.on('deadLetter', ({ error }) => letters.push(error));
    await until('all is done with', () => isCaughtUp(running.processor));
    expect(letters.map((error) => error instanceof ReactionTimeoutError)).toEqual([true]);
    expect(handled.length).toBe(20);
    const startedAt = performance.now();
    await running.processor.stop();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

describe('a processor that stops', () => {
  test('lets handlers end, whose events are not handled again, though that takes nearly as long as a lease', { timeout: 60_000 }, async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    const handled: string[] = [];
    const mayEnd = gate();
    const slow = (by: string): Reactor =>
      reactor({
        name: 'slow',
        categories: [notes],
        handle: async () => {
          if (by === 'first') await mayEnd.opened;
          handled.push(by);
        },
      });
    await using first = run(store, { reactors: [slow('first')], leaseMs: 2_000 });
    await store.append(notes.stream('a'), note(1));
    await using second = run(store, { reactors: [slow('second')], leaseMs: 2_000 });
    await delay(1_100); // somewhere between two prolongations
    const stopping = first.processor.stop();
    setTimeout(mayEnd.open, 1_750);
    await stopping;
    await store.append(notes.stream('a'), note(2));
    await until('the second goes on', () => handled.length === 2);
    expect(handled).toEqual(['first', 'second']);
    expect([...first.failed, ...second.failed]).toEqual([]);
  });

  test('aborts the signal of those that do not end; another process handles their events at once', { timeout: 60_000 }, async () => {
    await using store = await openStore();
    const seen: ReactionContext[] = [];
    const handled: number[] = [];
    const first = reactor({
      name: 'slow',
      categories: [notes],
      handle: async (_, context) => {
        seen.push(context);
        await new Promise((_resolve, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason as Error)));
      },
    });
    await using running = run(store, { reactors: [first], leaseMs: 60_000 });
    await store.append(notes.stream('a'), someNotes(3));
    await store.append(notes.stream('b'), note(1));
    await until('both keys are being handled', () => seen.length === 2);
    const letters: unknown[] = [];
    running.processor.on('deadLetter', (letter) => letters.push(letter));
    await running.processor.stop();
    expect(seen.map(({ signal }) => String(signal.reason))).toEqual(Array.from({ length: 2 }, () => expect.stringContaining('stops')));
    const second = reactor({
      name: 'slow',
      categories: [notes],
      handle: ({ data: { n } }, { attempt, epoch }) => {
        handled.push(n);
        expect([attempt, epoch > (seen[0]?.epoch ?? 0)]).toEqual([1, true]);
      },
    });
    await react(store, second); // long before the lease would have run out
    expect(handled.toSorted((a, b) => a - b)).toEqual([1, 1, 2, 3]);
    expect(letters).toEqual([]);
  });

  test('gives its work back before stop resolves, also where a handler does not heed its signal', { timeout: 60_000 }, async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1, timeoutMs: 900 });
    await using redis = await connectRaw();
    let isRunning = false;
    const deaf = reactor({
      name: 'deaf',
      categories: [notes],
      handle: async () => {
        isRunning = true;
        await never();
      },
    });
    await using running = run(store, { reactors: [deaf], leaseMs: 60_000 });
    await store.append(notes.stream('a'), note(1));
    await until('it is being handled', () => isRunning);
    await running.processor.stop();
    expect(await redis.send('HGET', `{${namespace}:0}:checkpoint:deaf@1`, 'owner')).toBe('');
    const handled: number[] = [];
    await react(store, listing(handled, 'start', 'deaf'));
    expect(handled).toEqual([1]);
  });

  test('loses nothing when its store is closed under running handlers', { timeout: 60_000 }, async () => {
    const namespace = uniqueNamespace();
    await using beside = await openStore({ namespace });
    const store = await openStore({ namespace });
    const handled: number[] = [];
    let running = 0;
    const slow = reactor({
      name: 'slow',
      categories: [notes],
      handle: async (event, context) => {
        running += 1;
        await delay(20);
        await context.append(marks.stream('a'), note(event.data.n));
      },
    });
    const { processor } = run(store, { reactors: [slow], leaseMs: 300 });
    const letters: unknown[] = [];
    processor.on('deadLetter', (letter) => letters.push(letter));
    for (let n = 1; n <= 50; n += 1) await beside.append(notes.stream(`s${n}`), note(n));
    await until('some are running', () => running > 10);
    await store.close();
    await processor.stop();
    await using next = run(beside, {
      reactors: [
        reactor({
          name: 'slow',
          categories: [notes],
          handle: async (event, context) => {
            await context.append(marks.stream('a'), note(event.data.n));
            handled.push(event.data.n);
          },
        }),
      ],
      leaseMs: 300,
    });
    await until('the rest is handled', () => isCaughtUp(next.processor));
    expect(numbersOf(await collect(beside.readStream(marks.stream('a')))).toSorted((a, b) => a - b)).toEqual(numbersOf(someNotes(50)));
    expect(letters).toEqual([]);
  });
});

describe('a reactor without a checkpoint', () => {
  const starts: readonly (readonly [what: string, from: (store: EventStore) => Promise<StartFrom>])[] = [
    ['now', async () => 'now'],
    ['a time', async (store) => new Date(((await collect(store.readStream(notes.stream('a'))))[2]?.recordedAt.getTime() ?? 0) + 1)],
    ['a position', async (store) => (await collect(store.readStream(notes.stream('a'))))[2]?.position ?? 'start'],
    ['a cursor', async (store) => await cursorBehind(store, 3)],
  ];

  test.each(starts)('begins behind %s, and that stays so, also when it starts again', async (_what, from) => {
    await using store = await openStore({ partitions: 1 });
    await appendNumbers(store, 'a', [1, 2, 3]);
    await delay(5); // a time tells them apart
    const startFrom = await from(store);
    const handled: number[] = [];
    await react(store, listing(handled, startFrom));
    await appendNumbers(store, 'a', [4]);
    await react(store, listing(handled, startFrom));
    await appendNumbers(store, 'a', [5]);
    await react(store, listing(handled, 'now'));
    expect(handled).toEqual([4, 5]);
  });

  test('that begins now on an empty log handles what comes, also where its process ended before that', async () => {
    await using store = await openStore({ partitions: 4 });
    const handled: number[] = [];
    await react(store, listing(handled, 'now'));
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await store.append(notes.stream(id), note(1));
    await react(store, listing(handled, 'now'));
    expect(handled.length).toBe(6);
  });

  test('stands still where it is told to begin at a position, and there are several partitions', async () => {
    await using store = await openStore({ partitions: 4 });
    const { position } = await store.append(notes.stream('a'), note(1));
    expect(await errorOf(react(store, listing([], position)))).toMatchObject({ code: 'invalid-input' });
  });
});

async function cursorBehind(store: EventStore, count: number): Promise<StartFrom> {
  const reader = store.readCategory(notes, { limit: count });
  for await (const _ of reader);
  return reader.cursor;
}
