// Positions, cursors, tokens and options of reads that cannot be: refused, and told apart from each other.
import {
  comparePositions,
  type Cursor,
  type EventStore,
  joinTokens,
  parsePosition,
  type Position,
  projection,
  type ReadOptions,
  type ReadStreamOptions,
  SnapshotStore,
  type Token,
} from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { collect, marks, note, notes, numbersOf, openStore } from '../support/store.ts';
import { invalidInputOf, refusalOf, writingNothing } from './refused.ts';

const namespace = uniqueNamespace();
let store: EventStore;
let scattered: EventStore;
let position: Position;
let token: Token;
const sums = projection({ name: 'sums', categories: [notes], initialState: () => 0, evolve: (sum, { data }) => sum + data.n });

beforeAll(async () => {
  store = await openStore({ namespace, partitions: 1 });
  scattered = await openStore({ partitions: 3 });
  ({ position, token } = await store.append(notes.stream('1'), note(1)));
});
afterAll(async () => {
  await store?.close();
  await scattered?.close();
});

const notPositions: readonly unknown[] = [
  '',
  '0',
  '-',
  '0-0',
  '1-1',
  '1767225600000',
  '1767225600000-',
  '-1767225600000-0',
  '1767225600000-0-0',
  '1767225600000-4096',
  '1767225600000-00',
  '01767225600000-0',
  '1767225600000-0@',
  '1767225600000-0@0',
  '1767225600000-0@01',
  '1767225600000-0@-1',
  '1767225600000-0@100000',
  ' 1767225600000-0',
  '1767225600000-0\n',
  '1767225600000-1e1',
  '1735689599999-0',
  '9999999999999-0',
  '99999999999999999999-0',
  '1767225600000-0@0@0',
  '１７６７２２５６００００００-0',
  'latest',
  `${'1'.repeat(1_048_576)}-0`,
  '$',
  '+',
  null,
  undefined,
  1767225600000,
  {},
  [],
];

describe('a text that is no position', () => {
  it.each(notPositions)('is refused where a position is: %#', async (text) => {
    await invalidInputOf(() => parsePosition(text as Position));
    await invalidInputOf(() => comparePositions(text as Position, position));
    await invalidInputOf(() => comparePositions(position, text as Position));
    const snapshots = new SnapshotStore(store);
    if (text !== undefined) await invalidInputOf(() => snapshots.get(sums, '1', { at: text as Position }));
  });

  it('is answered with one that is', async () => {
    const { message } = await invalidInputOf(() => parsePosition('latest'));
    const example = /like "(\S+)"/.exec(message)?.[1] ?? '';
    expect(parsePosition(example)).toBe(example);
  });
});

describe('positions of two partitions', () => {
  it('have no order, and comparing them says what has', async () => {
    const [a, b] = ['1767225600000-0@1', '1767225600000-0@2'].map((text) => parsePosition(text)) as [Position, Position];
    const error = await refusalOf(() => comparePositions(a, b));
    expect(error).toMatchObject({ name: 'PartitionMismatchError', code: 'partition-mismatch' });
    expect(error.message).toContain('Compare recordedAt instead.');
    await refusalOf(() => comparePositions(position, b));
    expect(comparePositions(a, a)).toBe(0);
  });
});

const notFrom: readonly unknown[] = [
  '',
  'now',
  'begin',
  'c.',
  'c..',
  'c.x',
  'c.1-1',
  'c.1767225600000-0.1767225600000-1',
  'c.1767225600000-0.',
  'C.1767225600000-0',
  '0-0',
  '1767225600000-0@1',
  'c.1767225600000-0@1',
  null,
  {},
  [],
  true,
  new Date(Number.NaN),
  new Date(8.64e15 + 1),
];

describe('where a read begins', () => {
  it.each(notFrom)('is refused where it is no place: %#', async (from) => {
    await invalidInputOf(() => store.readAll({ from: from as Cursor }).next());
    await invalidInputOf(() => store.readAll({ from: from as Cursor, direction: 'backward' }).next());
    await invalidInputOf(() => store.readCategory(notes, { from: from as Cursor }).next());
    await invalidInputOf(() => store.readStream(notes.stream('1'), { from: from as Position }).next());
    if (from !== 'now') await invalidInputOf(() => store.subscribe({ from: from as Cursor }));
  });

  it.each<[unknown]>([[1], [Number.NaN]])('is no number, but for a stream: %s', async (from) => {
    await invalidInputOf(() => store.readAll({ from: from as Cursor }));
    await invalidInputOf(() => store.subscribe({ from: from as Cursor }));
  });

  it.each<[unknown]>([[0], [-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 53], ['1'], [1n]])(
    'of a stream is refused where it is no version: %s',
    async (from) => {
      await invalidInputOf(() => store.readStream(notes.stream('1'), { from: from as number }).next());
      await invalidInputOf(() => store.readStream(notes.stream('1'), { from: from as number, direction: 'backward' }).next());
    },
  );

  it('is no end for a subscription, and no cursor for a stream', async () => {
    await invalidInputOf(() => store.subscribe({ from: 'end' as 'now' }));
    const { cursor } = store.readAll();
    await invalidInputOf(() => store.readStream(notes.stream('1'), { from: cursor as string as Position }).next());
  });

  it('is no single position where there are several partitions', async () => {
    const { message } = await invalidInputOf(() => scattered.readAll({ from: position }));
    expect(message).toContain('expected a cursor, since one position says nothing of the other 2 partitions');
    await invalidInputOf(() => scattered.subscribe({ from: position }));
  });

  it('is no place in a partition that there is not', async () => {
    await invalidInputOf(() => scattered.readAll({ from: 'c.1767225600000-0@3' as Cursor }));
    await invalidInputOf(() => scattered.readStream(notes.stream('1'), { from: '1767225600000-0@4' as Position }).next());
  });

  it('is no token', async () => {
    await invalidInputOf(() => store.readAll({ from: token as string as Cursor }));
  });
});

describe('the options of a read', () => {
  it.each<[unknown]>([[-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['1'], [null], [1n], [{}]])(
    'are refused with the limit %s',
    async (limit) => {
      const options = { limit } as ReadOptions;
      expect((await invalidInputOf(() => store.readAll(options))).what).toBe('limit');
      await invalidInputOf(() => store.readCategory(notes, options));
      await invalidInputOf(() => store.readStream(notes.stream('1'), options as ReadStreamOptions));
    },
  );

  it.each<[unknown]>([['back'], ['Forward'], [''], [null], [1], [true]])('are refused with the direction %s', async (direction) => {
    const options = { direction } as ReadOptions;
    expect((await invalidInputOf(() => store.readAll(options))).what).toBe('direction');
    await invalidInputOf(() => store.readCategory(notes, options));
    await invalidInputOf(() => store.readStream(notes.stream('1'), options as ReadStreamOptions));
  });

  it('are refused with no categories at all, which would be waited for, for ever', async () => {
    await invalidInputOf(() => store.subscribe({ categories: [] }));
    const options: object = { categories: ['notes'] };
    await invalidInputOf(() => store.subscribe(options));
  });
});

describe('a token', () => {
  const snapshots = (): SnapshotStore => new SnapshotStore(store);

  it.each<[unknown]>([
    [''],
    ['x'],
    ['a b c d e f.1767225600000-0'],
    ['abcdefghijkl.'],
    ['abcdefghijkl.0-0'],
    ['abcdefghijkl.1767225600000-0.1767225600000-1'],
    ['c.1767225600000-0'],
    [`${'a'.repeat(65)}.`],
    [1],
    [null],
    [{}],
  ])('is refused where it is none: %j', async (text) => {
    expect((await invalidInputOf(() => snapshots().get(sums, '1', { atLeast: text as Token }))).what).toBe('token');
    await invalidInputOf(() => joinTokens(text as Token));
    await invalidInputOf(() => joinTokens(token, text as Token));
  });

  it('of another store is refused, and so is joining it', async () => {
    const other = await scattered.append(notes.stream('1'), note(1));
    const error = await refusalOf(() => snapshots().get(sums, '1', { atLeast: other.token }));
    expect(error).toMatchObject({ name: 'StoreMismatchError', code: 'store-mismatch' });
    expect((await invalidInputOf(() => joinTokens(token, other.token))).expected).toBe('one or more tokens of one store');
    await invalidInputOf(() => joinTokens());
  });

  it('of a partition that there is not is refused', async () => {
    await invalidInputOf(() => snapshots().get(sums, '1', { atLeast: `${token}.1767225600000-0@7` as Token }));
  });

  it('from beyond the end of the log says that the log was lost', async () => {
    const [storeId = ''] = token.split('.');
    const error = await refusalOf(() => snapshots().get(sums, '1', { atLeast: `${storeId}.3000000000000-0` as Token }));
    expect(error).toMatchObject({ name: 'LogLostError', code: 'log-lost' });
  });

  it.each<[unknown]>([[-1], [Number.NaN], ['5'], [null], [{}]])('is not waited for with timeoutMs %s', async (timeoutMs) => {
    await invalidInputOf(() => snapshots().get(sums, '1', { atLeast: token, timeoutMs: timeoutMs as number }));
  });
});

describe('what a document is read with', () => {
  it.each<[unknown]>([[new Date(Number.NaN)], ['yesterday'], [1], [null], [{}]])('is refused: at %s', async (at) => {
    await invalidInputOf(() => new SnapshotStore(store).get(sums, '1', { at: at as Date }));
  });

  it('is refused: two ways at once', async () => {
    await invalidInputOf(() => new SnapshotStore(store).get(sums, '1', { at: new Date(), fresh: true }));
    await invalidInputOf(() => new SnapshotStore(store).get(sums, '1', { at: new Date(), atLeast: token }));
  });
});

describe('nothing of this', () => {
  it('changes what can be read', async () => {
    await writingNothing(namespace, async () => {
      expect(numbersOf(await collect(store.readAll()))).toEqual([1]);
      expect(await collect(store.readCategory(marks))).toEqual([]);
    });
  });
});
