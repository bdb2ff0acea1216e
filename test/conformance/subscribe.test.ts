// What a subscription promises: everything from where it begins, once, in order, and nothing left behind when it ends.
import { category, comparePositions, type EventReader, type EventStore, StoreClosedError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startProxy } from '../support/proxy.ts';
import { collect, errorOf, marks, type Noted, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

let raw: RawClient;
let namespace: string;
let store: EventStore;

beforeEach(async () => {
  raw = await connectRaw();
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 1 });
});

afterEach(async () => {
  await store.close();
  raw.close();
});

describe('a subscription', () => {
  test('gives what is there, and then what comes', async () => {
    await store.append(stream, someNotes(3));
    const subscription = await store.subscribe({ categories: [notes] });
    expect(numbersOf(await Promise.all([1, 2, 3].map(async () => (await subscription.next()).value ?? note(-1))))).toEqual([1, 2, 3]);
    const next = subscription.next();
    await store.append(marks.stream('1'), note(0));
    await store.append(stream, note(4));
    expect((await next).value?.data.n).toBe(4);
    await subscription.return();
  });

  test("begins 'now': at what comes after it resolved", async () => {
    await store.append(stream, someNotes(3));
    const subscription = await store.subscribe({ categories: [notes], from: 'now' });
    await store.append(stream, someNotes(3, 4));
    expect(numbersOf(await collect(subscription, 3))).toEqual([4, 5, 6]);
  });

  test('begins behind a cursor or a position', async () => {
    await store.append(stream, someNotes(2));
    const { position } = await store.append(stream, note(3));
    const first = await store.subscribe({ categories: [notes] });
    expect(numbersOf(await collect(first, 2))).toEqual([1, 2]);
    await store.append(stream, note(4));
    expect(numbersOf(await collect(await store.subscribe({ categories: [notes], from: first.cursor }), 2))).toEqual([3, 4]);
    expect(numbersOf(await collect(await store.subscribe({ from: position }), 1))).toEqual([4]);
  });

  test('begins at a time, also at one that lies ahead', async () => {
    await store.append(stream, note(1));
    const [first] = await collect(store.readStream(stream));
    const since = first?.recordedAt ?? new Date();
    expect(numbersOf(await collect(await store.subscribe({ from: since }), 1))).toEqual([1]);
    const ahead = await store.subscribe({ from: new Date(Date.now() + 500) });
    const next = collect(ahead as EventReader<Noted>, 1);
    const until = Date.now() + 700;
    for (let n = 2; Date.now() < until; n += 1) {
      await store.append(stream, note(n));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const [event] = await next;
    expect(Number(event?.recordedAt)).toBeGreaterThanOrEqual(until - 200 - 50);
    expect(event?.data.n).toBeGreaterThan(2);
  });

  test('gives every event of many writers once, in the order of positions', async () => {
    await using other = await openStore({ namespace });
    const subscription = await store.subscribe({ categories: [notes, marks] });
    const events = collect(subscription, 4_000);
    await Promise.all(range(1, 4_000).map((n) => (n % 2 ? store : other).append((n % 3 ? notes : marks).stream(String(n % 9)), note(n))));
    const seen = await events;
    expect(numbersOf(seen).sort((a, b) => a - b)).toEqual(range(1, 4_000));
    expect(seen.every(({ position }, index) => index === 0 || comparePositions(seen[index - 1]?.position ?? position, position) < 0)).toBe(true);
    expect(seen).toEqual(await collect(store.readAll()));
  });

  test('of six partitions gives every event once, each partition in its order', async () => {
    await using wide = await openStore({ partitions: 6 });
    const subscription = await wide.subscribe();
    const events = collect(subscription as EventReader<Noted>, 600);
    await Promise.all(range(1, 600).map((n) => wide.append(notes.stream(String(n % 60)), note(n))));
    const seen = await events;
    expect(numbersOf(seen).sort((a, b) => a - b)).toEqual(range(1, 600));
    for (const id of range(0, 59)) {
      const versions = seen.filter(({ streamName }) => streamName === `notes:${id}`).map(({ streamVersion }) => streamVersion);
      expect(versions).toEqual(range(1, 10));
    }
    // Where one left off, another goes on.
    const more = collect((await wide.subscribe({ from: subscription.cursor })) as EventReader<Noted>, 6);
    await Promise.all(range(601, 606).map((n) => wide.append(notes.stream(String(n)), note(n))));
    expect(numbersOf(await more).sort((a, b) => a - b)).toEqual(range(601, 606));
  });

  test('to everything passes over no category that comes while it waits', async () => {
    await using other = await openStore({ namespace });
    const subscription = (await store.subscribe()) as EventReader<Noted>;
    const seen: number[] = [];
    for (let n = 1; n <= 4; n += 1) {
      const next = subscription.next();
      await other.append(category<Noted>(`c${n}`).stream('1'), note(n));
      seen.push((await next).value?.data.n ?? -1);
    }
    expect(seen).toEqual(range(1, 4));
    await subscription.return();
  });

  test('to categories that have no log yet waits for them', async () => {
    const next = collect(await store.subscribe({ categories: [notes, marks] }), 2);
    await store.append(marks.stream('1'), note(1));
    await store.append(stream, note(2));
    expect(numbersOf(await next)).toEqual([1, 2]);
  });
});

describe('the end of a subscription', () => {
  test('by break, abort or close leaves no connection behind, however early it comes', async () => {
    await using proxy = await startProxy(testUrl());
    await using through = await openStore({ url: proxy.url, namespace });
    await through.append(stream, someNotes(3));
    const before = proxy.connections;
    await collect(await through.subscribe(), 3);
    await expect.poll(() => proxy.connections).toBe(before);
    proxy.shape({ delayMs: 3 }); // so that it ends at every step of the way to a connection
    for (const turns of range(0, 9)) {
      const subscription = await through.subscribe({ from: 'now' });
      const next = subscription.next();
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setTimeout(resolve, turn));
      await subscription.return();
      expect((await next).done).toBe(true);
    }
    proxy.shape({});
    await expect.poll(() => proxy.connections).toBe(before);
    const controller = new AbortController();
    const waiting = (await through.subscribe({ signal: controller.signal, from: 'now' })).next();
    await expect.poll(() => proxy.connections).toBe(before + 1);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await errorOf(waiting)).toBe(reason);
    await expect.poll(() => proxy.connections, { timeout: 5_000 }).toBe(before);
  });

  test('comes with StoreClosedError when the store is closed, also while it waits', async () => {
    await store.append(stream, note(1));
    const waiting = errorOf((await store.subscribe({ from: 'now' })).next());
    await expect.poll(async () => String(await raw.send('CLIENT', 'LIST'))).toMatch(/cmd=xread/);
    await store.close();
    expect(await waiting).toBeInstanceOf(StoreClosedError);
    await expect(store.subscribe()).rejects.toThrow(StoreClosedError);
  });

  test('rejects with the reason of a signal that was aborted before', async () => {
    const reason = new Error('never');
    expect(await errorOf(store.subscribe({ signal: AbortSignal.abort(reason) }))).toBe(reason);
  });
});
