// What an append promises that waits for the disk or for replicas: confirmed, or told that it is not, whatever connections do.
import { category, type Event, type EventStore, type Imported, source, type SourceEntry, StreamProcessor, UnconfirmedError } from 'millrace';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';
import { isAppend } from '../support/faults.ts';
import { startProxy } from '../support/proxy.ts';
import { hasWaitAof, type Replicated, startReplicated } from '../support/replicated.ts';
import { collect, errorOf, note, type Noted, notes, numbersOf, openStore, openStoreOver, ownClient } from '../support/store.ts';

const isWait = ([name]: readonly string[]): boolean => name === 'WAIT';
const isLook = ([name, , slot]: readonly string[]): boolean => name === 'HGET' && /^\d+$/.test(slot ?? '');

async function unconfirmedOf(append: Promise<unknown>): Promise<UnconfirmedError> {
  const error = await errorOf(append);
  expect(error).toBeInstanceOf(UnconfirmedError);
  expect(error.message).toMatch(/^Written, but not confirmed: .*may still lose it\. Repeat it with the same idempotencyKey.*$/);
  return error as UnconfirmedError;
}

/** How often a command was called so far. */
async function callsOf(raw: RawClient, command: string): Promise<number> {
  const info = String(await raw.send('INFO', 'commandstats'));
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}

type Counted = Event<'Counted', { readonly by: number }>;
const counters = category<Counted>('counters');
const counter = counters.decider({
  initialState: () => 0,
  evolve: (sum, { data }) => sum + data.by,
  decide: (by: number): readonly Counted[] => [{ type: 'Counted', data: { by } }],
});

describe('an append that waits for a replica', () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why) skip(why);
  });

  const stream = notes.stream('1');
  let pair: Replicated;
  let namespace: string;

  beforeAll(async () => {
    if (whyNoEngine()) return;
    pair = await startReplicated();
  });

  afterAll(() => (whyNoEngine() ? undefined : pair[Symbol.asyncDispose]()));

  beforeEach(() => {
    if (whyNoEngine()) return;
    pair.release();
    namespace = uniqueNamespace();
  });

  const open = (timeoutMs = 200, url = pair.primary.url, replicas = 1): Promise<EventStore> =>
    openStore({ url, namespace, durability: { replicas, timeoutMs } });

  /** Held back once what the test needs is there. */
  const held = async (store: EventStore): Promise<void> => {
    await store.append(notes.stream('before'), note(0));
    pair.hold();
  };

  test('is on the replica when it resolves', async () => {
    await using store = await open(5_000);
    await using replica = await connectRaw(pair.replica.url);
    for (let n = 1; n <= 50; n += 1) {
      await store.append(stream, note(n));
      expect(await replica.send('XLEN', `{${namespace}:0}:log:notes`)).toBe(n);
    }
  });

  test('is in the log, and rejects with how many confirmed it, when the replica does not in time', async () => {
    await using store = await open();
    await held(store);
    const error = await unconfirmedOf(store.append(stream, note(1)));
    const [stored] = await collect(store.readStream(stream));
    expect(error).toMatchObject({ code: 'unconfirmed', asked: 1, confirmed: 0, result: { streamVersions: [1], position: stored?.position } });
    expect(error.message).toContain('0 of 1 replica confirmed it: none more within 200 ms');
    const both = await unconfirmedOf(
      store.appendAll([
        { stream: notes.stream('2'), events: [note(1), note(2)] },
        { stream: notes.stream('3'), events: note(3) },
      ]),
    );
    expect(both.result).toMatchObject({ streamVersions: [2, 1], isRepeated: false });
    expect(await unconfirmedOf(store.execute(counter, '1', 5))).toMatchObject({ confirmed: 0, result: { streamVersions: [1] } });
    pair.release();
    expect(await store.append(stream, note(2))).toMatchObject({ streamVersion: 2 });
    expect(await store.execute(counter, '1', 5)).toMatchObject({ state: 10 });
  });

  test('counts the replicas: one of two is not enough', async () => {
    await using store = await open(200, pair.primary.url, 2);
    expect(await unconfirmedOf(store.append(stream, note(1)))).toMatchObject({ asked: 2, confirmed: 1 });
  });

  test('is not confirmed by being repeated, until it is: by key, by its events’ ids, as a command', async () => {
    await using store = await open();
    await held(store);
    const withId = { ...note(1), id: 'mine' };
    const ways: readonly (() => Promise<{ readonly isRepeated: boolean }>)[] = [
      () => store.append(stream, note(1), { idempotencyKey: 'a' }),
      () => store.append(notes.stream('2'), withId, { expectedVersion: 'no-stream' }),
      () => store.execute(counter, '3', 5, { idempotencyKey: 'c' }),
    ];
    for (const way of ways) {
      const first = await unconfirmedOf(way());
      expect(first.result.isRepeated).toBe(false);
      const again = await unconfirmedOf(way());
      expect(again.result).toEqual({ ...first.result, isRepeated: true });
    }
    pair.release();
    for (const way of ways) expect(await way()).toMatchObject({ isRepeated: true });
    // Another process, whose connections have written nothing.
    pair.hold();
    await using other = await open();
    const fromThere = [
      other.append(stream, note(1), { idempotencyKey: 'a' }),
      other.append(notes.stream('2'), withId, { expectedVersion: 'no-stream' }),
      other.execute(counter, '3', 5, { idempotencyKey: 'c' }),
    ];
    for (const append of fromThere) expect(await unconfirmedOf(append)).toMatchObject({ confirmed: 0, result: { isRepeated: true } });
    expect(await collect(store.readStream(stream))).toHaveLength(1);
  });

  test('that conflicts is told at once: nothing was written', async () => {
    await using store = await open(60_000);
    await held(store);
    const conflict = await errorOf(store.append(notes.stream('before'), note(1), { expectedVersion: 0 }));
    expect(conflict).toMatchObject({ code: 'version-conflict', actualVersion: 1 });
    pair.release();
  });

  test('is not taken for confirmed where its own reply was lost: the connection that is new then has written nothing', async () => {
    await using proxy = await startProxy(pair.primary.url);
    await using store = await open(300, proxy.url);
    await held(store);
    const lost = proxy.loseReplyOf(isAppend);
    const append = unconfirmedOf(store.append(stream, note(1)));
    await lost;
    expect(await append).toMatchObject({ confirmed: 0, result: { streamVersions: [1] } });
    pair.release();
    const lostAgain = proxy.loseReplyOf(isAppend);
    const confirmed = store.append(stream, note(2));
    await lostAgain;
    expect(await confirmed).toMatchObject({ streamVersion: 2 });
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual([1, 2]);
  });

  test('is asked for again where the reply of the wait was lost, and is not taken for confirmed by that', async () => {
    await using proxy = await startProxy(pair.primary.url);
    await using store = await open(1_000, proxy.url);
    await store.append(stream, note(1));
    for (const matches of [isWait, isLook, ([name]: readonly string[]) => name === 'PEXPIRE']) {
      const lost = proxy.loseReplyOf(matches);
      const append = store.append(stream, note(2));
      await lost;
      expect(await append).toMatchObject({ isRepeated: false });
    }
    for (const matches of [isWait, isLook]) {
      pair.hold();
      const lost = proxy.loseReplyOf(matches);
      const append = unconfirmedOf(store.append(stream, note(3)));
      await lost;
      expect(await append).toMatchObject({ confirmed: 0 });
      pair.release();
    }
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual([1, 2, 2, 2, 3, 3]);
  });

  test('says so in time where the server goes silent while it waits', async () => {
    await using proxy = await startProxy(pair.primary.url);
    await using store = await open(200, proxy.url);
    await store.append(stream, note(1));
    pair.hold();
    const waiting = proxy.seen(isWait);
    const append = unconfirmedOf(store.append(stream, note(2)));
    await waiting;
    proxy.freeze('replies');
    const error = await append;
    expect(error.message).toContain('no answer within');
    proxy.thaw();
  });

  test('of an import goes on where it is not confirmed: the mark is in the log with the events, once', async () => {
    await using store = await open(100);
    await using raw = await connectRaw(pair.primary.url);
    const key = uniqueNamespace('foreign');
    await held(store);
    for (let n = 1; n <= 5; n += 1) await raw.send('XADD', key, '*', 'n', String(n));
    const decode = ({ fields }: SourceEntry): Imported<Noted>[] => [{ id: 'imported', event: note(Number(fields['n'])) }];
    const legacy = source({ key, into: notes, decode });
    await new StreamProcessor(store, { sources: [legacy] }).runUntilCaughtUp();
    await new StreamProcessor(store, { sources: [legacy] }).runUntilCaughtUp();
    expect(numbersOf(await collect(store.readStream(notes.stream('imported'))))).toEqual([1, 2, 3, 4, 5]);
  });

  test("holds up nothing else that a caller's client does", async () => {
    await using own = await ownClient(pair.primary.url);
    await using store = await openStoreOver(own, { namespace, durability: { replicas: 1, timeoutMs: 2_000 } });
    await held(store);
    let isOver = false;
    const append = unconfirmedOf(store.append(stream, note(1))).finally(() => (isOver = true));
    await using raw = await connectRaw(pair.primary.url);
    while (!String(await raw.send('CLIENT', 'LIST')).includes('cmd=wait ')) expect(isOver).toBe(false);
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual([1]);
    expect(isOver).toBe(false);
    expect(own.sent.filter(([name, count]) => name === 'WAIT' && count !== '0')).toEqual([]);
    await append;
  });

  test('is closed after: what waits is told first', async () => {
    const store = await open(300);
    await held(store);
    const append = unconfirmedOf(store.append(stream, note(1)));
    await store.close();
    expect(await append).toMatchObject({ confirmed: 0 });
  });
});

describe("with 'fsync'", () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why) skip(why);
  });

  test('appends keep their order under load, and wait for the disk together', async (context) => {
    await using engine = await startEngine();
    await using raw = await connectRaw(engine.url);
    if (!(await hasWaitAof(raw))) context.skip('the WAITAOF of this engine is not relied on');
    await using store = await openStore({ url: engine.url, durability: 'fsync' });
    const appended = await Promise.all(Array.from({ length: 6_000 }, (_, n) => store.append(notes.stream(String(n % 7)), note(n))));
    const stored = await collect(store.readAll());
    expect(numbersOf(stored)).toEqual(Array.from({ length: 6_000 }, (_, n) => n));
    expect(appended.map(({ position }) => position)).toEqual(stored.map(({ position }) => position));
    expect(await callsOf(raw, 'waitaof')).toBeLessThan(20);
  });

  test('a store whose server fsyncs always needs no wait, and notices when the server stops doing so', async () => {
    await using engine = await startEngine({ args: ['--appendfsync', 'always'] });
    await using raw = await connectRaw(engine.url);
    const isNew = await hasWaitAof(raw);
    await using store = await openStore({ url: engine.url, durability: 'fsync', timeoutMs: 3_000 });
    const waits = await callsOf(raw, 'waitaof');
    await Promise.all(Array.from({ length: 2_000 }, (_, n) => store.append(notes.stream('1'), note(n))));
    expect(await callsOf(raw, 'waitaof')).toBe(waits);
    await raw.send('CONFIG', 'SET', 'appendfsync', 'everysec');
    if (isNew) {
      expect(await store.append(notes.stream('1'), note(2_000))).toMatchObject({ streamVersion: 2_001 });
      expect(await callsOf(raw, 'waitaof')).toBe(waits + 1);
      await raw.send('CONFIG', 'SET', 'appendonly', 'no');
    }
    const error = await unconfirmedOf(store.append(notes.stream('1'), note(2_001)));
    expect(error).toMatchObject({ asked: 1, confirmed: 0 });
    expect(error.message).toMatch(isNew ? /0 of 1 disks .*appendonly is disabled/ : /appendfsync is not always any more/);
  });

  test('what a server ran that was replaced before it confirmed is appended to the one that took over, once', async () => {
    await using pair = await startReplicated(['--appendfsync', 'always']);
    await using proxy = await startProxy(pair.primary.url);
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: proxy.url, namespace, durability: 'fsync' });
    await store.append(notes.stream('1'), note(1));
    await using replica = await connectRaw(pair.replica.url);
    while ((await replica.send('XLEN', `{${namespace}:0}:log:notes`)) !== 1);
    pair.hold();
    const takeOver = async (): Promise<void> => {
      await pair.primary.kill();
      await pair.promote();
      proxy.retarget(pair.replica.url);
    };
    const lost = proxy.loseCommand(isLook, { whileCut: takeOver });
    // Two batches, each with one append that conflicts: it was told so at once, and must not be run by the other server either.
    const tryBoth = (n: number): readonly Promise<unknown>[] => [
      store.append(notes.stream(String(n)), note(n), { expectedVersion: 'no-stream' }),
      errorOf(store.append(notes.stream(String(n)), note(-n), { expectedVersion: 'no-stream' })),
    ];
    const outcomes = Promise.all([2, 3].flatMap(tryBoth));
    await lost;
    expect(await outcomes).toMatchObject([{ streamVersion: 1 }, { code: 'version-conflict' }, { streamVersion: 1 }, { code: 'version-conflict' }]);
    await using after = await openStore({ url: pair.replica.url, namespace });
    expect(numbersOf(await collect(after.readAll())).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });
});
