// What an append promises when the connection fails: exactly once, whatever the client resends, or an honest "unknown".
import { setTimeout as wait } from 'node:timers/promises';
import { ConnectionFailedError, type EventStore, OutcomeUnknownError, type VersionConflictError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { accountOf, isAppend, waysToOpen } from '../support/faults.ts';
import { collect, errorOf, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

let raw: RawClient;
let proxy: Proxy;
let namespace: string;
/** Reads past the proxy what is really there. */
let beside: EventStore;

beforeEach(async () => {
  raw = await connectRaw(testUrl());
  proxy = await startProxy(testUrl());
  namespace = uniqueNamespace();
  beside = await openStore({ url: testUrl(), namespace });
});

afterEach(async () => {
  await beside.close();
  await proxy.close();
  raw.close();
});

const recordKeys = async (): Promise<string[]> => {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const [next, found] = (await raw.send('SCAN', cursor, 'MATCH', `{${namespace}:0}:writer:*`, 'COUNT', '10000')) as [string, string[]];
    cursor = next;
    keys.push(...found);
  } while (cursor !== '0');
  return keys;
};

describe.each(waysToOpen)('an append $name', (way) => {
  test.each(['any', 'stream-exists', 1] as const)(
    'whose reply was lost is in the log once, with the first result; expected: %s',
    async (expectedVersion) => {
      await using opened = await way.open(proxy.url, { namespace });
      await opened.store.append(stream, note(1));
      for (const events of [note(2), someNotes(3, 2)]) {
        const version = (await collect(beside.readStream(stream))).length;
        const lost = proxy.loseReplyOf(isAppend);
        const append = opened.store.append(stream, events, { expectedVersion: expectedVersion === 1 ? version : expectedVersion });
        await lost;
        const result = await append;
        const stored = await collect(beside.readStream(stream));
        expect(stored).toHaveLength(version + [events].flat().length);
        expect(result).toMatchObject({ streamVersion: stored.length, position: stored.at(-1)?.position, isRepeated: false });
      }
    },
  );

  test('that never arrived is sent again, and is in the log once', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(1));
    const lost = proxy.loseCommand(isAppend);
    const append = opened.store.append(stream, note(2));
    await lost;
    expect((await append).streamVersion).toBe(2);
    expect(numbersOf(await collect(beside.readStream(stream)))).toEqual([1, 2]);
  });

  test('that conflicts, and whose reply was lost, conflicts: with what it missed', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, someNotes(3));
    const lost = proxy.loseReplyOf(isAppend);
    const append = errorOf(opened.store.append(stream, note(4), { expectedVersion: 1 }));
    // Meanwhile the stream goes on: the answer is still that of the first sending.
    await lost;
    const conflict = (await append) as VersionConflictError;
    expect(conflict).toMatchObject({ code: 'version-conflict', actualVersion: 3 });
    expect(numbersOf(conflict.missedEvents as { data: unknown }[])).toEqual([2, 3]);
  });

  test('in the middle of others, with conflicts among them, is answered for each as the first time', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, someNotes(2));
    const lost = proxy.loseReplyOf(isAppend, {
      count: 2,
      // What comes between the first sending and the next must not change an answer.
      whileCut: () => beside.append(stream, note(1_000)),
    });
    const outcomes = Promise.allSettled(
      range(0, 299).map((n) => {
        if (n % 3 === 0) return opened.store.append(stream, note(n), { expectedVersion: 2 });
        if (n % 3 === 1) return opened.store.append(notes.stream(`s${n}`), someNotes(2, n), { expectedVersion: 'no-stream' });
        return opened.store.append(stream, note(n), { expectedVersion: 'any' });
      }),
    );
    await lost;
    const told = await accountOf(beside, await outcomes);
    expect(told.lost).toEqual([]);
    expect(told.rejected).toEqual(range(1, 99).map((n) => 3 * n));
    for (const error of told.errors) {
      expect(error).toMatchObject({ code: 'version-conflict', expectedVersion: 2 });
      expect(((error as VersionConflictError).missedEvents as { data: { n: number } }[])[0]?.data.n).toBe(0);
    }
    const stored = await collect(beside.readAll());
    expect(numbersOf(stored)).toHaveLength(2 + 1 + 1 + 100 + 200);
    expect(new Set(stored.map(({ position }) => position)).size).toBe(stored.length);
  });

  test('is unknown where the record was gone when it was sent again: it is there once, and not twice', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(1));
    const lost = proxy.loseReplyOf(isAppend, { whileCut: async () => await raw.send('DEL', ...(await recordKeys())) });
    const append = errorOf(opened.store.append(stream, note(2)));
    await lost;
    expect(await append).toBeInstanceOf(OutcomeUnknownError);
    expect(numbersOf(await collect(beside.readStream(stream)))).toEqual([1, 2]);
    expect((await opened.store.append(stream, note(3))).streamVersion).toBe(3);
  });

  test('is unknown where the record expired meanwhile', async () => {
    await using opened = await way.open(proxy.url, { namespace, writerTtlMs: 300 });
    await opened.store.append(stream, note(1));
    const lost = proxy.loseReplyOf(isAppend, { whileCut: () => wait(400) });
    const append = errorOf(opened.store.append(stream, note(2)));
    await lost;
    expect(await append).toBeInstanceOf(OutcomeUnknownError);
    expect(numbersOf(await collect(beside.readStream(stream)))).toEqual([1, 2]);
  });

  test('takes a new record where the old one is gone, and nothing was in doubt', async () => {
    await using opened = await way.open(proxy.url, { namespace, writerTtlMs: 200 });
    for (let n = 1; n <= 5; n += 1) {
      expect((await opened.store.append(stream, note(n))).streamVersion).toBe(n);
      await (n % 2 ? wait(130) : raw.send('DEL', ...(await recordKeys()), 'none'));
    }
    expect(numbersOf(await collect(beside.readStream(stream)))).toEqual(range(1, 5));
  });

  test('fails in time where its record never lives as long as a round trip', async () => {
    await using opened = await way.open(proxy.url, { namespace, writerTtlMs: 1, timeoutMs: 300 });
    proxy.shape({ delayMs: 5 });
    expect(await errorOf(opened.store.append(stream, note(1)))).toMatchObject({ code: 'server-refused' });
    expect(await collect(beside.readAll())).toEqual([]);
  });

  test('survives packets that are cut anywhere, and slow ones', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(0));
    for (const shape of [{ chunkBytes: 7 }, { chunkBytes: 1_000, delayMs: 1 }]) {
      proxy.shape(shape);
      await Promise.all(range(1, 40).map((n) => opened.store.append(stream, { ...note(n), metadata: { text: 'é€😀' } })));
      expect(numbersOf(await collect(opened.store.readStream(stream)))).toHaveLength((await collect(beside.readStream(stream))).length);
    }
    proxy.shape({});
    const numbers = numbersOf(await collect(beside.readStream(stream)));
    expect(numbers).toEqual([0, ...range(1, 40), ...range(1, 40)]);
  });

  test('waits where nothing can be reached for a while, and is run once', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(0));
    proxy.refuse();
    proxy.cut();
    const appends = range(1, 50).map((n) => opened.store.append(stream, note(n), { expectedVersion: n % 2 ? 'any' : 'stream-exists' }));
    await wait(200);
    const late = range(51, 60).map((n) => opened.store.append(stream, note(n)));
    await proxy.accept();
    const versions = (await Promise.all([...appends, ...late])).map(({ streamVersion }) => streamVersion);
    const stored = await collect(beside.readStream(stream));
    expect([...versions].sort((a, b) => a - b)).toEqual(range(2, 61));
    expect(numbersOf(stored).sort((a, b) => a - b)).toEqual(range(0, 60));
  });

  test('fails in time where nothing can be reached for long, and is not run later', async () => {
    await using opened = await way.open(proxy.url, { namespace, timeoutMs: 400 });
    await opened.store.append(stream, note(0));
    proxy.refuse();
    proxy.cut();
    await wait(50); // by now every client has noticed: nothing of what follows is under way
    const start = performance.now();
    const error = await errorOf(opened.store.append(stream, note(1)));
    expect(error instanceof ConnectionFailedError || error instanceof OutcomeUnknownError).toBe(true);
    expect(performance.now() - start).toBeLessThan(2_500);
    await proxy.accept();
    await expect
      .poll(
        () =>
          opened.store.append(stream, note(2)).then(
            () => true,
            () => false,
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
    const numbers = numbersOf(await collect(beside.readStream(stream)));
    // Nothing was written, says the one; once or not at all, the other.
    expect(numbers.filter((n) => n === 1).length).toBeLessThanOrEqual(error instanceof ConnectionFailedError ? 0 : 1);
    expect(numbers.at(-1)).toBe(2);
  });

  test('is counted once among thousands, over one fault after the other', async () => {
    await using opened = await way.open(proxy.url, { namespace, timeoutMs: 10_000 });
    await opened.store.append(stream, note(0));
    let isOver = false;
    const appends: Promise<unknown>[] = [];
    const writing = (async (): Promise<void> => {
      for (let n = 1; !isOver; n += 1) {
        appends.push(
          n % 7 === 0 ? opened.store.append(notes.stream(`s${n}`), note(n), { expectedVersion: 'no-stream' }) : opened.store.append(stream, note(n)),
        );
        if (n % 20 === 0) await wait(1);
      }
    })();
    for (let fault = 0; fault < 9; fault += 1) {
      if (fault % 3 === 0) await proxy.loseReplyOf(isAppend, { count: 1 + (fault % 2) });
      else if (fault % 3 === 1) await proxy.loseCommand(isAppend);
      else proxy.cut();
      await wait(20);
    }
    isOver = true;
    await writing;
    const told = await accountOf(beside, await Promise.allSettled(appends));
    expect(told.errors).toEqual([]);
    expect(told.lost).toEqual([]);
    expect(told.doubled).toEqual([]);
    const stored = await collect(beside.readAll());
    expect(numbersOf(stored).sort((a, b) => a - b)).toEqual(range(0, appends.length));
  }, 60_000);

  test('under way is waited for by close', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    const appends = Promise.all(range(1, 500).map((n) => opened.store.append(stream, note(n))));
    await opened.store.close();
    expect(await appends).toHaveLength(500);
    expect(await collect(beside.readStream(stream))).toHaveLength(500);
  });
});
