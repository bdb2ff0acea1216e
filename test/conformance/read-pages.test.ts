// What a reader promises of its pages and of its end: bounded, one page ahead, and nothing left behind.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EventReader, type EventStore, StoreClosedError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testUrl } from '../support/clients.ts';
import { startProxy } from '../support/proxy.ts';
import {
  collect,
  errorOf,
  type Noted,
  note,
  notes,
  numbersOf,
  openStore,
  openStoreOver,
  ownClient,
  type OwnClient,
  someNotes,
} from '../support/store.ts';

const stream = notes.stream('1');

let own: OwnClient;
let store: EventStore;

beforeEach(async () => {
  own = await ownClient(testUrl());
  store = await openStoreOver(own);
});

afterEach(async () => {
  await store.close();
  await own[Symbol.asyncDispose]();
});

/** How many events each of the pages asked for, as they were sent. */
function pagesAsked(): number[] {
  return own.sent.flatMap((args) => {
    if (args[0] === 'XREAD' || args[0] === 'XREVRANGE') return [Number(args[args.indexOf('COUNT') + 1])];
    if (args[0] !== 'EVALSHA' || !args[4]?.includes(':log:')) return [];
    return [Number(args[6]) - Number(args[5]) + 1];
  });
}

async function fill(count: number): Promise<void> {
  for (let first = 1; first <= count; first += 1_000) await store.append(stream, someNotes(Math.min(1_000, count - first + 1), first));
  own.sent.length = 0;
}

/** Waits until no more commands are sent. */
async function quiet(): Promise<void> {
  for (let before = -1; before !== own.sent.length; ) {
    before = own.sent.length;
    await store.append(notes.stream('other'), note(0)); // a round trip behind all that was asked for before
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    own.sent.splice(0, own.sent.length, ...own.sent.filter(([, , , key]) => !key?.includes(':writer:')));
  }
}

describe.each(['readAll', 'readCategory', 'readStream'] as const)('%s', (method) => {
  const open = (options: { direction?: 'forward' | 'backward'; signal?: AbortSignal; limit?: number }): EventReader<Noted> => {
    if (method === 'readAll') return store.readAll(options) as EventReader<Noted>;
    return method === 'readCategory' ? store.readCategory(notes, options) : store.readStream(stream, options);
  };

  test.each(['forward', 'backward'] as const)('read %s reads no more than a page ahead of a slow consumer', async (direction) => {
    await fill(12_000);
    const reader = open({ direction });
    let seen = 0;
    for await (const event of reader) {
      seen += 1;
      if (seen !== 1 && seen !== 300 && seen !== 3_000) continue;
      await quiet();
      const asked = pagesAsked().reduce((sum, count) => sum + count, 0);
      // What is in hand is one page of at most 1,000, and one more is on its way.
      expect(asked - seen).toBeLessThanOrEqual(2_000);
      expect(event.data.n).toBeGreaterThanOrEqual(0);
      if (seen === 3_000) break;
    }
    expect(Math.max(...pagesAsked())).toBeLessThanOrEqual(1_000);
    await quiet();
    const commands = own.sent.length;
    await quiet();
    expect(own.sent.length).toBe(commands);
  });

  test('makes pages smaller where events are large', async () => {
    const text = 'x'.repeat(100_000);
    for (let n = 0; n < 6; n += 1)
      await store.append(
        stream,
        someNotes(50).map((event) => ({ ...event, metadata: {}, data: { n: 50 * n + event.data.n, text } })),
      );
    own.sent.length = 0;
    expect(numbersOf(await collect(open({})))).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
    const asked = pagesAsked().filter((count) => count > 0);
    expect(asked[0]).toBeLessThanOrEqual(100);
    for (const count of asked.slice(3)) expect(count).toBeLessThanOrEqual(12);
  });

  test('ends silently with break, and rejects with the reason of its signal', async () => {
    await fill(3_000);
    for await (const event of open({})) if (event.data.n > 1_500) break;
    const controller = new AbortController();
    const reason = new Error('enough');
    const reading = async (): Promise<void> => {
      for await (const event of open({ signal: controller.signal })) if (event.data.n === 1_700) controller.abort(reason);
    };
    expect(await errorOf(reading())).toBe(reason);
    expect(await errorOf(collect(open({ signal: AbortSignal.abort(reason) })))).toBe(reason);
  });

  test('is over after its end, its break or its failure', async () => {
    await fill(5);
    const whole = open({});
    expect(await collect(whole)).toHaveLength(5);
    expect(await whole.next()).toEqual({ value: undefined, done: true });
    const broken = open({});
    await collect(broken, 2);
    expect(await broken.next()).toEqual({ value: undefined, done: true });
    const aborted = open({ signal: AbortSignal.abort(new Error('no')) });
    await errorOf(aborted.next());
    expect(await aborted.next()).toEqual({ value: undefined, done: true });
  });

  test('gives each of several calls at once its own event, in their order', async () => {
    await fill(2_000);
    const reader = open({});
    const results = await Promise.all(Array.from({ length: 2_005 }, () => reader.next()));
    expect(results.map(({ value }) => value?.data.n)).toEqual([
      ...Array.from({ length: 2_000 }, (_, index) => index + 1),
      ...Array.from({ length: 5 }, () => undefined),
    ]);
  });

  test('ends with StoreClosedError when the store is closed', async () => {
    await fill(3_000);
    const reader = open({});
    await reader.next();
    await store.close();
    expect(await errorOf(reader.next())).toBeInstanceOf(StoreClosedError);
    await expect(async () => await collect(open({}))).rejects.toThrow(StoreClosedError);
  });

  test('fails clearly where the connection breaks for long, and a new one goes on from its cursor', async () => {
    await using proxy = await startProxy(testUrl());
    await using through = await openStore({ url: proxy.url, timeoutMs: 300 });
    await through.append(stream, someNotes(900));
    await through.append(stream, someNotes(900, 901));
    const reader = method === 'readAll' ? through.readAll() : method === 'readCategory' ? through.readCategory(notes) : through.readStream(stream);
    for (let n = 0; n < 50; n += 1) await reader.next();
    proxy.refuse();
    proxy.cut();
    const rest = await errorOf(collect(reader as EventReader<Noted>));
    expect(rest).toMatchObject({ code: 'connection-failed' });
    await proxy.accept();
    const { cursor } = reader;
    await expect.poll(() => collect(through.readAll({ from: cursor, limit: 1 })).catch(() => []), { timeout: 5_000 }).toHaveLength(1);
    const others = numbersOf(await collect(through.readAll({ from: cursor })));
    expect(others[0]).toBeGreaterThan(50);
    expect(others.at(-1)).toBe(1_800);
    expect(others).toHaveLength(1_800 - (others[0] ?? 0) + 1);
  });
});
