// Tests what inspect tells: of the server, the store, its streams and events, and its documents.
import { category, type Event, type EventStore, inspect, InvalidInputError, isMillraceError, projection } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { project, sums } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

async function listOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

let namespace: string;
let store: EventStore;
let raw: RawClient;

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace });
  raw = await connectRaw();
});

afterEach(async () => {
  await store.close();
  raw.close();
});

describe('the server and the store', () => {
  test('are told with version, memory and state', async () => {
    const [server] = await inspect(store).server();
    expect(server).toMatchObject({ role: 'primary', maxmemoryPolicy: 'noeviction' });
    expect(['redis', 'valkey']).toContain(server?.engine);
    expect(server?.version).toMatch(/^\d+\.\d+/);
    expect(server?.memoryUsedBytes).toBeGreaterThan(100_000);
  });

  test('count events by partition and category, with the first and last event where asked', async () => {
    await store.append(notes.stream('a'), someNotes(3));
    await store.append(notes.stream('b'), someNotes(2));
    await store.append(marks.stream('a'), note(9));
    const { events, heads, partitions, scheduled } = await inspect(store).store();
    expect({ events, scheduled }).toEqual({ events: 6, scheduled: 0 });
    expect(heads).toHaveLength(partitions);
    expect(heads.reduce((sum, head) => sum + head.events, 0)).toBe(6);
    const plainly = await inspect(store).categories();
    expect(plainly.map(({ category: name, events: count }) => [name, count])).toEqual([
      ['marks', 1],
      ['notes', 5],
    ]);
    const [, asked] = await inspect(store).categories({ bytes: true, ends: true });
    expect(asked?.first?.data).toEqual({ n: 1 });
    expect(asked?.last?.recordedAt.getTime()).toBeGreaterThanOrEqual(asked?.first?.recordedAt.getTime() ?? Number.NaN);
    expect(asked?.bytes).toBeGreaterThan(100);
  });

  test('of an empty store count nothing', async () => {
    expect(await inspect(store).store()).toMatchObject({ events: 0, scheduled: 0 });
    expect(await inspect(store).categories({ bytes: true, ends: true })).toEqual([]);
    expect(await listOf(inspect(store).streams())).toEqual([]);
    expect(await inspect(store).processors()).toEqual([]);
  });
});

describe('a store that is only looked for', () => {
  test('is opened where it is, and refused where there is none, without a trace', async () => {
    await using there = await openStore({ namespace, ifMissing: 'refuse' });
    expect(await inspect(there).store()).toMatchObject({ namespace, events: 0 });
    const nowhere = uniqueNamespace();
    const error = await errorOf(openStore({ namespace: nowhere, ifMissing: 'refuse' }));
    expect(isMillraceError(error, 'store-mismatch')).toBe(true);
    expect(String(error)).toContain(`Expected a store in namespace ${nowhere}, found none there. Nothing was written.`);
    expect(await raw.send('EXISTS', `{${nowhere}}:settings`)).toBe(0);
  });
});

describe('streams', () => {
  beforeEach(async () => {
    for (const id of ['a', 'b', 'c*']) await store.append(notes.stream(id), someNotes(2));
    await store.append(marks.stream('a'), note(1));
    await store.append(notes.stream('a'), note(3));
  });

  test('come each once, with their last event', async () => {
    const found = await listOf(inspect(store).streams({ category: 'notes' }));
    expect(found.map(({ streamName, events, last }) => `${streamName} ${events} ${last?.streamVersion}`).sort()).toEqual([
      'notes:a 3 3',
      'notes:b 2 2',
      'notes:c* 2 2',
    ]);
    expect((await listOf(inspect(store).streams())).map(({ streamName }) => streamName).sort()).toEqual([
      'marks:a',
      'notes:a',
      'notes:b',
      'notes:c*',
    ]);
  });

  test('that were written last come first, as many as are wanted', async () => {
    await using single = await openStore({ partitions: 1 });
    for (const id of ['a', 'b', 'c', 'a']) await single.append(notes.stream(id), note(1));
    const names = async (limit: number): Promise<string[]> => (await listOf(inspect(single).streams({ limit }))).map(({ streamName }) => streamName);
    expect(await names(2)).toEqual(['notes:a', 'notes:c']);
    expect(await names(10)).toEqual(['notes:a', 'notes:c', 'notes:b']);
  });

  test.each(['recent', 'any'] as const)('are found by how they begin, and what is a pattern elsewhere is a letter here (%s)', async (order) => {
    const named = async (startsWith: string): Promise<string[]> =>
      (await listOf(inspect(store).streams({ category: 'notes', order, startsWith }))).map(({ streamName }) => streamName).sort();
    expect(await named('')).toEqual(['notes:a', 'notes:b', 'notes:c*']);
    expect(await named('c*')).toEqual(['notes:c*']);
    expect(await named('*')).toEqual([]);
    expect(await listOf(inspect(store).streams({ order, startsWith: 'marks:' }))).toMatchObject([{ streamName: 'marks:a', events: 1 }]);
  });

  test('end with the reason of an abort', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(listOf(inspect(store).streams({ order: 'any', signal }))).rejects.toThrow('enough');
    await expect(listOf(inspect(store).streams({ signal }))).rejects.toThrow('enough');
  });
});

describe('an event', () => {
  test('is found by its position, by stream and version, and by its id', async () => {
    await store.append(notes.stream('a'), [note(1), { ...note(2), id: 'mine' }]);
    const [first, second] = await listOf(store.readStream(notes.stream('a')));
    const facts = inspect(store);
    expect(await facts.event(first?.position ?? ('' as never))).toEqual(first);
    expect(await facts.event({ streamName: 'notes:a', streamVersion: 2 })).toEqual(second);
    expect(await facts.findById('notes:a@1')).toEqual(first);
    expect(await facts.findById('mine')).toEqual(second);
  });

  test('that is not there is undefined, and what is no place is refused', async () => {
    const { position } = await store.append(notes.stream('a'), note(1));
    await using other = await openStore();
    const facts = inspect(store);
    expect(await facts.event({ streamName: 'notes:a', streamVersion: 2 })).toBeUndefined();
    expect(await facts.event({ streamName: 'notes:b', streamVersion: 1 })).toBeUndefined();
    expect(await inspect(other).event(position)).toBeUndefined();
    expect(await facts.findById('notes:a@2')).toBeUndefined();
    expect(await facts.findById('nobody')).toBeUndefined();
    expect(await errorOf(facts.event({ streamName: 'notes', streamVersion: 1 }))).toBeInstanceOf(InvalidInputError);
    expect(await errorOf(facts.event('yesterday' as never))).toBeInstanceOf(InvalidInputError);
  });

  test('is told with what caused it and what it caused', async () => {
    await store.append(notes.stream('cause'), note(1));
    await store.append(notes.stream('other'), note(2));
    for (const id of ['x', 'y', 'z'])
      await store.append(marks.stream(id), { ...note(3), id: `mine-${id}`, metadata: { causationId: 'notes:cause@1', correlationId: 'c' } });
    await store.append(notes.stream('last'), { ...note(4), metadata: { causationId: 'mine-y' } });
    const facts = inspect(store);
    const root = await facts.eventFacts({ streamName: 'notes:cause', streamVersion: 1 });
    expect(root?.cause).toBeUndefined();
    expect(root?.isSearchComplete).toBe(true);
    expect(root?.effects.map(({ streamName }) => streamName).sort()).toEqual(['marks:x', 'marks:y', 'marks:z']);
    const middle = await facts.eventFacts({ streamName: 'marks:y', streamVersion: 1 });
    expect(middle?.cause?.streamName).toBe('notes:cause');
    expect(middle?.effects.map(({ streamName }) => streamName)).toEqual(['notes:last']);
    const last = await facts.eventFacts({ streamName: 'notes:last', streamVersion: 1 });
    expect(last?.cause?.streamName).toBe('marks:y');
  });

  test('names the cause that is not found, and says where the search for effects ended early', async () => {
    await store.append(notes.stream('a'), { ...note(1), metadata: { causationId: 'a command' } });
    await store.append(notes.stream('b'), someNotes(5));
    const found = await inspect(store).eventFacts({ streamName: 'notes:a', streamVersion: 1 }, { within: 3 });
    expect(found).toMatchObject({ cause: undefined, causationId: 'a command', effects: [], isSearchComplete: false });
    expect(await inspect(store).eventFacts({ streamName: 'notes:a', streamVersion: 1 }, { within: 5 })).toMatchObject({ isSearchComplete: true });
  });
});

describe('documents', () => {
  test('are told as they are stored, by name and version alone', async () => {
    await store.append(notes.stream('a'), someNotes(3));
    const { position } = await store.append(notes.stream('a'), note(4));
    await project(store, sums());
    const facts = inspect(store);
    expect(await facts.document({ name: 'sums', version: 1 }, 'a')).toMatchObject({ key: 'a', state: { count: 4, sum: 10 }, position });
    expect(await facts.document({ name: 'sums', version: 1 }, 'b')).toBeUndefined();
    expect(await facts.document({ name: 'sums', version: 2 }, 'a')).toBeUndefined();
  });

  test('are listed by their keys, by how they begin, without those that were removed', async () => {
    type Word = Event<'Said' | 'Unsaid', { readonly word: string }>;
    const words = category<Word>('words');
    const said = projection({
      name: 'said',
      categories: [words],
      key: ({ data }) => data.word,
      initialState: () => ({ count: 0 }),
      evolve: ({ count }, { type }) => (type === 'Said' ? { count: count + 1 } : null),
    });
    for (const word of ['one', 'on*', 'two', 'once']) await store.append(words.stream(word.slice(0, 1)), { type: 'Said', data: { word } });
    await store.append(words.stream('o'), { type: 'Unsaid', data: { word: 'once' } });
    await project(store, said);
    const keys = async (startsWith: string): Promise<string[]> => (await listOf(inspect(store).documentKeys(said, { startsWith }))).sort();
    expect(await keys('')).toEqual(['on*', 'one', 'two']);
    expect(await keys('on')).toEqual(['on*', 'one']);
    expect(await keys('on*')).toEqual(['on*']);
    expect(await listOf(inspect(store).documentKeys(said, { limit: 2 }))).toHaveLength(2);
  });

  test('have a history: each of their events in order, over all categories, with what it made of them', async () => {
    const both = projection({
      name: 'both',
      categories: [notes, marks],
      initialState: (): readonly number[] => [],
      evolve: (list, { data, streamName }) => (data.n < 0 ? null : [...list, streamName.startsWith('marks') ? -data.n : data.n]),
    });
    for (const n of [1, 2, 3]) {
      await store.append(notes.stream('a'), note(n));
      await store.append(marks.stream('a'), note(n * 10));
      await store.append(notes.stream('b'), note(99));
    }
    await store.append(notes.stream('a'), note(-1));
    const steps = await listOf(inspect(store).history(both, 'a'));
    expect(steps.map(({ state }) => state)).toEqual([
      [1],
      [1, -10],
      [1, -10, 2],
      [1, -10, 2, -20],
      [1, -10, 2, -20, 3],
      [1, -10, 2, -20, 3, -30],
      undefined,
    ]);
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await listOf(inspect(store).history(both, 'a', { from: 6 }))).toEqual(steps.slice(5));
    expect(await listOf(inspect(store).history(both, 'nobody'))).toEqual([]);
  });

  test('with a key of their own have a history too', async () => {
    const parity = projection({
      name: 'parity',
      categories: [notes],
      key: ({ data }) => (data.n % 2 === 0 ? 'even' : 'odd'),
      initialState: () => 0,
      evolve: (sum, { data }) => sum + data.n,
    });
    await store.append(notes.stream('a'), someNotes(6));
    expect((await listOf(inspect(store).history(parity, 'even'))).map(({ state }) => state)).toEqual([2, 6, 12]);
  });
});
