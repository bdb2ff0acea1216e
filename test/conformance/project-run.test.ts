// What running projections promises: one reader for those at the same place, hand-over, progress, who is told, how it ends.
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidInputError, type ProcessorEvents, projection, SnapshotStore, StreamProcessor } from 'millrace';
import { describe, expect, test, vi } from 'vitest';
import { appendNumbers, lists, project, run, sums, throwingAt, until } from '../support/processors.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { errorOf, marks, note, notes, openStore, openStoreOver, ownClient, someNotes } from '../support/store.ts';

describe('projections that run together', () => {
  test('share one reader where they stand at the same place', async () => {
    const readsOf = async (count: number): Promise<number> => {
      await using own = await ownClient(testUrl());
      const namespace = uniqueNamespace();
      await using theirs = await openStoreOver(own, { namespace, partitions: 1 });
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => theirs.append(notes.stream(String(n % 10)), note(n))));
      await project(theirs, ...Array.from({ length: count }, (_, index) => sums(`shared-${index}`)));
      const last = new SnapshotStore(theirs);
      for (let index = 0; index < count; index += 1) expect((await last.get(sums(`shared-${index}`), '3'))?.count).toBe(100);
      return own.sent.filter(([name]) => name === 'XREAD').length;
    };
    const [alone, together] = [await readsOf(1), await readsOf(20)];
    expect(alone).toBeGreaterThan(2);
    // Each of the twenty looks once whether it has caught up; what is beyond that was read for all of them.
    expect(together).toBeLessThan(alone + 60);
  });

  test('begin at the beginning when they are added later, and join the others', async () => {
    await using own = await ownClient(testUrl());
    await using store = await openStoreOver(own, { partitions: 1 });
    await Promise.all(Array.from({ length: 700 }, (_, n) => store.append((n % 2 ? notes : marks).stream('1'), note(n))));
    await project(store, sums());
    await using running = run(store, { projections: [sums(), lists()] });
    const { token } = await store.append(notes.stream('1'), note(9));
    const snapshots = new SnapshotStore(store);
    expect((await snapshots.get(sums(), '1', { atLeast: token }))?.count).toBe(351);
    expect(await snapshots.get(lists(), '1', { atLeast: token })).toEqual([...Array.from({ length: 700 }, (_, n) => n), 9]);
    const places = async (): Promise<unknown[]> => (await running.processor.progress()).projections.map(({ position }) => position);
    await until('both stand at the same place', async () => new Set(await places()).size === 1);
    const before = own.sent.filter(([name]) => name === 'XREAD').length;
    for (let n = 0; n < 10; n += 1) {
      const { token: next } = await store.append(marks.stream('1'), note(n));
      await snapshots.get(lists(), '1', { atLeast: next });
    }
    // A wake-up, a reading for both, and a look that finds nothing; and the waiting reads' own.
    expect(own.sent.filter(([name]) => name === 'XREAD').length - before).toBeLessThan(60);
    expect(running.failed).toEqual([]);
  });

  test('pass over nothing when they join others while more is appended', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), note(0));
    await store.append(notes.stream('1'), someNotes(149));
    await store.append(marks.stream('1'), note(0));
    const ahead = projection({ name: 'ahead', categories: [marks], initialState: () => 0, evolve: (count) => count + 1 });
    await project(store, ahead);
    // The first page holds 100 events, and the next one is read ahead: it ends with what is there before these are appended.
    const late: Promise<unknown>[] = [];
    const behind = projection({
      name: 'behind',
      categories: [notes],
      key: (event) => {
        if (event.streamVersion === 100) late.push(store.append(notes.stream('1'), note(1)), store.append(marks.stream('1'), note(1)));
        return '1';
      },
      initialState: () => 0,
      evolve: (count) => count + 1,
    });
    await project(store, ahead, behind);
    await Promise.all(late);
    await project(store, ahead, behind);
    const snapshots = new SnapshotStore(store);
    expect([await snapshots.get(ahead, '1'), await snapshots.get(behind, '1')]).toEqual([2, 151]);
  });

  test('must have names of their own', async () => {
    await using store = await openStore();
    expect(() => new StreamProcessor(store, { projections: [sums(), sums()] })).toThrow(InvalidInputError);
    expect(() => new StreamProcessor(store, { projections: [sums()], leaseMs: 1 })).toThrow(InvalidInputError);
  });
});

describe('a processor', () => {
  test('gives its work back when it stops, so that another takes over at once', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using other = await openStore({ namespace, partitions: 1 });
    await using first = run(store, { projections: [sums()], leaseMs: 60_000 });
    const snapshots = new SnapshotStore(store);
    await snapshots.get(sums(), '1', { atLeast: (await store.append(notes.stream('1'), note(1))).token });
    await using second = run(other, { projections: [sums()], leaseMs: 60_000 });
    await until('the second one looks who has the work', async () => (await second.processor.progress()).projections.length === 1);
    expect((await first.processor.progress()).projections[0]?.isRunHere).toBe(true);
    const appended = store.append(notes.stream('1'), someNotes(500));
    const startedAt = performance.now();
    await first.processor.stop();
    await snapshots.get(sums(), '1', { atLeast: (await appended).token, timeoutMs: 20_000 });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect((await second.processor.progress()).projections[0]).toMatchObject({ isRunHere: true, eventsFolded: 501 });
    expect((await snapshots.get(sums(), '1'))?.count).toBe(501);
  });

  test('whose projection fails leaves it at once to another one, which may have better code', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using other = await openStore({ namespace, partitions: 1 });
    await using failing = run(store, { projections: [throwingAt([3])], leaseMs: 60_000 });
    await appendNumbers(store, '1', [1, 2, 3, 4]);
    await until('it has failed', () => failing.failed.length > 0);
    await using mended = run(other, { projections: [throwingAt([])], leaseMs: 60_000 });
    await until('the other one has gone on', async () => (await new SnapshotStore(other).get(throwingAt([]), '1'))?.count === 4, 5_000);
    expect(mended.failed).toEqual([]);
    expect((await failing.processor.progress()).projections[0]).toMatchObject({
      eventsFolded: 4,
      isRunHere: false,
      error: { code: 'projection-failed' },
    });
  });

  test('stores what it has folded before it ends', async () => {
    await using store = await openStore({ partitions: 1 });
    for (let round = 0; round < 5; round += 1) {
      await store.append(notes.stream('1'), someNotes(1_000, round * 1_000 + 1));
      const running = run(store, { projections: [sums()] });
      await until('something is stored', () => running.progress.length > 0);
      await running.processor.stop();
      const { count = 0, sum } = (await new SnapshotStore(store).get(sums(), '1')) ?? {};
      expect(sum).toBe((count * (count + 1)) / 2);
      expect((await running.processor.progress()).projections[0]).toMatchObject({ eventsFolded: count, isRunHere: false });
    }
  });

  test('can be stopped at any moment, and leaves no connection behind', async () => {
    await using own = await ownClient(testUrl());
    await using store = await openStoreOver(own);
    await store.append(notes.stream('1'), note(1));
    for (let ms = 0; ms < 20; ms += 1) {
      const processor = new StreamProcessor(store, { projections: [sums()] });
      processor.start();
      await delay(ms);
      const startedAt = performance.now();
      await processor.stop();
      expect(performance.now() - startedAt).toBeLessThan(1_500);
      expect(() => processor.start()).toThrow(InvalidInputError);
    }
    await project(store, sums());
    expect((await new SnapshotStore(store).get(sums(), '1'))?.count).toBe(1);
  });

  test('ends with its store', async () => {
    const store = await openStore();
    await using running = run(store, { projections: [sums()] });
    await store.append(notes.stream('1'), note(1));
    await until('it runs', () => running.progress.length > 0);
    await store.close();
    await running.processor.stop();
    expect(running.failed).toEqual([]);
  });

  test('says how far it is: folded, left, and since when', async () => {
    await using store = await openStore({ partitions: 1 });
    const processor = new StreamProcessor(store, { projections: [sums(), lists()] });
    expect((await processor.progress()).projections).toEqual([
      {
        projection: 'sums',
        version: 1,
        partition: 0,
        position: undefined,
        eventsFolded: 0,
        lagEvents: 0,
        lagMs: 0,
        isPaused: false,
        isRunHere: false,
        error: undefined,
      },
      {
        projection: 'lists',
        version: 1,
        partition: 0,
        position: undefined,
        eventsFolded: 0,
        lagEvents: 0,
        lagMs: 0,
        isPaused: false,
        isRunHere: false,
        error: undefined,
      },
    ]);
    await appendNumbers(store, '1', [1, 2, 3]);
    const { position } = await store.append(marks.stream('1'), note(1));
    await delay(30);
    const [behind, also] = (await processor.progress()).projections;
    expect([behind?.lagEvents, also?.lagEvents]).toEqual([3, 4]);
    expect(behind?.lagMs).toBeGreaterThanOrEqual(20);
    expect(behind?.lagMs).toBeLessThan(10_000);
    await processor.runUntilCaughtUp();
    const [done, alsoDone] = (await processor.progress()).projections;
    expect(done).toMatchObject({ eventsFolded: 3, lagEvents: 0, lagMs: 0 });
    expect(alsoDone).toMatchObject({ eventsFolded: 4, lagEvents: 0, lagMs: 0, position });
  });

  test('tells each commit', async () => {
    await using store = await openStore({ partitions: 2 });
    await Promise.all(Array.from({ length: 100 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    const told: ProcessorEvents['progress'][] = [];
    const processor = new StreamProcessor(store, { projections: [sums('told', 3)] });
    const stopListening = processor.on('progress', (event) => told.push(event));
    processor.on('progress', () => {
      throw new Error('a listener that throws');
    });
    const warned = await warningsDuring(() => processor.runUntilCaughtUp());
    stopListening();
    expect(told.reduce((sum, { events }) => sum + events, 0)).toBe(100);
    expect(new Set(told.map(({ partition }) => partition))).toEqual(new Set([0, 1]));
    expect(told.every(({ projection: name, version }) => name === 'told' && version === 3)).toBe(true);
    expect(warned).toContain('a listener that throws');
  });

  test('warns of a failure where nobody listens', async () => {
    await using store = await openStore({ partitions: 1 });
    await appendNumbers(store, '1', [1, 2, 3]);
    const processor = new StreamProcessor(store, { projections: [throwingAt([2])] });
    const warned = await warningsDuring(async () => {
      processor.start();
      await vi.waitFor(async () => expect((await processor.progress()).projections[0]?.error).toBeDefined(), { timeout: 10_000 });
    });
    expect(warned.join()).toContain('cannot fold 2');
    await processor.stop();
  });

  test('resolves runUntilCaughtUp also when another one does the work, and ends at a signal', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using other = await openStore({ namespace, partitions: 1 });
    await using running = run(store, { projections: [sums()], leaseMs: 60_000 });
    await store.append(notes.stream('1'), note(1));
    await until('the first one works', () => running.progress.length > 0);
    await Promise.all(Array.from({ length: 300 }, (_, n) => store.append(notes.stream('1'), note(n))));
    const waiting = new StreamProcessor(other, { projections: [sums()], leaseMs: 60_000 });
    await waiting.runUntilCaughtUp();
    expect((await new SnapshotStore(store).get(sums(), '1'))?.count).toBe(301);

    // Nobody goes on with what this process keeps from being folded: it is paused, so to speak, in the middle of its lease.
    await using raw = await connectRaw();
    const [checkpoint] = (await raw.send('KEYS', `*${namespace}*:checkpoint:sums@1`)) as string[];
    await running.processor.stop();
    await raw.send('HSET', checkpoint ?? '', 'owner', 'somebody', 'deadline', String(Date.now() + 60_000));
    await store.append(notes.stream('1'), note(1));
    const reason = new Error('enough');
    const hopeless = new StreamProcessor(other, { projections: [sums()] });
    const stopping = new AbortController();
    const outcome = errorOf(hopeless.runUntilCaughtUp({ signal: stopping.signal }));
    expect(await Promise.race([outcome, delay(300, 'waits')])).toBe('waits');
    stopping.abort(reason);
    expect(await outcome).toBe(reason);
  });
});

async function warningsDuring(act: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', note);
  try {
    await act();
    await delay(20); // warnings are told in the next tick
    return warnings;
  } finally {
    process.off('warning', note);
  }
}
