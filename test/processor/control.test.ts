// What looking after projections promises: progress, pausing and resuming, flipping readers, dropping; from any process.
import { ProcessorControl, reactor, serving, SnapshotStore, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, keysOf, lists, project, run, sums, until } from '../support/processors.ts';
import { startProxy } from '../support/proxy.ts';
import { errorOf, note, notes, openStore, someNotes } from '../support/store.ts';

const LEASE_MS = 300;

describe('progress', () => {
  test('tells events, percent and positions, in sum and for each partition, whoever folds', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 3 });
    await using other = await openStore({ namespace });
    const control = new ProcessorControl(store);
    expect(await control.progress(sums())).toMatchObject({ name: 'sums', version: 1, eventsFolded: 0, eventsTotal: 0, percent: 100, timeLeftMs: 0 });
    for (let n = 0; n < 30; n += 1) await store.append(notes.stream(String(n)), note(n));
    const before = await control.progress(sums());
    expect(before).toMatchObject({ eventsFolded: 0, eventsTotal: 30, lagEvents: 30, percent: 0, isPaused: false, unfinished: undefined });
    expect(before.partitions.map(({ partition, position }) => [partition, position])).toEqual([0, 1, 2].map((partition) => [partition, undefined]));
    await project(other, sums());
    const after = await control.progress(sums());
    expect(after).toMatchObject({ eventsFolded: 30, eventsTotal: 30, lagEvents: 0, percent: 100, timeLeftMs: 0 });
    expect(after.partitions.reduce((sum, { eventsFolded }) => sum + eventsFolded, 0)).toBe(30);
    for (const { position, eventsTotal } of after.partitions) expect(position === undefined).toBe(eventsTotal === 0);
  });

  test('tells the speed and the time left from two looks, and admits what it cannot tell from one', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(400));
    const control = new ProcessorControl(store);
    expect(await control.progress(sums())).toMatchObject({ eventsPerSecond: undefined, timeLeftMs: undefined });
    await using _running = run(store, { projections: [sums()], eventsPerSecond: 200 });
    await until('some are folded', async () => (await control.progress(sums())).eventsFolded > 100);
    const { eventsPerSecond, timeLeftMs, lagEvents } = await control.progress(sums());
    expect(lagEvents).toBeGreaterThan(0);
    expect(eventsPerSecond).toBeGreaterThan(0);
    expect(timeLeftMs).toBeGreaterThan(0);
    await until('all are folded', async () => (await control.progress(sums())).timeLeftMs === 0);
  });

  test('tells no time left where nobody works', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(10));
    const control = new ProcessorControl(store);
    await control.progress(sums());
    await until('a speed is told', async () => (await control.progress(sums())).eventsPerSecond === 0);
    expect((await control.progress(sums())).timeLeftMs).toBeUndefined();
  });
});

describe('a projection that is paused', () => {
  test('is folded by no process, over restarts, until it is resumed, and then goes on where it was', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 2 });
    await using other = await openStore({ namespace });
    await using running = run(store, { projections: [sums(), lists()], leaseMs: LEASE_MS });
    await appendNumbers(store, '1', [1, 2, 3]);
    const snapshots = new SnapshotStore(store);
    await until('they are folded', async () => (await snapshots.get(sums(), '1'))?.count === 3);
    const control = new ProcessorControl(other);
    await control.pause(sums());
    const { token } = await store.append(notes.stream('1'), note(4));
    await using _restarted = run(other, { projections: [sums()], leaseMs: LEASE_MS });
    expect(await snapshots.get(lists(), '1', { atLeast: token })).toEqual([1, 2, 3, 4]); // the others go on
    expect((await snapshots.get(sums(), '1'))?.count).toBe(3);
    expect(await control.progress(sums())).toMatchObject({ isPaused: true, lagEvents: 1 });
    expect((await running.processor.progress()).projections.filter(({ isPaused }) => isPaused).map(({ projection }) => projection)).toEqual([
      'sums',
      'sums',
    ]);
    await control.resume(sums());
    expect(await snapshots.get(sums(), '1', { atLeast: token })).toEqual({ count: 4, sum: 10 });
    expect(running.failed).toEqual([]);
    expect((await control.progress(sums())).isPaused).toBe(false);
  });

  test('was stored to the last commit when pause resolves: nothing changes from then on', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(900));
    await using _running = run(store, { projections: [sums()], leaseMs: LEASE_MS, eventsPerSecond: 300 });
    const control = new ProcessorControl(store);
    await until('it is being folded', async () => (await control.progress(sums())).eventsFolded > 0);
    await control.pause(sums());
    const { eventsFolded } = await control.progress(sums());
    expect(eventsFolded).toBeLessThan(900);
    await control.pause(sums()); // again is the same
    for (let look = 0; look < 20; look += 1) expect((await control.progress(sums())).eventsFolded).toBe(eventsFolded);
    expect((await new SnapshotStore(store).get(sums(), '1', { whileBuilding: true }))?.count).toBe(eventsFolded);
    await control.resume(sums());
    await until('all is folded', async () => (await control.progress(sums())).lagEvents === 0);
    expect((await new SnapshotStore(store).get(sums(), '1'))?.count).toBe(900);
  });

  test('has taken the right to commit from its owner, too, when that gave it up', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await using running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    await until('it is run', async () => (await running.processor.progress()).projections[0]?.isRunHere === true);
    await new ProcessorControl(store).pause(sums());
    expect(await raw.send('HMGET', `{${namespace}:0}:checkpoint:sums@1`, 'owner', 'epoch')).toEqual(['', '2']);
  });

  test('lets nobody who held it before commit, once its lease has run out', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    const key = `{${namespace}:0}:checkpoint:sums@1`;
    await raw.send('HSET', key, 'owner', 'somebody', 'deadline', '1', 'epoch', '7', 'reads', 'notes');
    await new ProcessorControl(store).pause(sums());
    expect(await raw.send('HMGET', key, 'owner', 'epoch', 'paused')).toEqual(['', '8', '1']);
  });

  test('lets runUntilCaughtUp fail rather than wait for ever, unless there is nothing to do', async () => {
    await using store = await openStore();
    const control = new ProcessorControl(store);
    await appendNumbers(store, '1', [1]);
    await project(store, sums());
    await control.pause(sums());
    await project(store, sums());
    await appendNumbers(store, '1', [2]);
    const error = await errorOf(project(store, sums()));
    expect(error).toMatchObject({ code: 'paused' });
    expect(error.message).toContain('sums@1');
    expect(error.message).toContain('ProcessorControl.resume');
    await control.resume(sums());
    await project(store, sums());
  });

  test('lets a pause that would take long be given up, and stays paused', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await raw.send('HSET', `{${namespace}:0}:checkpoint:sums@1`, 'owner', 'somebody', 'deadline', '99999999999999', 'epoch', '7');
    const control = new ProcessorControl(store);
    const reason = new Error('enough');
    expect(await errorOf(control.pause(sums(), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect((await control.progress(sums())).isPaused).toBe(false);
    const stopping = new AbortController();
    const pausing = errorOf(control.pause(sums(), { signal: stopping.signal }));
    await until('it is paused', async () => (await control.progress(sums())).isPaused);
    stopping.abort(reason);
    expect(await pausing).toBe(reason);
    expect((await control.progress(sums())).isPaused).toBe(true);
  });
});

test('a reactor that is paused handles nothing more until it is resumed, and what it had in hand is done', async () => {
  await using store = await openStore({ partitions: 2 });
  const handled: number[] = [];
  const counting = reactor({ name: 'counting', categories: [notes], handle: ({ data: { n } }) => void handled.push(n) });
  await using running = run(store, { reactors: [counting], leaseMs: LEASE_MS });
  await appendNumbers(store, '1', [1, 2, 3]);
  await until('they are handled', () => handled.length === 3);
  const control = new ProcessorControl(store);
  await control.pause(counting);
  await appendNumbers(store, '1', [4]);
  expect(await control.progress(counting)).toMatchObject({ isPaused: true, eventsFolded: 3, lagEvents: 1 });
  await using restarted = new StreamProcessor(store, { reactors: [counting], leaseMs: LEASE_MS });
  expect(await errorOf(restarted.runUntilCaughtUp())).toMatchObject({ code: 'paused' });
  expect(handled).toEqual([1, 2, 3]);
  await control.resume(counting);
  await until('it goes on', () => handled.length === 4);
  expect(handled).toEqual([1, 2, 3, 4]);
  expect(running.failed).toEqual([]);
});

describe('a version that is to serve', () => {
  const [one, two] = [sums('sums', 1), sums('sums', 2)];

  test('flips readers in every process at once, and back', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await using other = await openStore({ namespace });
    await appendNumbers(store, '1', [1, 2]);
    await project(store, one, { ...two, evolve: () => ({ count: 99, sum: 0 }) });
    const control = new ProcessorControl(store);
    const readers = [store, other].map((each) => new SnapshotStore(each));
    const counts = async (): Promise<(number | undefined)[]> =>
      await Promise.all(readers.map(async (each) => (await each.get(serving(two, one), '1'))?.count));
    expect(await control.servingVersion('sums')).toBeUndefined();
    expect(await counts()).toEqual([2, 2]);
    expect(await control.serve(two)).toBeUndefined();
    expect(await control.servingVersion('sums')).toBe(2);
    await until('both follow', async () => (await counts()).every((count) => count === 99), 1_000);
    expect(await control.serve(one)).toBe(2);
    await until('both follow back', async () => (await counts()).every((count) => count === 2), 1_000);
  });

  test('has to have caught up, unless told otherwise', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1, 2]);
    await project(store, one);
    const control = new ProcessorControl(store);
    await control.serve(one);
    const error = await errorOf(control.serve(two, { timeoutMs: 50 }));
    expect(error).toMatchObject({ code: 'not-caught-up' });
    expect(error.message).toContain('evenIfBehind');
    expect(await control.servingVersion('sums')).toBe(1);
    expect(await control.serve(two, { evenIfBehind: true })).toBe(1);
    expect(await errorOf(new SnapshotStore(store).get(serving(one, two), '1'))).toMatchObject({ code: 'not-caught-up' });
  });

  test('is waited for while events go on coming', async () => {
    await using store = await openStore();
    await using _running = run(store, { projections: [one] });
    const appending = new AbortController();
    const feeding = (async () => {
      for (let n = 0; !appending.signal.aborted; n += 1) await store.append(notes.stream(String(n % 10)), note(n));
    })();
    const control = new ProcessorControl(store);
    await until('some are folded', async () => (await control.progress(one)).eventsFolded > 10);
    await control.serve(one, { timeoutMs: 10_000 });
    appending.abort();
    await feeding;
    expect(await control.servingVersion('sums')).toBe(1);
  });

  test('must not be paused, for it would fall behind', async () => {
    await using store = await openStore();
    await project(store, one);
    const control = new ProcessorControl(store);
    await control.pause(one);
    const error = await errorOf(control.serve(one, { evenIfBehind: true }));
    expect(error).toMatchObject({ code: 'paused' });
    expect(error.message).toContain('ProcessorControl.resume');
    expect(await control.servingVersion('sums')).toBeUndefined();
  });
});

describe('a version that is dropped', () => {
  const deleting = { ...sums('deleting'), isKeyedByStream: false, keys: ({ data }: { data: unknown }) => [`k${(data as { n: number }).n % 3}`] };

  test.each([1, 3])('leaves nothing behind, and the other versions as they are, with %i partitions', async (partitions) => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions });
    await using raw = await connectRaw();
    await Promise.all(Array.from({ length: 700 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    await project(store, sums('sums', 1), sums('sums', 2), deleting);
    const control = new ProcessorControl(store);
    const snapshots = new SnapshotStore(store);
    await control.drop(sums('sums', 1));
    await control.drop(deleting);
    const left = (await raw.send('KEYS', `{${namespace}:*`)) as string[];
    expect(left.filter((key) => /sums@1|deleting/.test(key))).toEqual([]);
    expect((await keysOf(snapshots, sums('sums', 2))).length).toBe(700);
    expect(await errorOf(snapshots.get(sums('sums', 1), '1'))).toMatchObject({ code: 'not-caught-up' });
    // It can be built again.
    await project(store, sums('sums', 1), deleting);
    expect((await keysOf(snapshots, sums('sums', 1))).length).toBe(700);
    expect((await snapshots.get(deleting, 'k0'))?.count).toBe(234);
  });

  test('must not serve, nor be run by anybody', async () => {
    await using store = await openStore({ partitions: 1 });
    await appendNumbers(store, '1', [1]);
    await project(store, sums());
    const control = new ProcessorControl(store);
    await control.serve(sums());
    expect(await errorOf(control.drop(sums()))).toMatchObject({ code: 'in-use' });
    await project(store, sums('sums', 2));
    await control.serve(sums('sums', 2));
    const running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    await until('it is run', async () => (await running.processor.progress()).projections[0]?.isRunHere === true);
    const error = await errorOf(control.drop(sums()));
    expect(error).toMatchObject({ code: 'in-use' });
    expect(error.message).toContain(String(process.pid));
    // What was refused goes on.
    const { token } = await store.append(notes.stream('1'), note(2));
    expect((await new SnapshotStore(store).get(sums(), '1', { atLeast: token }))?.count).toBe(2);
    await running.processor.stop();
    await control.drop(sums());
  });

  test.each(['before', 'after'])('is dropped to the end by the same call where one was broken off %s a step', { timeout: 60_000 }, async (when) => {
    const steps = [/^EVAL.* 1 \S*:checkpoint:sums@1 \d+ drop$/, /^EVAL.*:snapshot:sums@1:.* \d+ 0$/, /^EVAL.* \d+ 1$/, /^EVAL.* 2 .* \d+ drop$/];
    for (const step of steps) {
      const namespace = uniqueNamespace();
      await using store = await openStore({ url: testUrl(), namespace, partitions: 2 });
      await using raw = await connectRaw(testUrl());
      await Promise.all(Array.from({ length: 20 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
      await project(store, sums());
      await using proxy = await startProxy(testUrl());
      await using dying = await openStore({ url: proxy.url, namespace, timeoutMs: 500 });
      const matches = (args: readonly string[]): boolean => step.test(args.join(' ').replaceAll('\n', ' '));
      const options = { whileCut: async () => proxy.close() };
      const lost = when === 'before' ? proxy.loseCommand(matches, options) : proxy.loseReplyOf(matches, options);
      const [error] = await Promise.all([errorOf(new ProcessorControl(dying).drop(sums())), lost.catch(() => undefined)]);
      expect(error).toMatchObject({ code: 'connection-failed' });
      expect(await new ProcessorControl(store).progress(sums())).toMatchObject({ isPaused: true });
      await new ProcessorControl(store).drop(sums());
      expect(((await raw.send('KEYS', `{${namespace}:*`)) as string[]).filter((key) => key.includes('sums@1'))).toEqual([]);
    }
  });

  test('is not dropped and flipped to at the same time: at most one of the two is done', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    const control = new ProcessorControl(store);
    for (let round = 0; round < 15; round += 1) {
      await project(store, sums('sums', 1), sums('sums', 2));
      await control.serve(sums('sums', 2));
      const [flipped, dropped] = await Promise.allSettled([control.serve(sums('sums', 1), { timeoutMs: 100 }), control.drop(sums('sums', 1))]);
      expect([flipped.status, dropped.status]).not.toEqual(['fulfilled', 'fulfilled']);
      expect(await control.servingVersion('sums')).toBe(flipped.status === 'fulfilled' ? 1 : 2);
      expect(await control.progress(sums('sums', 1))).toMatchObject({ isPaused: false });
    }
  });

  test('may be run still, once it is paused, and is not built again as long as it is not dropped to the end', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await using _running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    const control = new ProcessorControl(store);
    await until('it is folded', async () => (await control.progress(sums())).eventsFolded === 1);
    await control.pause(sums());
    await control.drop(sums());
    expect(await control.progress(sums())).toMatchObject({ isPaused: false });
  });
});

test('what is folded on read cannot be rewound, dropped, compared or flipped to', async () => {
  await using store = await openStore();
  const live = { ...sums(), consistency: 'live' as const };
  const control = new ProcessorControl(store);
  for (const call of [control.rewind(live), control.drop(live), control.serve(live), control.compare(live, sums()).next()])
    expect(await errorOf(call)).toMatchObject({ code: 'invalid-input' });
});

test('a rate has to be one', async () => {
  await using store = await openStore();
  for (const eventsPerSecond of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => new StreamProcessor(store, { eventsPerSecond })).toThrow(/eventsPerSecond/);
});
