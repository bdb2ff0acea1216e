// What importing a foreign Redis Stream promises: each entry once, in order, with its time; bad ones stop it or are counted.
import { appendLimits, type Imported, type Source, SourceFailedError, SnapshotStore, source, type SourceEntry, StreamProcessor } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { lists, project, run, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, type Noted, notes, numbersOf, openStore } from '../support/store.ts';

let raw: RawClient;
const foreignKeys: string[] = [];

beforeAll(async () => {
  raw = await connectRaw();
});

afterAll(async () => {
  await raw.send('DEL', ...foreignKeys);
  await raw[Symbol.asyncDispose]();
});

function foreignKey(): string {
  const key = uniqueNamespace('foreign');
  foreignKeys.push(key);
  return key;
}

async function add(key: string, entryId: string, ...fields: string[]): Promise<string> {
  return String(await raw.send('XADD', key, entryId, ...fields));
}

/** Fields `id` and `n`; refuses an `n` that is no number. */
function decodeNumber({ fields: { id = '1', n } }: SourceEntry): Imported<Noted> {
  const number = Number(n);
  if (n === undefined || Number.isNaN(number)) throw new Error(`no number: ${n}`);
  return { id, event: note(number) };
}

function numbersFrom(key: string, onError: 'stop' | 'skip' = 'stop'): Source {
  return source({ key, into: notes, decode: decodeNumber, onError });
}

describe('a source', () => {
  test('is imported in its order, once, whoever imports again', async () => {
    const namespace = uniqueNamespace();
    const key = foreignKey();
    await using store = await openStore({ namespace, partitions: 1 });
    await using other = await openStore({ namespace, partitions: 1 });
    for (let n = 0; n < 600; n += 1) await add(key, '*', 'id', String(n % 3), 'n', String(n));
    for (const each of [store, other, store]) await new StreamProcessor(each, { sources: [numbersFrom(key)] }).runUntilCaughtUp();
    expect(numbersOf(await collect(store.readCategory(notes)))).toEqual(Array.from({ length: 600 }, (_, n) => n));
    expect((await collect(store.readStream(notes.stream('2')))).map(({ streamVersion }) => streamVersion)).toEqual(
      Array.from({ length: 200 }, (_, n) => n + 1),
    );
  });

  test('is imported by several at once, once, into several partitions', async () => {
    const namespace = uniqueNamespace();
    const key = foreignKey();
    await using store = await openStore({ namespace, partitions: 6 });
    const stores = await Promise.all([0, 1].map(() => openStore({ namespace })));
    const runs = [store, ...stores].map((each) => run(each, { sources: [numbersFrom(key)], projections: [lists()], leaseMs: 300 }));
    for (let n = 0; n < 3_000; n += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, at) => add(key, '*', 'id', String((n + at) % 40), 'n', String(n + at))));
      // Who imports stops in the middle, and another one goes on.
      if (n % 900 === 0) await runs.splice(0, 1)[0]?.processor.stop();
      if (n % 900 === 0) runs.push(run(store, { sources: [numbersFrom(key)], projections: [lists()], leaseMs: 300 }));
    }
    await new StreamProcessor(store, { sources: [numbersFrom(key)], projections: [lists()], leaseMs: 300 }).runUntilCaughtUp();
    await Promise.all(runs.map(({ processor }) => processor.stop()));
    expect(runs.flatMap(({ failed }) => failed)).toEqual([]);
    const documents = await new SnapshotStore(store).getMany(
      lists(),
      Array.from({ length: 40 }, (_, id) => String(id)),
    );
    for (let id = 0; id < 40; id += 1) expect(documents.get(String(id))).toEqual(Array.from({ length: 75 }, (_, n) => n * 40 + id));
    await Promise.all(stores.map((each) => each.close()));
  });

  test('keeps the time of its entries, of ids that are no times too', async () => {
    const key = foreignKey();
    await using store = await openStore();
    await add(key, '1-1', 'n', '1');
    await add(key, '1-2', 'n', '2');
    await add(key, '2', 'n', '3');
    await add(key, '1577650357114-7', 'n', '4');
    await add(key, '18446744073709551614-18446744073709551614', 'n', '5');
    const own = source({
      key,
      into: notes,
      decode: ({ id, fields }) => (id.startsWith('1844') ? undefined : { id: '1', event: note(Number(fields['n'])) }),
    });
    await new StreamProcessor(store, { sources: [own] }).runUntilCaughtUp();
    const events = await collect(store.readStream(notes.stream('1')));
    expect(events.map(({ recordedAt }) => recordedAt.getTime())).toEqual([1, 1, 2, 1_577_650_357_114]);
    expect(numbersOf(events)).toEqual([1, 2, 3, 4]);
    expect((await new StreamProcessor(store, { sources: [own] }).progress()).sources).toEqual([
      { sourceKey: key, entryId: '18446744073709551614-18446744073709551614', entriesSkipped: 0, error: undefined },
    ]);
  });

  test('gives several events for an entry, of several streams, or none', async () => {
    const key = foreignKey();
    await using store = await openStore({ partitions: 3 });
    for (const ids of ['a b', '', 'c', 'a a b c']) await add(key, '*', 'ids', ids);
    const many = source({
      key,
      into: notes,
      decode: ({ fields }) =>
        (fields['ids'] ?? '')
          .split(' ')
          .filter(Boolean)
          .map((id, n) => ({ id, event: note(n) })),
    });
    await using processor = new StreamProcessor(store, { sources: [many], projections: [lists()] });
    await processor.runUntilCaughtUp();
    expect(Object.fromEntries(await new SnapshotStore(store).getMany(lists(), ['a', 'b', 'c']))).toEqual({ a: [0, 0, 1], b: [1, 2], c: [0, 3] });
  });

  test('shows doubled fields as they stand, and the last one by its name', async () => {
    const key = foreignKey();
    await using store = await openStore();
    const seen: SourceEntry[] = [];
    await add(key, '5-0', 'n', '1', 'n', '2', '__proto__', 'x', '7', 'é');
    const own = source({ key, into: notes, decode: (entry) => (seen.push(entry), []) });
    await new StreamProcessor(store, { sources: [own] }).runUntilCaughtUp();
    expect(seen).toHaveLength(1);
    expect(seen[0]?.pairs).toEqual([
      ['n', '1'],
      ['n', '2'],
      ['__proto__', 'x'],
      ['7', 'é'],
    ]);
    expect(Object.entries(seen[0]?.fields ?? {})).toEqual([
      ['7', 'é'],
      ['n', '2'],
      ['__proto__', 'x'],
    ]);
    expect([seen[0]?.id, seen[0]?.time]).toEqual(['5-0', new Date(5)]);
  });

  test('is watched while it grows', async () => {
    const key = foreignKey();
    await using store = await openStore();
    await using running = run(store, { sources: [numbersFrom(key)], projections: [lists()] });
    const snapshots = new SnapshotStore(store);
    for (let n = 0; n < 5; n += 1) {
      await add(key, '*', 'n', String(n));
      await until(`entry ${n} shows`, async () => (await snapshots.get(lists(), '1'))?.length === n + 1, 1_000);
    }
    expect(running.failed).toEqual([]);
  });

  test('is imported from the beginning by a store that has not yet seen it, and folded so by a projection that is new', async () => {
    const key = foreignKey();
    await add(key, '*', 'n', '1');
    for (let round = 0; round < 2; round += 1) {
      await using store = await openStore();
      await new StreamProcessor(store, { sources: [numbersFrom(key)] }).runUntilCaughtUp();
      await project(store, lists('later'));
      expect(await new SnapshotStore(store).get(lists('later'), '1')).toEqual([1]);
    }
  });

  test('that does not exist yet has nothing to import', async () => {
    await using store = await openStore();
    await new StreamProcessor(store, { sources: [numbersFrom(foreignKey())] }).runUntilCaughtUp();
    expect(await collect(store.readAll())).toEqual([]);
  });

  test('that is no Redis Stream is told as such', async () => {
    const key = foreignKey();
    await raw.send('SET', key, 'text');
    await using store = await openStore();
    expect(await errorOf(new StreamProcessor(store, { sources: [numbersFrom(key)] }).runUntilCaughtUp())).toMatchObject({
      code: 'server-refused',
      reason: 'WRONGTYPE',
    });
    await using running = run(store, { sources: [numbersFrom(key)] });
    await until('it is told', () => running.failed.length > 0);
    expect(running.failed).toMatchObject([{ source: key, error: { code: 'server-refused', reason: 'WRONGTYPE' } }]);
  });

  test('belongs to one category', async () => {
    const key = foreignKey();
    await add(key, '*', 'n', '1');
    await using store = await openStore();
    await new StreamProcessor(store, { sources: [numbersFrom(key)] }).runUntilCaughtUp();
    const moved = source({ key, into: marks, decode: decodeNumber });
    await add(key, '*', 'n', '2');
    expect(await errorOf(new StreamProcessor(store, { sources: [moved] }).runUntilCaughtUp())).toMatchObject({ code: 'invalid-input' });
    expect(numbersOf(await collect(store.readAll()))).toEqual([1]);
  });
});

const TOO_MUCH = 'x'.repeat(appendLimits.eventBytes + 1);

/** Decodes what an append would refuse: data too large, without a type, an id that cannot be, too many events. */
function decodeUnfit({ fields }: SourceEntry): Imported<Noted> | readonly Imported<Noted>[] {
  switch (fields['n']) {
    case 'large':
      return { id: '1', event: { type: 'Noted', data: { n: TOO_MUCH as never } } };
    case 'typeless':
      return { id: '1', event: { ...note(1), type: '' as 'Noted' } };
    case 'nameless':
      return { id: 'a b\n', event: note(1) };
    case 'many':
      return Array.from({ length: appendLimits.eventsOfAnAppend + 1 }, (_, n) => ({ id: '1', event: note(n) }));
    default:
      return decodeNumber({ fields } as SourceEntry);
  }
}

describe('an entry that cannot be imported', () => {
  test.each(['x', 'large', 'typeless', 'nameless', 'many'])('stops its source, with all before it imported: %s', async (bad) => {
    const key = foreignKey();
    await using store = await openStore();
    for (const n of ['1', '2']) await add(key, '*', 'n', n);
    const badId = await add(key, '*', 'n', bad);
    await add(key, '*', 'n', '3');
    const failing = source({ key, into: notes, decode: decodeUnfit });
    for (let round = 0; round < 2; round += 1) {
      const error = await errorOf(new StreamProcessor(store, { sources: [failing] }).runUntilCaughtUp());
      expect(error).toBeInstanceOf(SourceFailedError);
      expect(error).toMatchObject({ sourceKey: key, entryId: badId });
      expect(numbersOf(await collect(store.readAll()))).toEqual([1, 2]);
    }
    const mended = source({ key, into: notes, decode: (entry) => (entry.id === badId ? undefined : decodeNumber(entry)) });
    await new StreamProcessor(store, { sources: [mended] }).runUntilCaughtUp();
    expect(numbersOf(await collect(store.readAll()))).toEqual([1, 2, 3]);
  });

  test('is told, and the rest of the processor goes on', async () => {
    const key = foreignKey();
    const fine = foreignKey();
    await using store = await openStore();
    await using running = run(store, { sources: [numbersFrom(key), numbersFrom(fine)], projections: [lists()] });
    const badId = await add(key, '*', 'n', 'x');
    await until('it is told', () => running.failed.length > 0);
    expect(running.failed).toMatchObject([{ source: key, error: { code: 'source-failed', entryId: badId } }]);
    await add(fine, '*', 'n', '7');
    await until('the other one is imported', async () => (await new SnapshotStore(store).get(lists(), '1'))?.[0] === 7);
    const [failed, other] = (await running.processor.progress()).sources;
    expect(failed).toMatchObject({ entryId: '0-0', entriesSkipped: 0, error: { code: 'source-failed' } });
    expect(other).toMatchObject({ sourceKey: fine, error: undefined });
  });

  test.each([1, 4])('is skipped and counted where the source says so, in %i partitions', async (partitions) => {
    const key = foreignKey();
    await using store = await openStore({ partitions });
    const skipping = source({ key, into: notes, decode: decodeUnfit, onError: 'skip' });
    const bad = ['x', 'large', 'typeless', 'nameless', 'many', ''];
    for (let n = 0; n < 700; n += 1) await add(key, '*', 'id', String(n % 5), 'n', n % 7 === 3 ? (bad[n % 6] ?? '') : String(n));
    for (let round = 0; round < 2; round += 1) {
      const processor = new StreamProcessor(store, { sources: [skipping] });
      await processor.runUntilCaughtUp();
      // An empty text is the number 0.
      const isBad = (n: number): boolean => n % 7 === 3 && n % 6 !== 5;
      expect((await processor.progress()).sources[0]?.entriesSkipped).toBe(Array.from({ length: 700 }, (_, n) => n).filter(isBad).length);
      const good = Array.from({ length: 700 }, (_, n) => n).filter((n) => n % 7 !== 3);
      expect(
        numbersOf(await collect(store.readAll()))
          .filter((n) => n !== 0)
          .sort((a, b) => a - b),
      ).toEqual(good.filter((n) => n !== 0));
    }
  });
});
