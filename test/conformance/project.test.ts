// What a projection promises: which documents events are folded into, what becomes of bad code and bad states, what is passed over.
import {
  category,
  type Event,
  InvalidInputError,
  ProjectionChangedError,
  ProjectionFailedError,
  projection,
  SnapshotStore,
  StreamProcessor,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { appendNumbers, keysOf, lists, project, run, sums, throwingAt, until } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

// The Java test of the article, ported.
describe('a counter', () => {
  test('of which 14 gets 12 and 13 reads 25, and 15 reads 1', async () => {
    const counted = category<Event<'Counted', { readonly value: number }>>('counted');
    const counter = projection({
      name: 'counter',
      categories: [counted],
      initialState: () => ({ value: 0 }),
      evolve: (state, event) => ({ value: state.value + event.data.value }),
    });
    await using store = await openStore();
    await store.append(counted.stream('14'), { type: 'Counted', data: { value: 12 } });
    await store.append(counted.stream('15'), { type: 'Counted', data: { value: 1 } });
    await store.append(counted.stream('14'), { type: 'Counted', data: { value: 13 } });
    await using processor = new StreamProcessor(store, { projections: [counter] });
    await processor.runUntilCaughtUp();
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(counter, '14')).toEqual({ value: 25 });
    expect(await snapshots.get(counter, '15')).toEqual({ value: 1 });
    expect(await snapshots.get(counter, '16')).toBeUndefined();
  });
});

describe('a projection', () => {
  test('folds several categories in the order of their positions, and goes on where it was', async () => {
    await using store = await openStore();
    const projected = lists();
    for (let n = 0; n < 350; n += 1) {
      await store.append((n % 3 ? notes : marks).stream(String(n % 2)), note(n));
      if (n === 120) await project(store, projected);
    }
    await project(store, projected);
    const documents = await new SnapshotStore(store).getMany(projected, ['0', '1']);
    const numbers = Array.from({ length: 350 }, (_, n) => n);
    expect(documents.get('0')).toEqual(numbers.filter((n) => n % 2 === 0));
    expect(documents.get('1')).toEqual(numbers.filter((n) => n % 2 === 1));
  });

  test('passes over what it does not know: types of its categories, and other categories', async () => {
    await using store = await openStore();
    const known = projection({
      name: 'known',
      categories: [notes],
      initialState: () => ({ count: 0 }),
      evolve: (state, event) => (event.type === 'Noted' ? { count: state.count + 1 } : state),
    });
    await store.append(notes.stream('1'), note(1));
    // As another version of the program may do.
    await store.append(category<Event<'Newer', { readonly x: number }>>('notes').stream('1'), { type: 'Newer', data: { x: 1 } });
    await store.append(marks.stream('1'), note(1));
    await project(store, known);
    expect(await new SnapshotStore(store).get(known, '1')).toEqual({ count: 1 });
  });

  test('may change its state in place', async () => {
    await using store = await openStore();
    const inPlace = projection({
      name: 'in-place',
      categories: [notes],
      initialState: () => ({ numbers: [] as number[] }),
      evolve: (state, event) => {
        state.numbers.push(event.data.n);
        return state;
      },
    });
    for (let round = 0; round < 3; round += 1) {
      await store.append(notes.stream('1'), someNotes(50, round * 50));
      await project(store, inPlace);
    }
    expect((await new SnapshotStore(store).get(inPlace, '1'))?.numbers).toEqual(Array.from({ length: 150 }, (_, n) => n));
  });

  test.each(['together', 'apart'])('deletes a document by null, and begins it anew with the next event: %s', async (way) => {
    await using store = await openStore();
    const deleting = projection({
      name: 'deleting',
      categories: [notes],
      initialState: () => ({ count: 0, since: -1 }),
      evolve: ({ count, since }, { data: { n } }) => (n < 0 ? null : { count: count + 1, since: since < 0 ? n : since }),
    });
    const snapshots = new SnapshotStore(store);
    const fold = async (numbers: readonly number[]): Promise<void> => {
      await appendNumbers(store, '1', numbers);
      if (way === 'apart') await project(store, deleting);
    };
    await fold([1, 2]);
    await fold([-1]);
    if (way === 'apart') expect(await snapshots.get(deleting, '1')).toBeUndefined();
    await fold([3]);
    await fold([-1]); // and once more, of a document that was made in the same batch
    await fold([-1]); // and of one that is not there
    await fold([4, 5, 6]);
    await project(store, deleting);
    expect(await snapshots.get(deleting, '1')).toEqual({ count: 3, since: 4 });
    await appendNumbers(store, '1', [-1]);
    await project(store, deleting);
    expect([await snapshots.get(deleting, '1'), await keysOf(snapshots, deleting)]).toEqual([undefined, []]);
  });

  test('with a key of its own folds many streams into one document, and one event into several', async () => {
    await using store = await openStore({ partitions: 1 });
    const byDigit = projection({
      name: 'by-digit',
      categories: [notes],
      key: ({ data: { n } }) => (n === 0 ? undefined : [...String(n)]),
      initialState: () => ({ numbers: [] as number[] }),
      evolve: ({ numbers }, event) => ({ numbers: [...numbers, event.data.n] }),
    });
    await Promise.all([0, 12, 23, 33, 2].map((n, index) => store.append(notes.stream(String(index)), note(n))));
    await project(store, byDigit);
    const snapshots = new SnapshotStore(store);
    expect(Object.fromEntries(await snapshots.getMany(byDigit, ['0', '1', '2', '3']))).toEqual({
      1: { numbers: [12] },
      2: { numbers: [12, 23, 2] },
      3: { numbers: [23, 33] },
    });
    expect((await keysOf(snapshots, byDigit)).sort()).toEqual(['1', '2', '3']);
  });

  test('stops where its key function throws or gives no key, and names the event', async () => {
    await using store = await openStore();
    const badKey = projection({
      name: 'bad-key',
      categories: [notes],
      key: ({ data: { n } }) => (n === 3 ? '' : String(n)),
      initialState: () => 0,
      evolve: (count) => count + 1,
    });
    await appendNumbers(store, '1', [1, 2, 3, 4]);
    const error = await errorOf(project(store, badKey));
    expect(error).toMatchObject({ code: 'projection-failed', event: { streamName: 'notes:1', streamVersion: 3 } });
    expect(error.cause).toBeInstanceOf(InvalidInputError);
    expect((await keysOf(new SnapshotStore(store), badKey)).sort()).toEqual(['1', '2']);
  });

  test('that is live is folded when it is read, and by no processor', async () => {
    await using store = await openStore();
    const live = projection({
      name: 'live',
      consistency: 'live',
      categories: [notes],
      initialState: () => 0,
      evolve: (sum, event) => sum + event.data.n,
    });
    const { token } = await store.append(notes.stream('1'), someNotes(10));
    await using processor = new StreamProcessor(store, { projections: [live] });
    await processor.runUntilCaughtUp();
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(live, '1')).toBe(55);
    expect(await snapshots.get(live, '1', { atLeast: token })).toBe(55);
    expect(await snapshots.get(live, '2')).toBeUndefined();
    expect(await keysOf(snapshots, live)).toEqual([]);
  });
});

describe('a projection that is changed', () => {
  test('has documents of its own in each version', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1, 2]);
    await project(store, sums());
    await appendNumbers(store, '1', [3]);
    await project(store, sums('sums', 2));
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(sums(), '1')).toEqual({ count: 2, sum: 3 });
    expect(await snapshots.get(sums('sums', 2), '1')).toEqual({ count: 3, sum: 6 });
  });

  test('in its categories is refused until its version is raised', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await project(store, sums('changing'));
    await appendNumbers(store, '1', [2]);
    expect(await errorOf(project(store, lists('changing')))).toBeInstanceOf(ProjectionChangedError);
    expect(await new SnapshotStore(store).get(sums('changing'), '1')).toEqual({ count: 1, sum: 1 });
    await project(store, sums('changing'));
    expect(await new SnapshotStore(store).get(sums('changing'), '1')).toEqual({ count: 2, sum: 3 });
  });
});

describe('an evolve that throws', () => {
  test('stops its projection at that event, with all before it stored, and mended code goes on right there', async () => {
    await using store = await openStore({ partitions: 1 });
    const results = await Promise.all(Array.from({ length: 60 }, (_, n) => store.append(notes.stream('1'), note(n))));
    const error = (await errorOf(project(store, throwingAt([40])))) as ProjectionFailedError;
    expect(error).toBeInstanceOf(ProjectionFailedError);
    expect(error.projection).toBe('throwing@1');
    expect(error.event).toEqual({ id: 'notes:1@41', type: 'Noted', streamName: 'notes:1', streamVersion: 41, position: results[40]?.position });
    expect((error.cause as Error).message).toBe('cannot fold 40');
    const snapshots = new SnapshotStore(store);
    expect((await snapshots.get(throwingAt([]), '1', { whileBuilding: true }))?.count).toBe(40);
    expect(await errorOf(project(store, throwingAt([40])))).toMatchObject({ event: { streamVersion: 41 } });
    await project(store, throwingAt([]));
    expect(await snapshots.get(throwingAt([]), '1')).toEqual({ count: 60, sum: (59 * 60) / 2 });
  });

  test('keeps nothing of a state that it changed in place before it threw', async () => {
    await using store = await openStore({ partitions: 1 });
    const half = (isMended: boolean) =>
      projection({
        name: 'half',
        categories: [notes],
        initialState: () => ({ numbers: [] as number[] }),
        evolve: (state, { data: { n } }) => {
          state.numbers.push(n);
          if (n === 3 && !isMended) throw new Error('half done');
          return state;
        },
      });
    await appendNumbers(store, '1', [1, 2, 3, 4]);
    await errorOf(project(store, half(false)));
    expect((await new SnapshotStore(store).get(half(true), '1', { whileBuilding: true }))?.numbers).toEqual([1, 2]);
    await project(store, half(true));
    expect((await new SnapshotStore(store).get(half(true), '1'))?.numbers).toEqual([1, 2, 3, 4]);
  });

  test('lets the others go on', async () => {
    await using store = await openStore({ partitions: 1 });
    await using running = run(store, { projections: [throwingAt([5]), sums(), lists()] });
    const { token } = await store.append(notes.stream('1'), someNotes(10));
    const snapshots = new SnapshotStore(store);
    expect((await snapshots.get(sums(), '1', { atLeast: token }))?.count).toBe(10);
    const later = await store.append(notes.stream('1'), someNotes(10, 11));
    expect((await snapshots.get(sums(), '1', { atLeast: later.token }))?.count).toBe(20);
    expect((await snapshots.get(lists(), '1', { atLeast: later.token }))?.length).toBe(20);
    await until('the failure is told', () => running.failed.length > 0);
    expect(running.failed).toMatchObject([
      { projection: 'throwing', partition: 0, error: { code: 'projection-failed', event: { streamVersion: 5 } } },
    ]);
    expect((await snapshots.get(throwingAt([]), '1', { whileBuilding: true }))?.count).toBe(4);
    const [stopped, ...others] = (await running.processor.progress()).projections;
    expect(stopped).toMatchObject({ projection: 'throwing', eventsFolded: 4, lagEvents: 16, isRunHere: false, error: { code: 'projection-failed' } });
    expect(others).toMatchObject([
      { lagEvents: 0, error: undefined },
      { lagEvents: 0, error: undefined },
    ]);
  });
});
