// What is folded is what is read: states come back as they were, field by field for any Redis client.
import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { category, type Event, type Projection, projection, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { project } from '../support/processors.ts';
import { openStore } from '../support/store.ts';

type Became = Event<'Became', { readonly state: unknown }>;

const states = category<Became>('states');

/** Its state is what the last event says. */
function echo(name = 'echo'): Projection<unknown> {
  return projection({ name, categories: [states], initialState: (): unknown => null, evolve: (_, event) => event.data.state });
}

/** What JSON can hold, the odd strings and names among it more often than by chance. */
const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '',
    ' ',
    ' x',
    '"',
    '"x"',
    '{',
    '{}',
    '[',
    '[1]',
    '-',
    '-1',
    '0',
    '12',
    '1e3',
    '0x1',
    'true',
    'false',
    'null',
    'undefined',
    'NaN',
    '\u0000',
    '\r\n',
    'ü',
    '👩‍🚀',
    '𝔘',
  ),
);
const oddName = fc.oneof(
  oddText,
  fc.constantFrom(
    ':',
    '::',
    ':position',
    '::position',
    ':state',
    ':version',
    ':revision',
    ':deleted',
    '__proto__',
    'constructor',
    'toString',
    'length',
  ),
);
const numbers = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n));
const value = fc.letrec<{ value: unknown; list: unknown[]; record: Record<string, unknown> }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, oddText, numbers, fc.maxSafeInteger(), fc.boolean(), fc.constant(null), tie('list'), tie('record')),
  list: fc.array(tie('value'), { maxLength: 4 }),
  record: fc.dictionary(oddName, tie('value'), { maxKeys: 5 }),
}));
const notNull = value.value.filter((state) => state !== null);

describe('a state', () => {
  test('comes back deep-equal, whatever JSON can hold', async () => {
    await using store = await openStore();
    const snapshots = new SnapshotStore(store);
    const projected = echo();
    const samples = fc.sample(notNull, { numRuns: 1_000, seed: 7 });
    await Promise.all(samples.map((state, index) => store.append(states.stream(String(index)), { type: 'Became', data: { state } })));
    await project(store, projected);
    const found = await snapshots.getMany(
      projected,
      samples.map((_, index) => String(index)),
    );
    for (const [index, state] of samples.entries()) {
      deepStrictEqual(found.get(String(index)), plain(state)); // whose properties are called constructor too
    }
  });

  test('replaces the one before it, of which nothing is left', async () => {
    await using store = await openStore();
    const snapshots = new SnapshotStore(store);
    const projected = echo();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(notNull, fc.constant(null)), { minLength: 2, maxLength: 5 }), fc.boolean(), async (history, isAtOnce) => {
        const id = uniqueNamespace();
        for (const state of history) {
          await store.append(states.stream(id), { type: 'Became', data: { state } });
          if (!isAtOnce) await project(store, projected);
        }
        await project(store, projected);
        const last = history.at(-1);
        deepStrictEqual(await snapshots.get(projected, id), last === null ? undefined : plain(last));
      }),
      { numRuns: 25, seed: 11 },
    );
  });

  test.each([
    ['text', 'Duffy'],
    ['empty text', ''],
    ['a number', 12],
    ['a number as text', '12'],
    ['true', true],
    ['true as text', 'true'],
    ['a list', [1, [2, []], { a: [] }]],
    ['an empty list', []],
    ['an empty object', {}],
  ])('may be %s', async (_, state) => {
    await using store = await openStore();
    await store.append(states.stream('1'), { type: 'Became', data: { state } });
    await project(store, echo());
    expect(await new SnapshotStore(store).get(echo(), '1')).toStrictEqual(state);
  });

  test('leaves undefined out, and has a date as its text', async () => {
    await using store = await openStore();
    const odd = projection({
      name: 'odd',
      categories: [states],
      initialState: () => ({}) as Record<string, unknown>,
      evolve: () => ({
        gone: undefined,
        deep: { gone: undefined, list: [] },
        date: new Date(0),
        bare: Object.assign(Object.create(null) as object, { a: 1 }),
      }),
    });
    await store.append(states.stream('1'), { type: 'Became', data: { state: 1 } });
    await project(store, odd);
    expect(await new SnapshotStore(store).get(odd, '1')).toStrictEqual({ deep: { list: [] }, date: '1970-01-01T00:00:00.000Z', bare: { a: 1 } });
  });

  test('with a property __proto__ touches no prototype', async () => {
    await using store = await openStore();
    const state: unknown = JSON.parse('{"__proto__":{"isAdmin":true},"deep":{"__proto__":{"isAdmin":true}}}');
    await store.append(states.stream('1'), { type: 'Became', data: { state } });
    await project(store, echo());
    const found = (await new SnapshotStore(store).get(echo(), '1')) as { isAdmin?: boolean; deep: { isAdmin?: boolean } };
    expect(Object.keys(found)).toEqual(['__proto__', 'deep']);
    expect([found.isAdmin, found.deep.isAdmin, ({} as { isAdmin?: boolean }).isAdmin]).toEqual([undefined, undefined, undefined]);
    expect(JSON.stringify(found)).toBe(JSON.stringify(state));
  });

  test('has the codec of the store, and is read with it', async () => {
    const codec = {
      encode: (given: unknown): string => Buffer.from(JSON.stringify(given)).toString('base64'),
      decode: (text: string): unknown => JSON.parse(Buffer.from(text, 'base64').toString()),
    };
    await using store = await openStore({ codec });
    const state = { name: 'Duffy', list: [], n: 12, nothing: null, odd: '"' };
    await store.append(states.stream('1'), { type: 'Became', data: { state } });
    await store.append(states.stream('2'), { type: 'Became', data: { state: [state] } });
    await project(store, echo());
    expect(Object.fromEntries(await new SnapshotStore(store).getMany(echo(), ['1', '2']))).toStrictEqual({ 1: state, 2: [state] });
  });
});

describe('a document', () => {
  test('is a hash that any client reads field by field', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    const state = {
      name: 'Duffy',
      born: 1937,
      isDuck: true,
      friends: ['Bugs'],
      address: { city: 'Köln' },
      code: '007',
      ':position': 'left',
      nothing: null,
    };
    await store.append(states.stream('1'), { type: 'Became', data: { state } });
    await project(store, echo());
    const key = `{${namespace}:0}:snapshot:echo@1:1`;
    const fields = async (...names: string[]): Promise<unknown> => await raw.send('HMGET', key, ...names);
    expect(await fields('name', 'born', 'isDuck', 'friends', 'address', 'code', 'nothing')).toEqual([
      'Duffy',
      '1937',
      'true',
      '["Bugs"]',
      '{"city":"Köln"}',
      '"007"',
      'null',
    ]);
    expect(await fields('::position')).toEqual(['left']);
    const { position } = await store.append(states.stream('1'), { type: 'Became', data: { state: { name: 'Daffy' } } });
    await project(store, echo());
    expect(await raw.send('HLEN', key)).toBe(2);
    expect(await fields('name', ':position')).toEqual(['Daffy', position]);
    await store.append(states.stream('1'), { type: 'Became', data: { state: null } });
    await project(store, echo());
    expect(await raw.send('EXISTS', key)).toBe(0);
  });

  test('of thousands of properties is stored and replaced whole', async () => {
    await using store = await openStore();
    const wide = (count: number): Record<string, number> => Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, n]));
    for (const count of [9_001, 3, 20_000, 1]) {
      await store.append(states.stream('1'), { type: 'Became', data: { state: wide(count) } });
      await project(store, echo());
      expect(await new SnapshotStore(store).get(echo(), '1')).toEqual(wide(count));
    }
  });
});

/** As JSON has it: without the objects that have no prototype. */
function plain(given: unknown): unknown {
  return JSON.parse(JSON.stringify(given)) as unknown;
}
