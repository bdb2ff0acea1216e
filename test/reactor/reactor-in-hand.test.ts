// What a reactor has in hand: bounded, moved between processes in order, told when it is given up.
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamProcessor } from 'millrace';
import { OutcomeUnknownError, ProcessorControl, type Reactor, type ReactionContext, reactor } from 'millrace';
import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../src/log/entry.ts';
import { HandlerPool } from '../../src/reactor/handler-pool.ts';
import { Unsettled } from '../../src/reactor/unsettled.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, run, until } from '../support/processors.ts';
import { errorOf, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

import { gate, react, isCaughtUp } from '../support/reactors.ts';

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
