// What a read promises: everything from where it begins, once, in order, in both directions, over any number of partitions.
import {
  category,
  type Cursor,
  CorruptEntryError,
  comparePositions,
  type EventReader,
  InvalidInputError,
  type Position,
  type RecordedEvent,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { collect, errorOf, marks, type Noted, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => (from <= to ? from + index : from - index));

const partitionOf = (position: Position): string => position.split('@')[1] ?? '0';

/** Whether each partition's events stand in the order of their positions. */
function areInOrder(events: readonly RecordedEvent[], direction = 1): boolean {
  const last = new Map<string, Position>();
  return events.every(({ position }) => {
    const before = last.get(partitionOf(position));
    last.set(partitionOf(position), position);
    return before === undefined || comparePositions(before, position) * direction < 0;
  });
}

describe('reading a stream', () => {
  test('goes both ways from a version, which is included', async () => {
    await using store = await openStore();
    await store.append(stream, someNotes(10));
    const read = async (options: Parameters<typeof store.readStream>[1]) => numbersOf(await collect(store.readStream(stream, options)));
    expect(await read({})).toEqual(range(1, 10));
    expect(await read({ from: 4 })).toEqual(range(4, 10));
    expect(await read({ from: 11 })).toEqual([]);
    expect(await read({ from: 10 })).toEqual([10]);
    expect(await read({ from: 'end' })).toEqual([]);
    expect(await read({ direction: 'backward' })).toEqual(range(10, 1));
    expect(await read({ direction: 'backward', from: 4 })).toEqual(range(4, 1));
    expect(await read({ direction: 'backward', from: 400 })).toEqual(range(10, 1));
    expect(await read({ direction: 'backward', from: 'start' })).toEqual([]);
    expect(await read({ direction: 'backward', from: 'end', limit: 3 })).toEqual([10, 9, 8]);
    expect(await read({ from: 4, limit: 3 })).toEqual([4, 5, 6]);
    expect(await read({ limit: 0 })).toEqual([]);
  });

  test('goes both ways from a position, which is not, its own or of another stream', async () => {
    await using store = await openStore();
    const positions: Position[] = [];
    for (const n of range(1, 10)) positions.push((await store.append(n % 2 ? stream : marks.stream('1'), note(n))).position);
    const read = async (from: Position, direction: 'forward' | 'backward') => numbersOf(await collect(store.readStream(stream, { from, direction })));
    for (const n of range(1, 10)) {
      expect(await read(positions[n - 1] as Position, 'forward')).toEqual([1, 3, 5, 7, 9].filter((each) => each > n));
      expect(await read(positions[n - 1] as Position, 'backward')).toEqual([9, 7, 5, 3, 1].filter((each) => each < n));
    }
  });

  test('is empty where there is none, and only in its own partition', async () => {
    await using store = await openStore({ partitions: 6 });
    expect(await collect(store.readStream(stream))).toEqual([]);
    expect(await collect(store.readStream(stream, { direction: 'backward' }))).toEqual([]);
    const { position } = await store.append(stream, someNotes(2));
    const other = range(2, 50).find((id) => new Keys('x', 6).partitionOf(String(id)) !== new Keys('x', 6).partitionOf('1'));
    expect(await errorOf(collect(store.readStream(notes.stream(String(other)), { from: position })))).toBeInstanceOf(InvalidInputError);
    expect(await collect(store.readStream(stream, { from: position }))).toEqual([]);
  });

  test('of many pages is whole, both ways, also between those of others', async () => {
    await using store = await openStore();
    const appends = range(1, 6_000).map((n) => store.append(n % 3 === 0 ? stream : notes.stream(`o${n % 7}`), note(n)));
    await Promise.all(appends);
    await store.append(stream, someNotes(900, 7_000));
    const expected = [...range(1, 6_000).filter((n) => n % 3 === 0), ...range(7_000, 7_899)];
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual(expected);
    expect(numbersOf(await collect(store.readStream(stream, { direction: 'backward' })))).toEqual([...expected].reverse());
  });
});

describe.each([1, 6])('reading the log of %i partitions', (partitions) => {
  async function filled(): Promise<{ store: Awaited<ReturnType<typeof openStore>>; [Symbol.asyncDispose](): Promise<void> }> {
    const store = await openStore({ partitions });
    const appends = range(1, 3_000).map((n) => {
      return store.append((n % 11 === 0 ? marks : notes).stream(String(n % 40)), note(n));
    });
    await Promise.all(appends);
    return { store, [Symbol.asyncDispose]: () => store.close() };
  }

  test('gives every event once, in the order of its partition, both ways', async () => {
    await using log = await filled();
    const forward = await collect(log.store.readAll());
    expect(numbersOf(forward).sort((a, b) => a - b)).toEqual(range(1, 3_000));
    expect(areInOrder(forward)).toBe(true);
    const backward = await collect(log.store.readAll({ direction: 'backward' }));
    expect(areInOrder(backward, -1)).toBe(true);
    expect(numbersOf(backward).sort((a, b) => a - b)).toEqual(range(1, 3_000));
    if (partitions === 1) expect(backward).toEqual([...forward].reverse());
    const ofMarks = await collect(log.store.readCategory(marks));
    expect(numbersOf(ofMarks).sort((a, b) => a - b)).toEqual(range(1, 3_000).filter((n) => n % 11 === 0));
    expect(areInOrder(ofMarks)).toBe(true);
    expect(await collect(log.store.readAll({ limit: 7 }))).toEqual(forward.slice(0, 7));
    expect(await collect(log.store.readAll({ limit: 7, direction: 'backward' }))).toEqual(backward.slice(0, 7));
  });

  test('goes on from a cursor without a gap or a double, wherever it was taken', async () => {
    await using log = await filled();
    for (const direction of ['forward', 'backward'] as const) {
      const whole = numbersOf(await collect(log.store.readAll({ direction })));
      const pieces: number[] = [];
      let cursor: Cursor | undefined;
      for (const limit of [1, 1, 3, 99, 100, 101, 500, 1_000, 5_000]) {
        const reader: EventReader<Noted> = log.store.readAll({ direction, limit, ...(cursor && { from: cursor }) }) as EventReader<Noted>;
        pieces.push(...numbersOf(await collect(reader)));
        cursor = reader.cursor;
      }
      expect(pieces.length).toBe(3_000);
      if (partitions === 1) expect(pieces).toEqual(whole);
      expect([...pieces].sort((a, b) => a - b)).toEqual(range(1, 3_000));
      expect(numbersOf(await collect(log.store.readAll({ direction, from: cursor as Cursor })))).toEqual([]);
    }
  });

  test('goes on from a position where there is one partition, and refuses it where there are more', async () => {
    await using log = await filled();
    const all = await collect(log.store.readAll());
    const from = all[1_499]?.position as Position;
    if (partitions > 1) {
      expect(await errorOf((async () => await collect(log.store.readAll({ from })))())).toBeInstanceOf(InvalidInputError);
      return;
    }
    expect(await collect(log.store.readAll({ from }))).toEqual(all.slice(1_500));
    expect(await collect(log.store.readAll({ from, direction: 'backward' }))).toEqual(all.slice(0, 1_499).reverse());
    expect(await collect(log.store.readCategory(marks, { from }))).toEqual(
      all.slice(1_500).filter(({ streamName }) => streamName.startsWith('marks')),
    );
  });
});

test('a read of everything passes over no category that comes while it runs', async () => {
  await using store = await openStore();
  await store.append(stream, someNotes(1_000));
  let appended = 1_000;
  const next = (): Noted => note((appended += 1));
  const seen: number[] = [];
  for await (const event of store.readAll()) {
    seen.push(...numbersOf([event]));
    // New categories, each with an event between others that are still to be read.
    if (seen.length % 50 !== 0 || seen.length > 900) continue;
    const fresh = category<Noted>(`c${seen.length}`);
    await Promise.all([store.append(stream, next()), store.append(fresh.stream('1'), next()), store.append(stream, next())]);
  }
  // What is appended while the last page is read may come too late; what is read has no gap. The third page is asked for when the
  // first is done: then two new categories are there, with three events each.
  expect(seen).toEqual(range(1, seen.length));
  expect(seen.length).toBeGreaterThanOrEqual(1_006);
});

describe('an entry that was written by something else', () => {
  const cases: readonly [string, readonly string[]][] = [
    ['has other fields', ['some', 'thing']],
    ['lacks a field', ['type', 'Noted', 'id', '1', 'version', '2']],
    ['has a field twice', ['type', 'Noted', 'type', 'Noted', 'id', '1', 'version', '2', 'data', '{}']],
    ['has its fields in another order', ['id', '1', 'type', 'Noted', 'version', '2', 'data', '{}']],
    ['has a version that is none', ['type', 'Noted', 'id', '1', 'version', 'two', 'data', '{}']],
    ['has data that is no JSON', ['type', 'Noted', 'id', '1', 'version', '2', 'data', '{']],
    ['has metadata that is no JSON', ['type', 'Noted', 'id', '1', 'version', '2', 'data', '{}', 'metadata', '{']],
  ];

  test.each(cases)('and %s is reported with its key and its id, after what stands before it', async (_, fields) => {
    const namespace = uniqueNamespace();
    await using raw = await connectRaw();
    await using store = await openStore({ namespace, partitions: 1 });
    const key = new Keys(namespace, 1).log(0, 'notes');
    await store.append(stream, note(1));
    const entryId = String(await raw.send('XADD', key, '*', ...fields));
    const seen: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const event of store.readCategory(notes)) seen.push(event.data.n);
    };
    expect(await errorOf(reading())).toMatchObject({ code: 'corrupt-entry', key, entryId });
    expect((await errorOf(collect(await store.subscribe({ categories: [notes] })))).message).toContain(entryId);
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual([1]);
  });

  test('is reported also where it ends a page with an id that no append gives', async () => {
    const namespace = uniqueNamespace();
    await using raw = await connectRaw();
    await using store = await openStore({ namespace, partitions: 1 });
    const { position } = await store.append(stream, someNotes(99));
    await raw.send('XADD', new Keys(namespace, 1).log(0, 'notes'), `${position.split('-')[0]}-5000`, 'some', 'thing');
    await store.append(stream, someNotes(200));
    for (const direction of ['forward', 'backward'] as const) {
      expect(await errorOf(collect(store.readCategory(notes, { direction })))).toBeInstanceOf(CorruptEntryError);
      expect(await errorOf(collect(store.readAll({ direction })))).toBeInstanceOf(CorruptEntryError);
    }
    expect(await collect(store.readStream(stream))).toHaveLength(299);
  });
});

test.each([
  ['a version of zero', { from: 0 }],
  ['a fraction', { from: 1.5 }],
  ['NaN', { from: Number.NaN }],
  ['a text that is no position', { from: '1-2-3' as Position }],
  ['an invalid date', { from: new Date('no date') }],
  ['a direction that is none', { direction: 'sideways' as 'forward' }],
  ['a limit below zero', { limit: -1 }],
])('a read of a stream refuses %s', async (_, options) => {
  await using store = await openStore();
  expect(await errorOf((async () => await collect(store.readStream(stream, options)))())).toBeInstanceOf(InvalidInputError);
});
