// Reactors in one or two processors: time limits, the end of a processor, where a new one begins, how much is in hand, and who has which partition.
import { setTimeout as delay } from 'node:timers/promises';
import {
  type EventStore,
  OutcomeUnknownError,
  ProcessorControl,
  ReactionTimeoutError,
  type Reactor,
  type ReactionContext,
  reactor,
  type StartFrom,
  StreamProcessor,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../src/log/entry.ts';
import { HandlerPool } from '../../src/reactor/handler-pool.ts';
import { Unsettled } from '../../src/reactor/unsettled.ts';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, run, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** Something that is waited for until the test says so. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

function never(): Promise<void> {
  return new Promise(() => undefined);
}

/** Writes down what it is done with. */
function listing(handled: number[], startFrom: StartFrom = 'start', name = 'listing'): Reactor {
  return reactor({ name, categories: [notes], startFrom, handle: ({ data: { n } }) => void handled.push(n) });
}

async function react(store: EventStore, ...reactors: readonly Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

async function isCaughtUp(processor: StreamProcessor): Promise<boolean> {
  return (await processor.progress()).reactors.every(({ lagEvents }) => lagEvents === 0);
}

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

describe('what is in hand', () => {
  test('is as many handlers at a time as it may have, one of a key, and a bounded number of events of a long backlog', {
    timeout: 60_000,
  }, async () => {
    await using store = await openStore({ partitions: 1 });
    const events = 10_000;
    for (let from = 0; from < events; from += 1_000)
      await Promise.all(Array.from({ length: 100 }, (_, id) => store.append(notes.stream(`s${id}`), someNotes(10, from))));
    const running = new Map<string, number>();
    let [most, mostOfAKey, handled] = [0, 0, 0];
    const counting = reactor({
      name: 'counting',
      categories: [notes],
      concurrency: 7,
      handle: async ({ streamName }) => {
        running.set(streamName, (running.get(streamName) ?? 0) + 1);
        most = Math.max(most, running.size);
        mostOfAKey = Math.max(mostOfAKey, running.get(streamName) ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        handled += 1;
        const left = (running.get(streamName) ?? 1) - 1;
        if (left === 0) running.delete(streamName);
        else running.set(streamName, left);
      },
    });
    await react(store, counting);
    expect({ most, mostOfAKey, handled }).toEqual({ most: 7, mostOfAKey: 1, handled: events });
  });

  test('is not read further while handlers are slow, and one that hangs holds only its own key back until the window is full', async () => {
    await using store = await openStore({ partitions: 1 });
    const mayEnd = gate();
    for (let from = 0; from < 20; from += 1)
      await Promise.all(Array.from({ length: 100 }, (_, id) => store.append(notes.stream(`s${from}-${id}`), someNotes(10))));
    await store.append(notes.stream('last'), note(1));
    let [started, keyed] = [0, 0];
    const stuck = reactor({
      name: 'stuck',
      categories: [notes],
      concurrency: 4,
      key: ({ streamName }) => {
        keyed += 1;
        return streamName;
      },
      handle: async () => {
        started += 1;
        await mayEnd.opened;
      },
    });
    await using running = run(store, { reactors: [stuck], leaseMs: 300 });
    await until('handlers run', () => started === 4);
    await delay(500);
    expect(started).toBe(4);
    expect(keyed).toBeLessThanOrEqual(2 * 4 + 1_000); // what was taken: a page, at most, beyond two for each handler
    mayEnd.open();
    await until('all is handled', () => isCaughtUp(running.processor), 25_000);
    expect(started).toBe(20_001);
  });
});

test('work moves to a process that joins, while handlers run, and each key stays in order', { timeout: 60_000 }, async () => {
  const namespace = uniqueNamespace();
  await using store = await openStore({ namespace, partitions: 6 });
  const done = new Map<string, number[]>();
  const by = new Set<string>();
  const slow = (name: string): Reactor =>
    reactor({
      name: 'slow',
      categories: [notes],
      handle: async ({ streamName, data: { n } }) => {
        await delay(Math.random() * 10);
        by.add(name);
        done.set(streamName, [...(done.get(streamName) ?? []), n]);
      },
    });
  await using first = run(store, { reactors: [slow('first')], leaseMs: 600 });
  const ids = Array.from({ length: 30 }, (_, index) => `s${index}`);
  const feeding = Promise.all(
    ids.map(async (id) => {
      for (let n = 1; n <= 100; n += 1) {
        await store.append(notes.stream(id), note(n));
        await delay(20);
      }
    }),
  );
  await until('the first one works', () => by.has('first'));
  await using second = run(store, { reactors: [slow('second')], leaseMs: 600 });
  const heldBy = async (processor: StreamProcessor): Promise<number> =>
    (await processor.progress()).reactors.filter(({ isRunHere }) => isRunHere).length;
  await until('they share', async () => (await heldBy(first.processor)) === 3 && (await heldBy(second.processor)) === 3, 30_000);
  await feeding;
  await until('all is handled', () => isCaughtUp(second.processor));
  expect(by).toEqual(new Set(['first', 'second']));
  // In order; what moved in between may have come twice, but never back to what was committed: each first time is in order.
  for (const id of ids) expect([...new Set(done.get(`notes:${id}`))]).toEqual(numbersOf(someNotes(100)));
  expect([...first.failed, ...second.failed]).toEqual([]);
});

test('a reactor whose key cannot be told stands still at that event, and says so', async () => {
  await using store = await openStore();
  const broken = reactor({
    name: 'broken',
    categories: [notes],
    key: ({ data: { n } }) => {
      if (n === 3) throw new Error('no key');
      return 'one';
    },
    handle: async () => undefined,
  });
  await appendNumbers(store, 'a', [1, 2, 3]);
  const error = await errorOf(react(store, broken));
  expect(error).toMatchObject({ code: 'reactor-failed', cause: { message: 'no key' } });
});

test('a dead letter is told once it is one, also where its event had waited behind another', async () => {
  await using store = await openStore({ partitions: 1 });
  const isMended = { at: 0 };
  const picky = reactor({
    name: 'picky',
    categories: [notes],
    retry: { attempts: 1 },
    handle: async ({ data: { n } }) => {
      if (n > isMended.at) throw new Error(`cannot take ${n}`);
    },
  });
  await using running = run(store, { reactors: [picky] });
  const letters = new ProcessorControl(store).deadLetters(picky);
  const told: number[] = [];
  const open: Promise<number>[] = [];
  running.processor.on('deadLetter', ({ event }) => {
    told.push((event.data as { readonly n: number }).n);
    open.push(letters.count());
  });
  await appendNumbers(store, 'a', [1, 2]);
  await until('the first is told', () => told.length === 1);
  isMended.at = 1;
  await letters.retryAll();
  await until('the second is told', () => told.length === 2);
  expect(told).toEqual([1, 2]);
  expect(await Promise.all(open)).toEqual([1, 1]);
});

describe('a pool of handlers', () => {
  test('tells at once that an event was given up, then that those behind it wait, before any other of its key begins', async () => {
    const told: string[] = [];
    const mayFail = gate();
    const failing = reactor({
      name: 'failing',
      categories: [notes],
      retry: { attempts: 1 },
      handle: async ({ data: { n } }) => {
        told.push(`begins ${n}`);
        await mayFail.opened;
        throw new Error('never');
      },
    });
    const pool = new HandlerPool(
      failing,
      { handle: ({ logEvent: { event } }) => failing.handle(event, {} as ReactionContext) },
      { epoch: '1', onFenced: () => undefined },
    );
    for (const n of [1, 2, 3]) pool.add(eventOf(n), 'key', ({ kind }) => told.push(`${kind} ${n}`));
    mayFail.open();
    while (!told.includes('failed 1')) await Promise.resolve();
    // In the same turn: nobody could have added another event of this key in between.
    expect(told).toEqual(['begins 1', 'failed 1', 'behind 2', 'behind 3']);
    expect(pool.inHand).toBe(0);
  });
});

function eventOf(n: number): LogEvent {
  return { event: { type: 'Noted', data: { n }, streamName: 'notes:a', streamVersion: n }, category: 'notes', place: n } as LogEvent;
}

describe('what is on its way', () => {
  test('is known until its outcome is, and for good where that stays unknown', async () => {
    const unsettled = new Unsettled<number>();
    const [first, second] = [gate(), gate()];
    const counted = [unsettled.count(1, first.opened), unsettled.count(1, second.opened)];
    let isTold = false;
    unsettled.whenSettled(1, () => (isTold = true));
    first.open();
    await counted[0];
    expect([unsettled.has(1), isTold]).toEqual([true, false]);
    second.open();
    await counted[1];
    expect([unsettled.has(1), isTold]).toEqual([false, true]);
    await errorOf(unsettled.count(2, Promise.reject(new Error('refused'))));
    expect(unsettled.has(2)).toBe(false);
    await errorOf(unsettled.count(3, Promise.reject(new OutcomeUnknownError('lost'))));
    expect(unsettled.has(3)).toBe(true);
  });
});
