// Entries and keys that somebody else wrote into a store: told with key and entry, and gone on behind once they are removed.
import {
  category,
  CorruptEntryError,
  type Event,
  type EventReader,
  type EventStore,
  projection,
  SnapshotStore,
  source,
  StreamProcessor,
} from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { collect, marks, note, notes, numbersOf, openStore } from '../support/store.ts';
import { contentsOf, refusalOf, writingNothing } from './refused.ts';

let raw: RawClient;
beforeAll(async () => {
  raw = await connectRaw();
});
afterAll(() => raw?.close());

const logKey = (namespace: string, name = 'notes'): string => `{${namespace}:0}:log:${name}`;

const ours = ['type', 'Noted', 'id', '1', 'version', '2', 'data', '{"n":2}'];

/** Fields that append does not write. */
const foreignFields: readonly (readonly [string, readonly string[]])[] = [
  ['fields of its own', ['user_id', '1', 'command', 'register']],
  ['one field', ['data', '{"n":2}']],
  ['no version', ['type', 'Noted', 'id', '1', 'data', '{"n":2}']],
  ['no data', ['type', 'Noted', 'id', '1', 'version', '2']],
  ['another order', ['data', '{"n":2}', 'type', 'Noted', 'id', '1', 'version', '2']],
  ['a doubled type', ['type', 'Noted', ...ours]],
  ['doubled data', [...ours, 'data', '{"n":3}']],
  ['a doubled event id', [...ours, 'event-id', 'a', 'event-id', 'b']],
  ['doubled metadata', [...ours, 'metadata', '{}', 'metadata', '{}']],
  ['data that is no JSON', [...ours.slice(0, 7), '{n:2}']],
  ['empty data', [...ours.slice(0, 7), '']],
  ['metadata that is no JSON', [...ours, 'metadata', 'x']],
  ['metadata that is no object', [...ours, 'metadata', '5']],
  ['metadata that is an array', [...ours, 'metadata', '[]']],
  ['a time that is none', [...ours, 'at', 'yesterday']],
  ['a time beyond all times', [...ours, 'at', '9999999999999999']],
  ['the version 0', [...ours.slice(0, 5), '0', 'data', '{}']],
  ['a negative version', [...ours.slice(0, 5), '-1', 'data', '{}']],
  ['a fractional version', [...ours.slice(0, 5), '1.5', 'data', '{}']],
  ['a version that is no number', [...ours.slice(0, 5), 'two', 'data', '{}']],
  ['a version beyond 2^53', [...ours.slice(0, 5), '9007199254740992', 'data', '{}']],
];

/** Resolves when the server's clock is behind an entry's millisecond, so that nothing is appended in the same one. */
async function laterThan(entryId: string): Promise<void> {
  for (let now = 0; now <= Number.parseInt(entryId, 10); ) {
    const [seconds, microseconds] = (await raw.send('TIME')) as [string, string];
    now = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
  }
}

/** Takes what comes until there is nothing more, or an error. */
async function takeAll(reader: EventReader<Event>): Promise<{ numbers: number[]; error: unknown }> {
  const numbers: number[] = [];
  try {
    for await (const { data } of reader) numbers.push((data as { n: number }).n);
    return { numbers, error: undefined };
  } catch (error) {
    return { numbers, error };
  }
}

describe('an entry of the log with', () => {
  it.each(foreignFields)('%s is told by every reader, behind all that stands before it; without it they go on', async (_what, fields) => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(notes.stream('1'), note(1));
    const entryId = String(await raw.send('XADD', logKey(namespace), '*', ...fields));
    await laterThan(entryId);
    await store.append(marks.stream('1'), note(3));
    await store.append(notes.stream('1'), note(4));
    const corrupt = { name: 'CorruptEntryError', code: 'corrupt-entry', key: logKey(namespace), entryId };

    expect(await takeAll(store.readCategory(notes))).toMatchObject({ numbers: [1], error: corrupt });
    expect(await takeAll(store.readAll())).toMatchObject({ numbers: [1], error: corrupt });
    expect(await takeAll(store.readAll({ direction: 'backward' }))).toMatchObject({ numbers: [4, 3], error: corrupt });
    const subscriber = await store.subscribe();
    expect(await takeAll(subscriber)).toMatchObject({ numbers: [1], error: corrupt });
    const error = await refusalOf(() => collect(store.readCategory(notes)));
    expect(error).toBeInstanceOf(CorruptEntryError);
    expect(error.message).toContain(`Look at it with XRANGE ${logKey(namespace)} ${entryId} ${entryId}; remove it with XDEL`);
    expect(numbersOf(await collect(store.readStream(notes.stream('1'))))).toEqual([1, 4]);

    await raw.send('XDEL', logKey(namespace), entryId);
    expect(numbersOf(await collect(await store.subscribe({ from: subscriber.cursor }), 2))).toEqual([3, 4]);
    expect(await takeAll(store.readAll())).toEqual({ numbers: [1, 3, 4], error: undefined });
  });
});

describe('an entry of the log with an id of its own', () => {
  it.each([
    ['before all times', '5-5'],
    ['of the first moment', '0-1'],
  ])('%s is told by every reader', async (_what, entryId) => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('XADD', logKey(namespace), entryId, ...ours);
    await store.append(notes.stream('1'), note(1));
    for (const read of [() => store.readCategory(notes), () => store.readAll()])
      expect(await takeAll(read())).toMatchObject({ numbers: [], error: { entryId } });
    expect(await takeAll(store.readAll({ direction: 'backward' }))).toMatchObject({ numbers: [1], error: { entryId } });
    await raw.send('XDEL', logKey(namespace), entryId);
    expect(await takeAll(store.readAll())).toEqual({ numbers: [1], error: undefined });
  });

  it('that has more entries in its millisecond than there are places is told, and appended behind', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(notes.stream('1'), note(1));
    const entryId = `${Date.now() + 60_000}-5000`;
    await raw.send('XADD', logKey(namespace), entryId, ...ours);
    await store.append(notes.stream('1'), note(2));
    await store.append(marks.stream('1'), note(3));
    expect(await takeAll(store.readAll())).toMatchObject({ numbers: [1], error: { entryId } });
    await raw.send('XDEL', logKey(namespace), entryId);
    expect(await takeAll(store.readAll())).toEqual({ numbers: [1, 2, 3], error: undefined });
  });

  it('that an event of another category has too is told all the same', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    const ahead = Date.now() + 60_000;
    await raw.send('XADD', logKey(namespace), `${ahead}-0`, ...ours);
    const { position } = await store.append(notes.stream('1'), note(1)); // behind it
    await raw.send('XDEL', logKey(namespace), `${ahead}-0`);
    const entryId = position.replace(/-0$/, '-1');
    await raw.send('XADD', logKey(namespace), entryId, 'a', 'b');
    expect(await store.append(marks.stream('1'), note(2))).toMatchObject({ position: entryId });
    expect(await takeAll(store.readAll())).toMatchObject({ numbers: [1], error: { entryId } });
    expect(await takeAll(store.readAll({ direction: 'backward' }))).toMatchObject({ numbers: [], error: { entryId } });
    expect(await takeAll(await store.subscribe())).toMatchObject({ numbers: [1], error: { entryId } });
    await raw.send('XDEL', logKey(namespace), entryId);
    expect(await takeAll(store.readAll())).toEqual({ numbers: [1, 2], error: undefined });
  });

  it.each(['9999999999999-0', '18446744073709551615-18446744073709551615'])(
    'beyond all times is told, and nothing can be appended behind it: %s',
    async (entryId) => {
      const namespace = uniqueNamespace('with_underscore');
      await using store = await openStore({ namespace, partitions: 1 });
      await store.append(notes.stream('1'), note(1));
      await raw.send('XADD', logKey(namespace), entryId, ...ours);
      expect(await takeAll(store.readAll())).toMatchObject({ numbers: [1], error: { entryId } });
      const append = (): Promise<unknown> => store.append(notes.stream('1'), note(2), { expectedVersion: 1 });
      const error = await writingNothing(namespace, () => refusalOf(append));
      expect(error).toMatchObject({ name: 'ServerRefusedError', code: 'server-refused', reason: 'ERR' });
      expect(error.message).toMatch(
        /(an entry of \{with_underscore.* has an id beyond all times|ERR The stream has exhausted the last possible ID.*)\. Nothing of it was written\./,
      );
      await store.append(marks.stream('1'), note(3)); // the other logs go on
      await raw.send('XDEL', logKey(namespace), entryId);
      expect(await takeAll(store.readAll())).toEqual({ numbers: [1, 3], error: undefined });
    },
  );
});

describe('a projection', () => {
  it('stops at an entry that somebody else wrote, others go on, and without it so does it', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    const definition = { initialState: () => 0, evolve: (sum: number, { data }: { readonly data: { readonly n: number } }) => sum + data.n };
    const [sums, markSums] = [
      projection({ name: 'sums', categories: [notes], ...definition }),
      projection({ name: 'mark-sums', categories: [marks], ...definition }),
    ];
    await store.append(notes.stream('1'), note(1));
    const entryId = String(await raw.send('XADD', logKey(namespace), '*', 'a', 'b'));
    await laterThan(entryId);
    await store.appendAll([
      { stream: notes.stream('1'), events: note(2) },
      { stream: marks.stream('1'), events: note(8) },
    ]);
    const snapshots = new SnapshotStore(store);
    {
      await using processor = new StreamProcessor(store, { projections: [sums] });
      expect(await refusalOf(() => processor.runUntilCaughtUp())).toMatchObject({ code: 'corrupt-entry', key: logKey(namespace), entryId });
    }
    await using other = new StreamProcessor(store, { projections: [sums, markSums] });
    const failed = new Promise((resolve) => other.on('failed', resolve));
    other.start();
    expect(await failed).toMatchObject({ projection: 'sums', error: { code: 'corrupt-entry', entryId } });
    const { token } = await store.append(marks.stream('1'), note(8));
    expect(await snapshots.get(markSums, '1', { atLeast: token })).toBe(16);
    expect(await snapshots.get(sums, '1', { whileBuilding: true })).toBe(1);
    await other.stop();

    await raw.send('XDEL', logKey(namespace), entryId);
    await using mended = new StreamProcessor(store, { projections: [sums] });
    await mended.runUntilCaughtUp();
    expect(await snapshots.get(sums, '1')).toBe(3);
  });
});

describe('a source', () => {
  it('takes entries with ids beyond all times at the time of their import', async () => {
    await using store = await openStore({ partitions: 1 });
    const key = uniqueNamespace('source');
    await raw.send('XADD', key, '0-1', 'n', '1');
    await raw.send('XADD', key, '9999999999999-0', 'n', '2');
    await raw.send('XADD', key, '18446744073709551615-18446744073709551615', 'n', '3');
    const imported = source({ key, into: notes, decode: ({ fields }) => ({ id: '1', event: note(Number(fields['n'])) }) });
    await using processor = new StreamProcessor(store, { sources: [imported] });
    await processor.runUntilCaughtUp();
    const events = await collect(store.readStream(notes.stream('1')));
    expect(numbersOf(events)).toEqual([1, 2, 3]);
    expect(events[0]?.recordedAt).toEqual(new Date(0));
    for (const { recordedAt } of events) expect(recordedAt.getTime()).toBeLessThan(Date.now() + 60_000);
    await raw.send('DEL', key);
  });
});

describe('a key of the store that is of another type', () => {
  const papers = category<Event<'Noted', { readonly n: number }>>('papers');
  const keyOf = { log: ':log:papers', index: ':stream:papers:1', head: ':head', result: ':result:k', categories: ':categories' };

  async function withKey(name: keyof typeof keyOf, use: (store: EventStore, namespace: string, key: string) => Promise<void>): Promise<void> {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    const key = `{${namespace}:0}${keyOf[name]}`;
    await raw.send(...(name === 'log' || name === 'index' || name === 'categories' ? ['SET', key, 'x'] : ['RPUSH', key, 'x']));
    await use(store, namespace, key);
  }

  it.each(['log', 'index', 'head', 'result', 'categories'] as const)('makes an append fail whole: the %s', async (name) => {
    await withKey(name, async (store, namespace) => {
      const events = [note(1), note(2)];
      for (const options of name === 'result' ? [{ idempotencyKey: 'k' }] : [{}, { idempotencyKey: 'k' }]) {
        const error = await writingNothing(namespace, () => refusalOf(() => store.append(papers.stream('1'), events, options)));
        expect(error).toMatchObject({ code: 'server-refused', reason: 'WRONGTYPE' });
        expect(error.message).toContain('look at it with TYPE');
      }
      if (name !== 'result') await writingNothing(namespace, () => refusalOf(() => store.append(papers.stream('1'), note(1))));
      const before = await contentsOf(raw, namespace);
      if (name === 'head' || name === 'categories') return;
      await store.append(notes.stream('1'), note(1)); // others are not disturbed
      expect((await contentsOf(raw, namespace)).size).toBeGreaterThan(before.size);
    });
  });

  it.each(['log', 'index', 'categories'] as const)('is told by a read: the %s', async (name) => {
    await withKey(name, async (store) => {
      const reader: EventReader<Event> =
        name === 'log' ? store.readCategory(papers) : name === 'index' ? store.readStream(papers.stream('1')) : store.readAll();
      const error = await refusalOf(() => collect(reader));
      expect(error).toMatchObject({ name: 'ServerRefusedError', reason: 'WRONGTYPE' });
    });
  });
});
