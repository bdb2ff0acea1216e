// Options, projections, deciders and processors that cannot be: refused where they are made, or stopped before anything of it counts.
import { type Category, type ClientOptions, EventStore, projection, SnapshotStore, type StoreOptions, StreamProcessor } from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { marks, note, type Noted, notes, openStore } from '../support/store.ts';
import { contentsOf, invalidInputOf, refusalOf, SECRET, writingNothing } from './refused.ts';

const namespace = uniqueNamespace();
let store: EventStore;

beforeAll(async () => {
  store = await openStore({ namespace });
  await store.append(notes.stream('1'), note(1));
});
afterAll(() => store?.close());

describe('connecting', () => {
  it.each<[string, unknown]>([
    ['option ifMissing', { ifMissing: 'ask' as never }],
    ['number of partitions', { partitions: 0 }],
    ['number of partitions', { partitions: -1 }],
    ['number of partitions', { partitions: 1.5 }],
    ['number of partitions', { partitions: 1_025 }],
    ['number of partitions', { partitions: 2_000 }],
    ['number of partitions', { partitions: Number.NaN }],
    ['number of partitions', { partitions: '2' }],
    ['number of partitions', { partitions: null }],
    ['option timeoutMs', { timeoutMs: 0 }],
    ['option timeoutMs', { timeoutMs: -1 }],
    ['option timeoutMs', { timeoutMs: Number.NaN }],
    ['option timeoutMs', { timeoutMs: Number.POSITIVE_INFINITY }],
    ['option timeoutMs', { timeoutMs: 2 ** 31 }],
    ['option timeoutMs', { timeoutMs: '5000' }],
    ['option timeoutMs', { timeoutMs: null }],
    ['option writerTtlMs', { writerTtlMs: 0 }],
    ['option writerTtlMs', { writerTtlMs: 1.5 }],
    ['option writerTtlMs', { writerTtlMs: Number.NaN }],
    ['option writerTtlMs', { writerTtlMs: '1000' }],
    ['option library', { library: 'redis' }],
    ['option library', { library: null }],
    ['option codec', { codec: null }],
    ['option username', { username: 1 }],
    ['option password', { password: { secret: SECRET } }],
    ['option password', { password: [SECRET] }],
    ['options of connect', null],
    ['options of connect', 'options'],
  ])('is refused for its %s: %j', async (what, options) => {
    const own = uniqueNamespace();
    const given = (typeof options === 'object' && options !== null ? { namespace: own, ...options } : options) as StoreOptions;
    await writingNothing(own, async () => {
      expect((await invalidInputOf(() => EventStore.connect(testUrl(), given))).what).toBe(what);
    });
  });

  it.each<[unknown]>([[undefined], [null], [1], [true], [Symbol('s')], [{}], [{ url: 'redis://localhost' }]])(
    'is refused to what is neither a URL nor options: %j',
    async (target) => {
      expect((await invalidInputOf(() => EventStore.connect(target as string))).what).toBe('argument of connect');
    },
  );

  it.each<[unknown]>([[{ client: undefined }], [{ client: null }], [{ client: {} }]])('is refused over what is no client: %j', async (options) => {
    expect((await invalidInputOf(() => EventStore.connect(options as ClientOptions))).what).toBe('client');
  });

  it.each(['', 'localhost', 'http://localhost', `redis:user:${SECRET}@localhost`, `redis://user:${SECRET}@host name`, `rediss//u:${SECRET}@h`])(
    'is refused to a URL that is none, which is not shown: %#',
    async (url) => {
      expect((await invalidInputOf(() => EventStore.connect(url))).message).not.toContain('s3cret');
    },
  );
});

describe('a projection', () => {
  const sound = { name: 'sound', categories: [notes], initialState: () => ({}), evolve: (state: object) => state };

  it.each<[unknown]>([[0], [-1], [1.5], [Number.NaN], ['1'], [null], [2 ** 53]])('is refused with the version %s', async (version) => {
    expect((await invalidInputOf(() => projection({ ...sound, version: version as number }))).what).toBe('projection version');
  });

  it('is refused without a category', async () => {
    expect((await invalidInputOf(() => projection({ ...sound, categories: [] }))).what).toBe('categories of a projection');
  });

  it('that comes twice, or a lease that is too short, is refused by a processor', async () => {
    await invalidInputOf(() => new StreamProcessor(store, { projections: [projection(sound), projection(sound)] }));
    for (const leaseMs of [0, 99, 1.5, Number.NaN, '1000'] as number[]) await invalidInputOf(() => new StreamProcessor(store, { leaseMs }));
  });

  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /state that evolve returned: expected a state, or null to delete the document, found undefined/],
    ['a function', () => 1, /Invalid state: .* found a function/],
    ['a Map', new Map(), /Invalid state: .* found an object \(Map\)/],
    ['NaN in a property', { total: Number.NaN }, /Invalid property "total" of the state: .* found NaN/],
    ['a BigInt deep in a property', { a: { b: [1n] } }, /Invalid property "a" of the state at b\.0: .* found the BigInt 1n/],
    ['a property named by a symbol', { [Symbol('s')]: 1 }, /Invalid state: expected properties with text for names/],
  ])('whose state becomes %s stops there, and stores nothing of it', async (_what, state, message) => {
    const bad = projection({ ...sound, name: `bad-${uniqueNamespace()}`, evolve: () => state as object });
    const stopped = async (): Promise<void> => {
      await using processor = new StreamProcessor(store, { projections: [bad] });
      const error = await refusalOf(() => processor.runUntilCaughtUp());
      expect(error).toMatchObject({ code: 'projection-failed', event: { streamName: 'notes:1', streamVersion: 1 } });
      expect(error.message).toMatch(message);
    };
    await stopped();
    expect(await new SnapshotStore(store).get(bad, '1', { whileBuilding: true })).toBeUndefined();
    await using raw = await connectRaw();
    expect([...(await contentsOf(raw, namespace)).keys()].filter((key) => key.includes(`snapshot:${bad.name}`))).toEqual([]);
  });

  it('may have a document with a property __proto__, and a key that is, which touch no prototype', async () => {
    const state: unknown = JSON.parse('{"name":"Duffy","__proto__":{"isAdmin":true},"deep":{"__proto__":{"isAdmin":true}}}');
    const daring = projection({ ...sound, name: 'daring', key: () => ['__proto__', 'constructor'], evolve: () => state as object });
    const snapshots = new SnapshotStore(store);
    await using processor = new StreamProcessor(store, { projections: [daring] });
    await processor.runUntilCaughtUp();
    for (const key of ['__proto__', 'constructor']) {
      for (const options of [{}, { at: new Date() }]) {
        const read = (await snapshots.get(daring, key, options)) as { isAdmin?: unknown } | undefined;
        expect(JSON.stringify(read)).toBe(JSON.stringify(state));
        expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
        expect(read?.isAdmin).toBeUndefined();
      }
    }
    expect([...(await snapshots.getMany(daring, ['__proto__', 'constructor'])).keys()]).toEqual(['__proto__', 'constructor']);
    expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined();
  });
});

describe('a decider', () => {
  const deciding = (decide: () => unknown) =>
    (marks as Category<Noted>).decider({ initialState: () => 0, evolve: (count) => count + 1, decide: (_command: unknown) => decide() as Noted[] });

  it.each<[string, unknown]>([
    ['one event that is in no array', note(1)],
    ['a promise', Promise.resolve([note(1)])],
    ['undefined', undefined],
    ['null', null],
    ['a text', 'Noted'],
    ['a Set', new Set([note(1)])],
  ])('that gives %s is told so, and not that there was nothing to do', async (_what, events) => {
    await writingNothing(namespace, async () => {
      const error = await invalidInputOf(() =>
        store.execute(
          deciding(() => events),
          '1',
          'go',
        ),
      );
      expect(error.message).toMatch(/^Invalid result of decide: expected an array of events, found /);
    });
  });

  it('that gives bad events appends none of them', async () => {
    await writingNothing(namespace, async () => {
      await invalidInputOf(() =>
        store.execute(
          deciding(() => [note(1), { type: 'Noted', data: { n: 1n } }]),
          '1',
          'go',
        ),
      );
    });
  });

  it.each<[unknown]>([[0], [-1], [1.5], [Number.NaN], ['3'], [null]])('is not run with %s attempts', async (attempts) => {
    await writingNothing(namespace, async () => {
      await invalidInputOf(() =>
        store.execute(
          deciding(() => []),
          '1',
          'go',
          { attempts: attempts as number },
        ),
      );
    });
  });

  it('is not run with a command that an idempotency key could not recognise', async () => {
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() =>
        store.execute(
          deciding(() => [note(1)]),
          '1',
          { amount: 5n },
          { idempotencyKey: 'k' },
        ),
      );
      expect(message).toMatch(/^Invalid command \(one with an idempotencyKey is encoded\) at amount: .* found the BigInt 5n/);
    });
  });
});
