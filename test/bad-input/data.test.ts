// Data that would not come back as it was: refused by name and place, and nothing is written; what only looks dangerous comes back.
import { type Codec, type Event, type EventMetadata, EventStore } from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { note, notes, openStore } from '../support/store.ts';
import { invalidInputOf, refusalOf, writingNothing } from './refused.ts';

const namespace = uniqueNamespace();
let store: EventStore;

beforeAll(async () => {
  store = await openStore({ namespace, partitions: 1 });
  await store.append(notes.stream('1'), note(1));
});
afterAll(() => store?.close());

/** An event with data from outside, of which the compiler knows nothing. */
function holding(data: unknown): Event<'Noted', { readonly n: number }> {
  return { type: 'Noted', data: data as { readonly n: number } };
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? { a: value } : [value];
  return value;
}

class Money {
  readonly amount = 1;
}

const circle: Record<string, unknown> = {};
circle['a'] = { b: [circle] };
const ring: unknown[] = [];
ring.push(ring);

const holed: number[] = [1];
holed[2] = 2;

/** What is wrong, the value, and how the message goes on behind "Invalid ". */
const unwritable: readonly (readonly [string, unknown, RegExp])[] = [
  ['a cycle', circle, /^data of event "Noted" at a\.b\.0: expected no cycle, found a reference back to the value\./],
  ['a cycle of an array', ring, /^data of event "Noted" at 0: expected no cycle/],
  ['a cycle further down', { x: [circle] }, /at x\.0\.a\.b\.0: expected no cycle, found a reference back to the value at x\.0\./],
  ['undefined', undefined, /^data of event "Noted": expected what JSON can hold.*, found undefined\./],
  ['undefined in an array', { a: [1, undefined] }, /at a\.1: .* found undefined\./],
  ['a hole in an array', { a: holed }, /at a\.1: .* found undefined\./],
  ['a function', () => 1, /^data of event "Noted": .* found a function \(anonymous\)\./],
  ['a function inside', { a: { decide: function decide() {} } }, /at a\.decide: .* found a function \(decide\)\./],
  ['a symbol', Symbol('s'), /found Symbol\(s\)\./],
  ['a symbol inside', [Symbol.iterator], /at 0: .* found Symbol\(Symbol\.iterator\)\./],
  ['a property named by a symbol', { a: { [Symbol('s')]: 1 } }, /at a: expected properties with text for names, found one named Symbol\(s\)\./],
  ['a BigInt', 5n, /^data of event "Noted": .* found the BigInt 5n\./],
  ['a BigInt inside', { a: 2n ** 70n }, /at a: .* found the BigInt 1180591620717411303424n\./],
  ['NaN', { n: Number.NaN }, /at n: .* found NaN\./],
  ['Infinity', { n: Number.POSITIVE_INFINITY }, /at n: .* found Infinity\./],
  ['-Infinity', Number.NEGATIVE_INFINITY, /found -Infinity\./],
  ['-0', { n: -0 }, /at n: .* found -0\./],
  ['a Map', { a: new Map([[1, 2]]) }, /at a: .* found an object \(Map\)\./],
  ['a Set', new Set([1]), /^data of event "Noted": .* found an object \(Set\)\./],
  ['a RegExp', { a: /x/ }, /at a: .* found an object \(RegExp\)\./],
  ['an instance of a class', { a: new Money() }, /at a: .* found an object \(Money\)\./],
  ['an Error', { a: new Error('x') }, /at a: .* found an object \(Error\)\./],
  ['a Promise', Promise.resolve(1), /found an object \(Promise\)\./],
  ['a typed array', { a: new Uint8Array(3) }, /at a: .* found an object \(Uint8Array\)\./],
  ['an ArrayBuffer', new ArrayBuffer(3), /found an object \(ArrayBuffer\)\./],
  ['a boxed number', { a: Object(1) }, /at a: .* found an object \(Number\)\./],
  ['a class', Money, /found a function \(Money\)\./],
  ['an invalid Date', { at: new Date(Number.NaN) }, /at at: expected one whose toJSON gives a value, found an invalid Date\./],
  ['an invalid Date alone', new Date('x'), /^data of event "Noted": expected one whose toJSON gives a value, found an invalid Date\./],
  ['a toJSON that gives a function', { a: { toJSON: () => () => 1 } }, /at a: .* found a function/],
  ['a toJSON that gives itself back in a cycle', { toJSON: () => circle }, /expected no cycle/],
  [
    'a toJSON that throws',
    {
      toJSON: () => {
        throw new Error('no');
      },
    },
    /expected one whose getters and toJSON do not throw/,
  ],
  [
    'a getter that throws',
    {
      get a(): number {
        throw new Error('no');
      },
    },
    /expected one whose getters and toJSON do not throw/,
  ],
  ['1,001 levels', nested(1_001), /^data of event "Noted": expected at most 1000 levels, found more\./],
  ['10,000 levels', nested(10_000), /^data of event "Noted": expected at most 1000 levels, found more\./],
  ['a million levels', nested(1_000_000), /^data of event "Noted": expected at most 1000 levels, found more\./],
  ['a lone surrogate', { a: 'x\ud800y' }, /^data of event "Noted": expected well-formed text \(no lone surrogate\), found ….*x\\ud800…\./],
  ['a lone second surrogate', '\udfff', /expected well-formed text/],
  ['a lone surrogate in the name of a property', { 'a\udbff': 1 }, /expected well-formed text/],
  ['a lone surrogate behind a backslash', { a: '\\\ud800' }, /expected well-formed text/],
];

describe('data with', () => {
  it.each(unwritable)('%s is refused', async (_wrong, data, message) => {
    await writingNothing(namespace, async () => {
      const error = await invalidInputOf(() => store.append(notes.stream('1'), holding(data)));
      expect(error.message.replace(/^Invalid /, '')).toMatch(message);
      await invalidInputOf(() => store.append(notes.stream('1'), [note(1), holding(data)]));
      await invalidInputOf(() =>
        store.appendAll([
          { stream: notes.stream('2'), events: note(1) },
          { stream: notes.stream('1'), events: holding(data) },
        ]),
      );
      await invalidInputOf(() => store.append(notes.stream('1'), note(1), { idempotencyKey: 'k', metadata: { from: [data] } }));
    });
  });

  it.each([[null], [1], ['text'], [undefined], [[]]])('%j instead of an event is refused', async (event) => {
    await writingNothing(namespace, () =>
      invalidInputOf(() => store.append(notes.stream('1'), event as unknown[] as Event<'Noted', { readonly n: number }>[])),
    );
  });

  it.each<[unknown]>([[null], [1], ['text'], [[1]], [true]])('the metadata %j is refused', async (metadata) => {
    await writingNothing(namespace, async () => {
      const bad = metadata as EventMetadata;
      expect((await invalidInputOf(() => store.append(notes.stream('1'), { ...note(1), metadata: bad }))).what).toBe('metadata');
      expect((await invalidInputOf(() => store.append(notes.stream('1'), note(1), { metadata: bad }))).what).toBe('metadata');
    });
  });

  it('a lone surrogate in the metadata is refused as such', async () => {
    const { message } = await invalidInputOf(() => store.append(notes.stream('1'), note(1), { metadata: { correlationId: '\ud800' } }));
    expect(message).toMatch(/^Invalid metadata of event "Noted": expected well-formed text/);
  });

  it('what is only unusual comes back as it was', async () => {
    const usual = [
      null,
      true,
      '',
      0,
      'a\\ud800',
      'a\\\\ud800',
      '\u0000\u001f',
      '😀',
      '\u2028',
      [],
      {},
      [[]],
      1e308,
      5e-324,
      2 ** 53,
      -1,
      { '': 1, 'a.b': 2, toJSON: 1, constructor: null, 7: 'x' },
      nested(1_000),
    ];
    const shared = { a: 1 };
    for (const data of [...usual, [shared, shared], Object.assign(Object.create(null) as object, { a: 1 })]) {
      const { streamVersion } = await store.append(notes.stream('usual'), holding(data));
      for await (const event of store.readStream(notes.stream('usual'), { from: streamVersion })) expect(event.data).toEqual(data);
    }
  });

  it('a date, and what else has a toJSON, comes back as what that gives; an undefined property is absent', async () => {
    await store.append(notes.stream('json'), holding({ at: new Date(0), url: new URL('http://a/'), none: undefined, bytes: Buffer.from([1]) }));
    for await (const event of store.readStream(notes.stream('json'))) {
      expect(event.data).toStrictEqual({ at: '1970-01-01T00:00:00.000Z', url: 'http://a/', bytes: { type: 'Buffer', data: [1] } });
    }
  });
});

describe('a property __proto__', () => {
  it('comes back, in data and metadata, and touches no prototype', async () => {
    const data: unknown = JSON.parse('{"n":1,"__proto__":{"isAdmin":true},"deep":[{"__proto__":null,"constructor":{"prototype":{"isAdmin":true}}}]}');
    const metadata = JSON.parse('{"__proto__":{"isAdmin":true}}') as EventMetadata;
    await store.append(notes.stream('proto'), { ...holding(data), metadata }, { metadata: JSON.parse('{"a":1,"__proto__":5}') as EventMetadata });
    for await (const event of store.readStream(notes.stream('proto'))) {
      expect(JSON.stringify(event.data)).toBe(JSON.stringify(data));
      expect(JSON.stringify(event.metadata)).toBe('{"a":1,"__proto__":{"isAdmin":true}}');
      expect(Object.getPrototypeOf(event.data)).toBe(Object.prototype);
      expect(Object.getPrototypeOf(event.metadata)).toBe(Object.prototype);
      expect((event.data as { isAdmin?: unknown }).isAdmin).toBeUndefined();
    }
    expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined();
  });
});

describe('a codec of the caller', () => {
  const encoding = (encode: (value: unknown) => unknown): Codec => ({ encode: encode as Codec['encode'], decode: JSON.parse as Codec['decode'] });
  const failing: readonly (readonly [string, Codec, RegExp])[] = [
    [
      'that throws',
      encoding(() => {
        throw new Error('no key');
      }),
      /^Invalid data of event "Noted": expected what the codec of this store can encode, found an object \(Object\), at which it threw: no key\./,
    ],
    ['that throws no error', encoding(() => AbortSignal.abort('text').throwIfAborted()), /at which it threw: "text"\./],
    ['that returns undefined', encoding(() => undefined), /^Invalid codec: expected one whose encode returns a text, found undefined\./],
    [
      'that returns bytes',
      encoding(() => Buffer.from('a')),
      /^Invalid codec: expected one whose encode returns a text, found an object \(Buffer\)\./,
    ],
    ['that returns a promise', encoding(async () => 'a'), /found an object \(Promise\)\./],
    ['that returns a lone surrogate', encoding(() => 'a\ud800'), /^Invalid codec: expected one whose encode returns well-formed text/],
  ];

  it.each(failing)('%s is told as such, and nothing is written', async (_wrong, codec, message) => {
    await using own = await openStore({ namespace, partitions: 1, codec });
    await writingNothing(namespace, async () => {
      expect((await invalidInputOf(() => own.append(notes.stream('1'), note(1)))).message).toMatch(message);
    });
  });

  it('that cannot decode what is there tells where that stands', async () => {
    const decode = (): never => {
      throw new Error('no key');
    };
    await using own = await openStore({ namespace, partitions: 1, codec: { encode: JSON.stringify, decode } });
    const error = await refusalOf(() => own.readStream(notes.stream('1')).next());
    expect(error).toMatchObject({ code: 'corrupt-entry', key: `{${namespace}:0}:log:notes`, cause: { message: 'no key' } });
  });

  it.each<[unknown]>([[null], [{}], [{ encode: JSON.stringify }], ['json'], [1]])('is refused where it is none: %j', async (codec) => {
    expect((await invalidInputOf(() => EventStore.connect(testUrl(), { codec: codec as Codec }))).what).toBe('option codec');
  });
});
