// What reading the serving version promises: which one is read, what a reader that does not know it gets, and every way of reading.
import { ProcessorControl, projection, serving, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, keysOf, lists, project, sums, until } from '../support/processors.ts';
import { errorOf, note, notes, openStore } from '../support/store.ts';

const one = sums('totals', 1);
const two = projection({
  name: 'totals',
  version: 2,
  categories: [notes],
  initialState: () => 0,
  evolve: (total, event) => total + event.data.n,
});

describe('readers of the serving version', () => {
  test('read the lowest one that they know before any flip, in whatever order it was given', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1, 2]);
    await project(store, one, two);
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(serving(two, one), '1')).toEqual({ count: 2, sum: 3 });
    expect(await snapshots.get(serving(two), '1')).toBe(3);
  });

  test('may read in every way', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1, 2]);
    await project(store, one, two);
    await new ProcessorControl(store).serve(two);
    const snapshots = new SnapshotStore(store);
    const follow = serving(one, two);
    const { token, position } = await store.append(notes.stream('1'), note(3));
    expect(await snapshots.get(follow, '1')).toBe(3);
    expect(await snapshots.get(follow, '1', { fresh: true })).toBe(6);
    expect(await snapshots.get(follow, '1', { at: position })).toBe(6);
    expect(await errorOf(snapshots.get(follow, '1', { atLeast: token, timeoutMs: 20 }))).toMatchObject({ code: 'not-caught-up' });
    await project(store, two);
    expect(await snapshots.get(follow, '1', { atLeast: token })).toBe(6);
    expect(Object.fromEntries(await snapshots.getMany(follow, ['1', '2']))).toEqual({ 1: 6 });
    const keys: string[] = [];
    for await (const key of snapshots.keys(follow)) keys.push(key);
    expect(keys).toEqual(await keysOf(snapshots, two));
  });

  test('that do not know the version which serves are told so, and read nothing', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await project(store, one, two);
    await new ProcessorControl(store).serve(two);
    const error = await errorOf(new SnapshotStore(store).get(serving(one), '1'));
    expect(error).toMatchObject({ code: 'unknown-version', projection: 'totals', version: 2 });
    expect(error.message).toContain('ProcessorControl.serve');
  });

  test('follow within a second also where no message reaches them', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await using raw = await connectRaw();
    await appendNumbers(store, '1', [1]);
    await project(store, one, two);
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(serving(one, two), '1')).toEqual({ count: 1, sum: 1 });
    await raw.send('HSET', `{${namespace}}:settings`, 'serving:totals', '2'); // and nothing is published
    await until('they follow', async () => (await snapshots.get(serving(one, two), '1')) === 1, 1_000);
  });

  test('name versions of one projection, each once', () => {
    expect(() => serving(one, lists())).toThrow(/versions of one projection/);
    expect(() => serving(one, sums('totals', 1))).toThrow(/each version once/);
    expect(() => serving(...([] as never as [typeof one]))).toThrow(/one or several/);
  });
});
