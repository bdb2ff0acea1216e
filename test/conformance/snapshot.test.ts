// What reading documents promises: the stored ones, ones that hold an append, ones as they were, ones fresh to the last event.
import {
  InvalidInputError,
  joinTokens,
  NotCaughtUpError,
  projection,
  SnapshotStore,
  source,
  StoreMismatchError,
  StreamProcessor,
  type Token,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { keysOf, lists, project, run, sums } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

describe('reading documents', () => {
  test('gets many at once, each once, and none for those that are not there', async () => {
    await using store = await openStore({ partitions: 3 });
    await Promise.all(Array.from({ length: 1_200 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    await project(store, sums());
    const snapshots = new SnapshotStore(store);
    const wanted = Array.from({ length: 1_300 }, (_, n) => String(n));
    const found = await snapshots.getMany(sums(), [...wanted, '1', '2']);
    expect(found.size).toBe(1_200);
    for (let n = 0; n < 1_200; n += 1) expect(found.get(String(n))?.sum).toBe(n);
    expect((await snapshots.getMany(sums(), [])).size).toBe(0);
  });

  test('lists the keys, whatever is in them', async () => {
    await using store = await openStore();
    const odd = ['*', '?', '[a]', '\\', '{', '}', ':', '@', 'ü', '👩‍🚀', ' ', '\n', '"', "'", 'a'.repeat(1_024)];
    const byText = projection({
      name: 'by-text',
      categories: [notes],
      key: ({ data: { n } }) => odd[n],
      initialState: () => ({ n: -1 }),
      evolve: (_, event) => ({ n: event.data.n }),
    });
    await store.append(notes.stream('1'), someNotes(odd.length, 0));
    await project(store, byText, sums('by-text-too'));
    const snapshots = new SnapshotStore(store);
    expect(await keysOf(snapshots, byText)).toEqual([...odd].sort());
    for (const [n, key] of odd.entries()) expect(await snapshots.get(byText, key)).toEqual({ n });
  });

  test('lists the keys of many documents, once each, and stops at a break or a signal', async () => {
    await using store = await openStore({ partitions: 2 });
    await Promise.all(Array.from({ length: 1_500 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    await project(store, sums());
    const snapshots = new SnapshotStore(store);
    expect((await keysOf(snapshots, sums())).length).toBe(1_500);
    for await (const key of snapshots.keys(sums())) {
      expect(Number(key)).toBeLessThan(1_500);
      break;
    }
    const reason = new Error('enough');
    expect(await errorOf(snapshots.keys(sums(), { signal: AbortSignal.abort(reason) }).next())).toBe(reason);
  });

  test.each(['', 'a'.repeat(1_025), '\ud800'])('refuses a key that cannot be: %j', async (key) => {
    await using store = await openStore();
    expect(await errorOf(new SnapshotStore(store).get(sums(), key))).toBeInstanceOf(InvalidInputError);
  });

  test('refuses options that exclude each other', async () => {
    await using store = await openStore();
    const { token, position } = await store.append(notes.stream('1'), note(1));
    const snapshots = new SnapshotStore(store);
    const byN = projection({ name: 'by-n', categories: [notes], key: ({ data }) => String(data.n), initialState: () => 0, evolve: (n) => n + 1 });
    for (const options of [
      { at: position, fresh: true },
      { at: position, atLeast: token },
      { at: new Date(Number.NaN) },
      { atLeast: token, timeoutMs: -1 },
    ])
      expect(await errorOf(snapshots.get(sums(), '1', options))).toBeInstanceOf(InvalidInputError);
    expect(await errorOf(snapshots.get(byN, '1', { fresh: true }))).toBeInstanceOf(InvalidInputError);
  });
});

describe('a read that asks for an append', () => {
  test('waits until the document holds it, in another process too', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await using elsewhere = await openStore({ namespace });
    await using _running = run(store, { projections: [sums()] });
    const snapshots = new SnapshotStore(elsewhere);
    for (let n = 1; n <= 50; n += 1) {
      const { token } = await store.append(notes.stream('1'), note(n));
      expect((await snapshots.get(sums(), '1', { atLeast: token }))?.count).toBe(n);
    }
  });

  test('is woken by the commit', async () => {
    await using store = await openStore();
    await using running = run(store, { projections: [sums()] });
    const snapshots = new SnapshotStore(store);
    await snapshots.get(sums(), '1', { atLeast: (await store.append(notes.stream('1'), note(0))).token });
    const waits: number[] = [];
    for (let n = 0; n < 30; n += 1) {
      const { token } = await store.append(notes.stream('1'), note(n));
      const startedAt = performance.now();
      await snapshots.get(sums(), '1', { atLeast: token });
      waits.push(performance.now() - startedAt);
    }
    waits.sort((a, b) => a - b);
    expect(waits[15]).toBeLessThan(200); // the look without a call comes after 250 ms
    expect(running.failed).toEqual([]);
  });

  test('is satisfied where nothing of its categories lies in between', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), note(1));
    await project(store, sums());
    const { token } = await store.append(marks.stream('1'), someNotes(3));
    const snapshots = new SnapshotStore(store);
    expect((await snapshots.get(sums(), '1', { atLeast: token, timeoutMs: 0 }))?.count).toBe(1);
    expect(await errorOf(snapshots.get(lists(), '1', { atLeast: token, timeoutMs: 10 }))).toBeInstanceOf(NotCaughtUpError);
  });

  test('fails when that takes too long, and says who is late', async () => {
    await using store = await openStore();
    const { token, position } = await store.append(notes.stream('1'), note(1));
    const startedAt = performance.now();
    const error = await errorOf(new SnapshotStore(store).get(sums(), '1', { atLeast: token, timeoutMs: 150 }));
    expect(error).toBeInstanceOf(NotCaughtUpError);
    expect(error.message).toContain('sums@1');
    expect(error.message).toContain(position);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(140);
  });

  test('ends at its signal', async () => {
    await using store = await openStore();
    const { token } = await store.append(notes.stream('1'), note(1));
    const stopping = new AbortController();
    const outcome = errorOf(new SnapshotStore(store).get(sums(), '1', { atLeast: token, timeoutMs: 60_000, signal: stopping.signal }));
    setTimeout(() => stopping.abort(new Error('enough')), 50);
    expect((await outcome).message).toBe('enough');
  });

  test('takes the token of several appends, joined', async () => {
    await using store = await openStore({ partitions: 6 });
    const snapshots = new SnapshotStore(store);
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    const token = joinTokens(...results.map((each) => each.token));
    expect(await errorOf(snapshots.get(sums(), '1', { atLeast: token, timeoutMs: 10 }))).toBeInstanceOf(NotCaughtUpError);
    await using _running = run(store, { projections: [sums()] });
    expect(
      (
        await snapshots.getMany(
          sums(),
          results.map((_, n) => String(n)),
          { atLeast: token },
        )
      ).size,
    ).toBe(20);
    expect(() => joinTokens()).toThrow(InvalidInputError);
  });

  test('refuses the token of another store, and what is none', async () => {
    await using store = await openStore();
    await using other = await openStore();
    const { token } = await other.append(notes.stream('1'), note(1));
    const snapshots = new SnapshotStore(store);
    expect(await errorOf(snapshots.get(sums(), '1', { atLeast: token }))).toBeInstanceOf(StoreMismatchError);
    for (const text of ['', 'x', '{}', `${token}.9`])
      expect(await errorOf(snapshots.get(sums(), '1', { atLeast: text as Token }))).toBeInstanceOf(InvalidInputError);
  });

  test('tells a token beyond the end of the log as a loss, and does not wait for it', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await store.append(notes.stream('1'), note(1));
    await project(store, sums());
    const { token } = await store.append(notes.stream('1'), note(2));
    // As a backup does that was made before.
    const [head] = (await raw.send('KEYS', `{${namespace}:0}:head`)) as string[];
    await raw.send('DECRBY', head ?? '', '4096000');
    expect(await errorOf(new SnapshotStore(store).get(sums(), '1', { atLeast: token, timeoutMs: 60_000 }))).toMatchObject({ code: 'log-lost' });
  });
});

describe('a document as it was', () => {
  test('holds what stood at or before a position', async () => {
    await using store = await openStore();
    const results = [];
    for (let n = 1; n <= 10; n += 1) results.push(await store.append((n % 2 ? notes : marks).stream('1'), note(n)));
    const snapshots = new SnapshotStore(store);
    for (const [index, { position }] of results.entries())
      expect(await snapshots.get(lists(), '1', { at: position })).toEqual(Array.from({ length: index + 1 }, (_, n) => n + 1));
    expect(await snapshots.get(lists(), '2', { at: results[9]?.position as never })).toBeUndefined();
  });

  test('holds what was recorded at or before a time', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(3));
    const [first] = await Promise.all([store.append(notes.stream('1'), note(4)), new Promise((resolve) => setTimeout(resolve, 30))]);
    await store.append(notes.stream('1'), note(5));
    const snapshots = new SnapshotStore(store);
    const time = new Date(Number(first.position.split('-')[0]));
    expect((await snapshots.get(sums(), '1', { at: time }))?.count).toBe(4);
    expect(await snapshots.get(sums(), '1', { at: new Date(time.getTime() - 60_000) })).toBeUndefined();
    expect((await snapshots.get(sums(), '1', { at: new Date(time.getTime() + 60_000) }))?.count).toBe(5);
  });

  test('holds imported events by the time that they carry, which is older than their place', async () => {
    await using store = await openStore();
    await using raw = await connectRaw();
    const key = uniqueNamespace('foreign');
    await store.append(notes.stream('1'), note(1));
    for (const time of ['1000000000000-0', '1100000000000-0']) await raw.send('XADD', key, time, 'n', time.slice(0, 2));
    const imported = source({ key, into: notes, decode: ({ fields }) => ({ id: '1', event: note(Number(fields['n'])) }) });
    await using processor = new StreamProcessor(store, { sources: [imported], projections: [lists()] });
    await processor.runUntilCaughtUp();
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(lists(), '1')).toEqual([1, 10, 11]);
    expect(await snapshots.get(lists(), '1', { at: new Date(1_050_000_000_000) })).toEqual([10]);
    expect(await snapshots.get(lists(), '1', { at: new Date(1_100_000_000_000) })).toEqual([10, 11]);
    expect(await snapshots.get(lists(), '1', { at: new Date() })).toEqual([1, 10, 11]);
    await raw.send('DEL', key);
  });

  test('is folded from the categories where the projection has a key of its own, and can be stopped', async () => {
    await using store = await openStore({ partitions: 4 });
    const byParity = projection({
      name: 'by-parity',
      categories: [notes],
      key: ({ data: { n } }) => (n % 2 ? 'odd' : 'even'),
      initialState: () => 0,
      evolve: (sum, event) => sum + event.data.n,
    });
    const results = await Promise.all(Array.from({ length: 300 }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    const snapshots = new SnapshotStore(store);
    expect(Object.fromEntries(await snapshots.getMany(byParity, ['odd', 'even', 'none'], { at: new Date(Date.now() + 60_000) }))).toEqual({
      odd: 22_500,
      even: 22_350,
    });
    // A position is one of its partition: of the others nothing is told.
    const { position } = results[0] as (typeof results)[number];
    expect(await snapshots.get(byParity, 'even', { at: position })).toBe(0);
    const reason = new Error('enough');
    expect(await errorOf(snapshots.get(byParity, 'odd', { at: new Date(), signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  test('that was deleted and came back is so too', async () => {
    await using store = await openStore();
    const deleting = projection({
      name: 'deleting',
      categories: [notes],
      initialState: () => ({ count: 0 }),
      evolve: ({ count }, { data: { n } }) => (n < 0 ? null : { count: count + 1 }),
    });
    const positions = [];
    for (const n of [1, 2, -1, 3]) positions.push((await store.append(notes.stream('1'), note(n))).position);
    const snapshots = new SnapshotStore(store);
    const states = [];
    for (const at of positions) states.push((await snapshots.get(deleting, '1', { at }))?.count);
    expect(states).toEqual([1, 2, undefined, 1]);
  });
});

describe('a fresh document', () => {
  test('holds every event, folded by a processor or not', async () => {
    await using store = await openStore();
    const snapshots = new SnapshotStore(store);
    const numbers: number[] = [];
    const appendSome = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1) {
        numbers.push(numbers.length);
        await store.append((numbers.length % 3 ? notes : marks).stream('1'), note(numbers.length - 1));
      }
    };
    expect(await snapshots.get(lists(), '1', { fresh: true })).toBeUndefined();
    await appendSome(5);
    expect(await snapshots.get(lists(), '1', { fresh: true })).toEqual(numbers);
    await project(store, lists());
    expect(await snapshots.get(lists(), '1', { fresh: true })).toEqual(numbers);
    await appendSome(70);
    expect(await snapshots.get(lists(), '1', { fresh: true })).toEqual(numbers);
    expect(await snapshots.get(lists(), '1')).toHaveLength(5);
    await store.append(notes.stream('1'), someNotes(1_000, 75));
    await store.append(notes.stream('1'), someNotes(500, 1_075));
    expect(await snapshots.get(lists(), '1', { fresh: true })).toEqual(Array.from({ length: 1_575 }, (_, n) => n));
  });

  test('knows of a deletion that was not folded yet', async () => {
    await using store = await openStore();
    const deleting = projection({
      name: 'deleting',
      categories: [notes],
      initialState: () => ({ count: 0 }),
      evolve: ({ count }, { data: { n } }) => (n < 0 ? null : { count: count + 1 }),
    });
    const snapshots = new SnapshotStore(store);
    await store.append(notes.stream('1'), [note(1), note(2)]);
    await project(store, deleting);
    await store.append(notes.stream('1'), note(-1));
    expect(await snapshots.get(deleting, '1', { fresh: true })).toBeUndefined();
    expect(await snapshots.get(deleting, '1')).toEqual({ count: 2 });
    await project(store, deleting);
    await store.append(notes.stream('1'), note(1));
    expect(await snapshots.get(deleting, '1', { fresh: true })).toEqual({ count: 1 });
  });
});
