// Documents that several partitions fold count each event once: with two owners at once, with deletes, and when events are read again.
import {
  type Event,
  type EventStore,
  category,
  ProcessorControl,
  type Projection,
  projection,
  SnapshotStore,
  type Token,
  joinTokens,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { project, run, type Running, until } from '../support/processors.ts';
import { startProxy } from '../support/proxy.ts';
import { errorOf, openStore } from '../support/store.ts';

const PARTITIONS = 4;
const LEASE_MS = 300;

type Tagged = Event<'Added' | 'Removed', { readonly tag: string; readonly n: number }>;
const tagged = category<Tagged>('tagged');

interface Tag {
  readonly count: number;
  readonly sum: number;
  /** Numbers that were folded into this document, to find one that came twice. */
  readonly numbers: readonly number[];
}

const tags: Projection<Tag> = projection({
  name: 'tags',
  categories: [tagged],
  key: ({ data: { tag } }) => tag,
  initialState: (): Tag => ({ count: 0, sum: 0, numbers: [] }),
  evolve: ({ count, sum, numbers }, { type, data: { n } }) =>
    type === 'Removed' ? null : { count: count + 1, sum: sum + n, numbers: [...numbers, n] },
});

async function add(store: EventStore, id: string, tag: string, n: number): Promise<Token> {
  return (await store.append(tagged.stream(id), { type: 'Added', data: { tag, n } })).token;
}

async function remove(store: EventStore, id: string, tag: string): Promise<Token> {
  return (await store.append(tagged.stream(id), { type: 'Removed', data: { tag, n: 0 } })).token;
}

const TAGS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/** Numbers that each tag's document holds, in order. */
async function numbersOf(store: EventStore): Promise<Record<string, number[]>> {
  const documents = await new SnapshotStore(store).getMany(tags, TAGS);
  return Object.fromEntries([...documents].map(([tag, { numbers }]) => [tag, numbers.toSorted((a, b) => a - b)]));
}

/** What is left of tombstones: documents that are deleted, and their names in the lists. */
async function tombstonesOf(raw: RawClient, namespace: string): Promise<string[]> {
  const keys = (await raw.send('KEYS', `{${namespace}:*`)) as string[];
  const documents: string[] = [];
  for (const key of keys) {
    if (key.includes(':snapshot:') && (await raw.send('HEXISTS', key, ':deleted')) === 1) documents.push(key);
    if (key.includes(':removed:')) documents.push(...((await raw.send('HKEYS', key)) as string[]).filter((field) => field.startsWith('tombstone:')));
  }
  return documents;
}

async function twoOwners(namespace: string): Promise<{ readonly runs: Running[]; readonly stores: EventStore[] }> {
  const stores = await Promise.all([0, 1].map(() => openStore({ namespace })));
  const runs = stores.map((store) => run(store, { projections: [tags], leaseMs: LEASE_MS }));
  const held = async ({ processor }: Running): Promise<number> =>
    (await processor.progress()).projections.filter(({ isRunHere }) => isRunHere).length;
  await until('each has its half', async () => (await Promise.all(runs.map(held))).every((count) => count === PARTITIONS / 2), 25_000);
  return { runs, stores };
}

describe('two owners', () => {
  test('that fold the same documents at once, and delete them, count each event once', { timeout: 90_000 }, async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using raw = await connectRaw();
    const { runs, stores } = await twoOwners(namespace);
    const snapshots = new SnapshotStore(store);
    const caughtUp = async (tokens: readonly Token[]): Promise<void> =>
      void (await snapshots.get(tags, 'a', { atLeast: joinTokens(...(tokens as [Token, ...Token[]])), timeoutMs: 20_000 }));
    let n = 0;
    for (let round = 0; round < 6; round += 1) {
      const expected = Object.fromEntries(TAGS.map((tag) => [tag, [] as number[]]));
      const added = Array.from({ length: 320 }, () => {
        const tag = TAGS[n % TAGS.length] ?? '';
        expected[tag]?.push(n);
        return add(store, `s${n % 53}`, tag, n++);
      });
      await caughtUp(await Promise.all(added));
      expect(await numbersOf(store)).toEqual(expected);
      // Each from a partition that need not be that of the events before.
      await caughtUp(await Promise.all(TAGS.map((tag, index) => remove(store, `s${(index * 7 + round) % 53}`, tag))));
      expect(await numbersOf(store)).toEqual({});
    }
    expect(runs.flatMap(({ failed }) => failed)).toEqual([]);
    await Promise.all(runs.map(({ processor }) => processor.stop()));
    // Every partition's checkpoint passes the tombstones, and whoever commits then removes them.
    for (let id = 0; id < 53; id += 1) await add(store, `s${id}`, 'a', id);
    await project(store, tags);
    await add(store, 's0', 'a', 100);
    for (let id = 0; id < 53; id += 1) await add(store, `s${id}`, 'a', id);
    await project(store, tags);
    expect(await tombstonesOf(raw, namespace)).toEqual([]);
    await Promise.all(stores.map((each) => each.close()));
  });
});

/** A command that moves the checkpoint of a partition, after its documents were stored. */
const isCheckpoint = (args: readonly string[]): boolean =>
  /^EVAL/i.test(args[0] ?? '') &&
  args[2] === '1' &&
  args[3]?.endsWith(':checkpoint:tags@1') === true &&
  args.some((arg) => arg.endsWith(':committed:tags@1'));

describe('a process that dies when it has stored documents and its checkpoint has not followed', () => {
  test.each([1, 2, 3, 4])(
    'has the next one read events again, deletes too, and fold none twice: at commit %i',
    { timeout: 60_000 },
    async (which) => {
      const namespace = uniqueNamespace();
      await using store = await openStore({ url: testUrl(), namespace, partitions: PARTITIONS });
      await using raw = await connectRaw(testUrl());
      for (let n = 0; n < 80; n += 1) await add(store, `s${n % 20}`, TAGS[n % TAGS.length] ?? '', n);
      await project(store, tags);
      // Of tags that one stream alone goes on with: deleted for good, and deleted and begun anew, within one batch.
      for (const [index, tag] of ['a', 'b', 'c'].entries()) await remove(store, `s${index}`, tag);
      for (const [index, tag] of ['b', 'c'].entries()) await add(store, `s${index + 1}`, tag, 1_000 + index);
      await remove(store, 's2', 'c');
      await add(store, 's2', 'c', 2_000);
      for (let n = 80; n < 160; n += 1) await add(store, `s${n % 20}`, ['d', 'e', 'f', 'g', 'h'][n % 5] ?? '', n);
      await using proxy = await startProxy(testUrl());
      {
        let passed = 0;
        const lost = proxy.loseCommand((args) => isCheckpoint(args) && ++passed >= which, { whileCut: async () => proxy.close() });
        await using dying = await openStore({ url: proxy.url, namespace, timeoutMs: 500 });
        await using _running = run(dying, { projections: [tags], leaseMs: LEASE_MS });
        await lost.catch(() => undefined);
      }
      await project(store, tags);
      const expected: Record<string, number[]> = { b: [1_000], c: [2_000], d: [], e: [], f: [], g: [], h: [] };
      for (let n = 0; n < 80; n += 1) expected[TAGS[n % TAGS.length] ?? '']?.push(n);
      expected['b'] = [1_000];
      expected['c'] = [2_000];
      delete expected['a'];
      for (let n = 80; n < 160; n += 1) expected[['d', 'e', 'f', 'g', 'h'][n % 5] ?? '']?.push(n);
      expect(await numbersOf(store)).toEqual(expected);
      // Tombstones that the dead process knew of are found and removed by others.
      for (let id = 0; id < 20; id += 1) await add(store, `s${id}`, 'd', 5_000 + id);
      await project(store, tags);
      for (let id = 0; id < 20; id += 1) await add(store, `s${id}`, 'd', 6_000 + id);
      await project(store, tags);
      expect(await tombstonesOf(raw, namespace)).toEqual([]);
    },
  );
});

describe('partitions that are not of one moment', () => {
  test('are told where a document holds events behind the end of the log, and are whole again after a rewind', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using raw = await connectRaw();
    await add(store, 's1', 'a', 1);
    await project(store, tags);
    const keys = (await raw.send('KEYS', `{${namespace}:*`)) as string[];
    const end = ((await raw.send('XRANGE', keys.find((key) => key.endsWith(':log:tagged')) ?? '', '-', '+')) as [string, string[]][])[0]?.[0] ?? '';
    await add(store, 's1', 'a', 2);
    await project(store, tags);
    // As after a failover of one node of a cluster, which the node of the document outlived.
    const log = keys.find((key) => key.endsWith(':log:tagged')) ?? '';
    const partition = log.slice(0, log.indexOf(':log'));
    const checkpoint = `${partition}:checkpoint:tags@1`;
    await raw.send('XTRIM', log, 'MAXLEN', '1');
    const [ms = '', sequence = ''] = end.split('-');
    await raw.send('XDEL', log, ...((await raw.send('XRANGE', log, '-', '+')) as [string, string[]][]).map(([id]) => id));
    await raw.send('SET', `${partition}:head`, String((Number(ms) - 1_735_689_600_000) * 4_096 + Number(sequence)));
    await raw.send('DEL', `${partition}:stream:tagged:s1`, log);
    await raw.send('HDEL', checkpoint, 'position', 'event', 'seen');
    await raw.send('XADD', log, end, 'type', 'Added', 'id', 's1', 'version', '1', 'data', JSON.stringify({ tag: 'a', n: 1 }));
    await raw.send('RPUSH', `${partition}:stream:tagged:s1`, String((Number(ms) - 1_735_689_600_000) * 4_096 + Number(sequence)));
    const error = await errorOf(project(store, tags));
    expect(error).toMatchObject({ code: 'log-lost' });
    expect(error.message).toContain('ProcessorControl.rewind');
    await new ProcessorControl(store).rewind(tags);
    await project(store, tags);
    expect(await numbersOf(store)).toEqual({ a: [1] });
  });

  test('are told where one of them has forgotten a rewind', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using raw = await connectRaw();
    for (let n = 0; n < 40; n += 1) await add(store, `s${n}`, TAGS[n % TAGS.length] ?? '', n);
    const control = new ProcessorControl(store);
    await control.rewind(tags);
    for (const key of (await raw.send('KEYS', `{${namespace}:*:removed:tags@1`)) as string[]) await raw.send('HDEL', key, 'generation');
    const error = await errorOf(project(store, tags));
    expect(error).toMatchObject({ code: 'log-lost' });
    expect(error.message).toContain('ProcessorControl.rewind');
    await control.rewind(tags);
    await project(store, tags);
    expect(Object.values(await numbersOf(store)).flat().length).toBe(40);
  });
});
