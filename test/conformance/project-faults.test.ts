// What a processor promises when its connections fail: every event counts once, and it comes back by itself.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, SnapshotStore, source, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { lists, project, run, sums, until } from '../support/processors.ts';
import { collect, note, notes, numbersOf, openStore, openStoreOver, ownClient, someNotes } from '../support/store.ts';

const committing = (args: readonly string[]): boolean => /^EVAL/i.test(args[0] ?? '') && args.some((arg) => arg.includes(':committed:'));
const appending = (args: readonly string[]): boolean =>
  /^EVAL/i.test(args[0] ?? '') && args.some((arg) => arg.includes(':source:')) && args.some((arg) => arg.includes(':head'));

/** A store whose commands all pass a proxy. */
interface Proxied extends AsyncDisposable {
  readonly store: EventStore;
}

const ways: readonly { readonly name: string; open(url: string, options: StoreOptions): Promise<Proxied> }[] = [
  {
    name: 'opened by URL',
    async open(url, options) {
      const store = await openStore({ url, ...options });
      return { store, [Symbol.asyncDispose]: () => store.close() };
    },
  },
  {
    name: "over a client of the caller's own", // ioredis sends again by itself what was under way
    async open(url, options) {
      const own = await ownClient(url);
      const store = await openStoreOver(own, options);
      return { store, [Symbol.asyncDispose]: async () => (await store.close(), await own[Symbol.asyncDispose]()) };
    },
  },
];

async function openBehindProxy(
  way: (typeof ways)[number],
  options: StoreOptions = {},
): Promise<Proxied & { readonly proxy: Proxy; readonly direct: EventStore }> {
  const namespace = uniqueNamespace();
  const direct = await openStore({ url: testUrl(), namespace, ...options });
  const proxy = await startProxy(testUrl());
  const { store, [Symbol.asyncDispose]: close } = await way.open(proxy.url, { namespace });
  const end = async (): Promise<void> => (await proxy.accept(), proxy.thaw(), await close(), await proxy.close(), await direct.close());
  return { store, proxy, direct, [Symbol.asyncDispose]: end };
}

describe.each(ways)('a processor of a store $name', (way) => {
  test('counts every event once when the reply of a commit is lost', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    await using running = run(store, { projections: [sums()] });
    const snapshots = new SnapshotStore(direct);
    for (let round = 1; round <= 5; round += 1) {
      const lost = proxy.loseReplyOf(committing);
      await direct.append(notes.stream('1'), someNotes(100));
      await lost;
      const { token } = await direct.append(notes.stream('1'), someNotes(50));
      expect(await snapshots.get(sums(), '1', { atLeast: token, timeoutMs: 15_000 })).toEqual({ count: 150 * round, sum: (5_050 + 1_275) * round });
    }
    expect(running.failed).toEqual([]);
  });

  test('counts every event once when a commit never arrives', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    await using running = run(store, { projections: [lists()] });
    const lost = proxy.loseCommand(committing);
    await direct.append(notes.stream('1'), someNotes(100));
    await lost;
    const { token } = await direct.append(notes.stream('1'), someNotes(50, 101));
    expect(await new SnapshotStore(direct).get(lists(), '1', { atLeast: token, timeoutMs: 15_000 })).toEqual(numbersOf(someNotes(150)));
    expect(running.failed).toEqual([]);
  });

  test('goes on where another one went on meanwhile, when a commit of its own was lost', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    await using running = run(store, { projections: [lists()], leaseMs: 100 });
    const snapshots = new SnapshotStore(direct);
    await direct.append(notes.stream('1'), someNotes(10));
    await until('the first ones are folded', async () => (await snapshots.get(lists(), '1'))?.length === 10);
    const other = new StreamProcessor(direct, { projections: [lists()], leaseMs: 100 });
    const lost = proxy.loseReplyOf(committing, { whileCut: () => other.runUntilCaughtUp() });
    await direct.append(notes.stream('1'), someNotes(10, 11));
    await lost;
    const { token } = await direct.append(notes.stream('1'), someNotes(10, 21));
    expect(await snapshots.get(lists(), '1', { atLeast: token, timeoutMs: 15_000 })).toEqual(numbersOf(someNotes(30)));
    expect(running.failed).toEqual([]);
  });

  test('comes back after all its connections were cut, again and again', async () => {
    await using behind = await openBehindProxy(way, { partitions: 2 });
    const { store, proxy, direct } = behind;
    await using running = run(store, { projections: [sums(), lists()], leaseMs: 1_000 });
    let appended = 0;
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 40 }, () => direct.append(notes.stream(String(appended % 10)), note(Math.floor(appended++ / 10)))));
      proxy.cut();
      await delay(round * 3);
    }
    await project(direct, sums(), lists());
    const snapshots = new SnapshotStore(direct);
    for (let id = 0; id < 10; id += 1) {
      expect((await snapshots.get(sums(), String(id)))?.count).toBe(80);
      expect(await snapshots.get(lists(), String(id))).toEqual(Array.from({ length: 80 }, (_, n) => n));
    }
    expect(running.failed).toEqual([]);
  });

  test('notices a connection that went silent, and goes on when it can', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    await using running = run(store, { projections: [sums()], leaseMs: 500 });
    const snapshots = new SnapshotStore(direct);
    await snapshots.get(sums(), '1', { atLeast: (await direct.append(notes.stream('1'), note(1))).token });
    proxy.freeze();
    // Its lease runs out, and another one takes over.
    await direct.append(notes.stream('1'), someNotes(10));
    await project(direct, sums());
    expect((await snapshots.get(sums(), '1'))?.count).toBe(11);
    proxy.thaw();
    const { token } = await direct.append(notes.stream('1'), someNotes(10));
    expect((await snapshots.get(sums(), '1', { atLeast: token, timeoutMs: 15_000 }))?.count).toBe(21);
    expect(running.failed).toEqual([]);
  });

  test.each(['cannot be reached', 'does not answer'])('stops about within the time-out of its store when the server %s', async (fault) => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    await using running = run(store, {
      projections: [sums()],
      sources: [source({ key: uniqueNamespace('foreign'), into: notes, decode: () => undefined })],
    });
    await direct.append(notes.stream('1'), note(1));
    await until('it is folded', () => running.progress.length > 0);
    if (fault === 'does not answer') proxy.freeze();
    else {
      proxy.refuse();
      proxy.cut();
    }
    const startedAt = performance.now();
    await running.processor.stop();
    expect(performance.now() - startedAt).toBeLessThan(5_000 + 4_000);
  });

  test('imports every entry once when the reply of an import is lost, or the import itself', async () => {
    await using raw = await connectRaw(testUrl());
    const key = uniqueNamespace('foreign');
    await using behind = await openBehindProxy(way, { partitions: 3 });
    const { store, proxy, direct } = behind;
    const imported = source({ key, into: notes, decode: ({ fields }) => ({ id: fields['id'] ?? '', event: note(Number(fields['n'])) }) });
    await using running = run(store, { sources: [imported] });
    for (let round = 0; round < 6; round += 1) {
      const lost = round % 2 ? proxy.loseReplyOf(appending) : proxy.loseCommand(appending);
      for (let n = 0; n < 30; n += 1) await raw.send('XADD', key, '*', 'id', String(n % 7), 'n', String(round * 30 + n));
      await lost;
    }
    await new StreamProcessor(direct, { sources: [imported] }).runUntilCaughtUp();
    for (let id = 0; id < 7; id += 1) {
      const expected = Array.from({ length: 180 }, (_, n) => n).filter((n) => (n % 30) % 7 === id);
      expect(numbersOf(await collect(direct.readStream(notes.stream(String(id)))))).toEqual(expected);
    }
    expect(running.failed).toEqual([]);
    await raw.send('DEL', key);
  });

  test('waits for a server that cannot be reached for a while', async () => {
    await using raw = await connectRaw(testUrl());
    const key = uniqueNamespace('foreign');
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    const imported = source({ key, into: notes, decode: ({ fields }) => ({ id: '1', event: note(Number(fields['n'])) }) });
    await using running = run(store, { projections: [lists()], sources: [imported] });
    await raw.send('XADD', key, '*', 'n', '1');
    const snapshots = new SnapshotStore(direct);
    await until('the first one is folded', async () => (await snapshots.get(lists(), '1'))?.length === 1);
    proxy.refuse();
    proxy.cut();
    await raw.send('XADD', key, '*', 'n', '2');
    await delay(1_000);
    await proxy.accept();
    await until('the second one is folded', async () => (await snapshots.get(lists(), '1'))?.length === 2);
    expect(running.failed).toEqual([]);
    await raw.send('DEL', key);
  });
});
