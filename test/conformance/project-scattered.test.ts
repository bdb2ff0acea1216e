// What a projection with a key of its own promises where its documents lie in other partitions than their events.
import { type Projection, projection, SnapshotStore, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startProxy } from '../support/proxy.ts';
import { keysOf, project, run, type Running, type Sum, until } from '../support/processors.ts';
import { errorOf, note, notes, openStore, openStoreOver, ownClient } from '../support/store.ts';

const PARTITIONS = 4;

/** One document for each number's last digits: each gets events of every partition. */
function byDigit({ throwsAt = -1, digits = 10 }: { readonly throwsAt?: number; readonly digits?: number } = {}): Projection<Sum> {
  return projection({
    name: 'by-digit',
    categories: [notes],
    key: ({ data: { n } }) => String(n % digits),
    initialState: (): Sum => ({ count: 0, sum: 0 }),
    evolve: ({ count, sum }, { data: { n } }) => {
      if (n === throwsAt) throw new Error(`cannot fold ${n}`);
      return { count: count + 1, sum: sum + n };
    },
  });
}

/** What `byDigit` has to give for the numbers from 0 on, each appended once. */
function expectedSums(count: number, digits = 10): Record<string, Sum> {
  const sums: Record<string, Sum> = {};
  for (let n = 0; n < count; n += 1) {
    const { count: before = 0, sum = 0 } = sums[n % digits] ?? {};
    sums[n % digits] = { count: before + 1, sum: sum + n };
  }
  return sums;
}

async function sumsOf(snapshots: SnapshotStore, digits = 10): Promise<Record<string, Sum>> {
  return Object.fromEntries(
    await snapshots.getMany(
      byDigit(),
      Array.from({ length: digits }, (_, digit) => String(digit)),
    ),
  );
}

const storing = (args: readonly string[]): boolean => /^EVAL/i.test(args[0] ?? '') && args.some((arg) => arg.includes(':removed:'));

describe('a document that gets events of several partitions', () => {
  test('holds each of them once', async () => {
    await using store = await openStore({ partitions: PARTITIONS });
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 400 }, (_, n) => store.append(notes.stream(String(n)), note(round * 400 + n))));
      await project(store, byDigit());
    }
    const snapshots = new SnapshotStore(store);
    expect(await sumsOf(snapshots)).toEqual(expectedSums(1_200));
    expect(await keysOf(snapshots, byDigit())).toEqual(Array.from({ length: 10 }, (_, digit) => String(digit)));
  });

  test('holds each of them once when several processes fold it at the same time', { timeout: 60_000 }, async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using other = await openStore({ namespace });
    await using one = run(store, { projections: [byDigit()], leaseMs: 300 });
    await using two = run(other, { projections: [byDigit()], leaseMs: 300 });
    const append = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 20)
        await Promise.all(Array.from({ length: 20 }, (_, at) => store.append(notes.stream(String((n + at) % 97)), note(n + at))));
    };
    await append(0, 500);
    const isSpread = async ({ processor }: typeof one): Promise<boolean> =>
      (await processor.progress()).projections.filter(({ isRunHere }) => isRunHere).length === PARTITIONS / 2;
    await until('each of the two has its half', async () => (await isSpread(one)) && (await isSpread(two)), 25_000);
    await append(500, 2_000);
    await new StreamProcessor(store, { projections: [byDigit()], leaseMs: 300 }).runUntilCaughtUp();
    expect(await sumsOf(new SnapshotStore(other))).toEqual(expectedSums(2_000));
    expect([...one.failed, ...two.failed]).toEqual([]);
  });

  test('is waited for by a token', async () => {
    await using store = await openStore({ partitions: PARTITIONS });
    await using _running = run(store, { projections: [byDigit()] });
    const snapshots = new SnapshotStore(store);
    for (let n = 0; n < 20; n += 1) {
      const { token } = await store.append(notes.stream(String(n)), note(10 * n));
      expect((await snapshots.get(byDigit(), '0', { atLeast: token }))?.count).toBe(n + 1);
    }
  });

  test('keeps what it holds when an event of one partition cannot be folded, and goes on right there', async () => {
    await using store = await openStore({ partitions: PARTITIONS });
    for (let n = 0; n < 200; n += 1) await store.append(notes.stream(String(n % 31)), note(n));
    expect(await errorOf(project(store, byDigit({ throwsAt: 120 })))).toMatchObject({
      code: 'projection-failed',
      event: { streamName: `notes:${120 % 31}` },
    });
    await errorOf(project(store, byDigit({ throwsAt: 120 })));
    await project(store, byDigit());
    expect(await sumsOf(new SnapshotStore(store))).toEqual(expectedSums(200));
  });

  test('is deleted by null, begins anew, and leaves nothing behind once every partition has passed', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using raw = await connectRaw();
    const deleting = projection({
      name: 'deleting',
      categories: [notes],
      key: ({ data: { n } }) => `k${Math.abs(n) % 3}`,
      initialState: () => ({ count: 0 }),
      evolve: ({ count }, { data: { n } }) => (n < 0 ? null : { count: count + 1 }),
    });
    const snapshots = new SnapshotStore(store);
    const fold = async (n: number, ids: readonly string[]): Promise<void> => {
      for (const id of ids) await store.append(notes.stream(id), note(n));
      await project(store, deleting);
    };
    const ids = Array.from({ length: 8 }, (_, id) => String(id));
    for (const n of [3, 4, 5]) await fold(n, ids);
    await fold(-3, ['0']);
    await fold(-4, ['1']);
    await fold(-4, ['2']); // one that is not there any more
    expect(Object.fromEntries(await snapshots.getMany(deleting, ['k0', 'k1', 'k2']))).toEqual({ k2: { count: 8 } });
    expect(await keysOf(snapshots, deleting)).toEqual(['k2']);
    await fold(3, ['3']);
    expect(Object.fromEntries(await snapshots.getMany(deleting, ['k0', 'k1', 'k2']))).toEqual({ k0: { count: 1 }, k2: { count: 8 } });
    await fold(-3, ['4']);
    await fold(5, ids);
    expect(await snapshots.get(deleting, 'k2')).toEqual({ count: 16 });
    expect(await raw.send('KEYS', `{${namespace}*:snapshot:deleting@1:k[01]`)).toEqual([]);
  });

  test('gets an event into several documents, in several partitions', async () => {
    await using store = await openStore({ partitions: PARTITIONS });
    const spread = projection({
      name: 'spread',
      categories: [notes],
      key: ({ data: { n } }) => Array.from({ length: n }, (_, at) => `d${at}`),
      initialState: () => 0,
      evolve: (count) => count + 1,
    });
    for (let n = 0; n <= 20; n += 1) await store.append(notes.stream(String(n)), note(n));
    await project(store, spread);
    const documents = await new SnapshotStore(store).getMany(
      spread,
      Array.from({ length: 21 }, (_, at) => `d${at}`),
    );
    for (let at = 0; at < 20; at += 1) expect(documents.get(`d${at}`)).toBe(20 - at);
    expect(documents.has('d20')).toBe(false);
  });

  test.each(['by URL', "over a client of the caller's own"])('holds each once when replies are lost: %s', { timeout: 60_000 }, async (way) => {
    const namespace = uniqueNamespace();
    await using direct = await openStore({ url: testUrl(), namespace, partitions: PARTITIONS });
    await using proxy = await startProxy(testUrl());
    await using own = await ownClient(proxy.url);
    await using store = await (way === 'by URL' ? openStore({ url: proxy.url, namespace }) : openStoreOver(own, { namespace }));
    await using running = run(store, { projections: [byDigit()] });
    let n = 0;
    for (let round = 0; round < 6; round += 1) {
      const lost = round % 2 ? proxy.loseReplyOf(storing, { count: 1 + (round % 3) }) : proxy.loseCommand(storing);
      await Promise.all(Array.from({ length: 50 }, () => direct.append(notes.stream(String(n % 23)), note(n++))));
      await lost;
    }
    await project(direct, byDigit());
    expect(await sumsOf(new SnapshotStore(direct))).toEqual(expectedSums(n));
    expect(running.failed).toEqual([]);
  });
});

describe('the partitions', () => {
  test('are spread evenly over the processes that come, and over those that stay', { timeout: 90_000 }, async () => {
    const namespace = uniqueNamespace();
    const stores = await Promise.all([0, 1, 2].map(() => openStore({ namespace, partitions: 6 })));
    const runs: Running[] = [];
    const heldBy = async ({ processor }: Running): Promise<number> =>
      (await processor.progress()).projections.filter(({ isRunHere }) => isRunHere).length;
    const held = async (): Promise<string> => (await Promise.all(runs.map(heldBy))).join(' ');
    for (const [index, store] of stores.entries()) {
      runs.push(run(store, { projections: [byDigit()], leaseMs: 300 }));
      const expected = ['6', '3 3', '2 2 2'][index];
      await until(`they hold ${expected}`, async () => (await held()) === expected, 25_000);
    }
    await runs.shift()?.processor.stop();
    await until('they hold 3 3', async () => (await held()) === '3 3', 25_000);
    await Promise.all(runs.map(({ processor }) => processor.stop()));
    await Promise.all(stores.map((store) => store.close()));
  });
});
