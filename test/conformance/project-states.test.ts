// What becomes of states that cannot be stored: the projection stops at the event that made one, and names it.
import {
  DocumentTooLargeError,
  InvalidInputError,
  type Projection,
  ProjectionFailedError,
  projection,
  projectionLimits,
  SnapshotStore,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { appendNumbers, project } from '../support/processors.ts';
import { errorOf, notes, openStore } from '../support/store.ts';

/** A list of numbers, and beside it whatever a number stands for. */
function holding(valueOf: (n: number) => unknown, name = 'holding'): Projection<{ readonly count: number; readonly value: unknown }> {
  return projection({
    name,
    categories: [notes],
    initialState: () => ({ count: 0, value: undefined as unknown }),
    evolve: ({ count, value }, { data: { n } }) => ({ count: count + 1, value: valueOf(n) ?? value }),
  });
}

const unstorable: readonly (readonly [what: string, value: unknown])[] = [
  ['not a number', Number.NaN],
  ['an infinity', Number.POSITIVE_INFINITY],
  ['minus zero', -0],
  ['a Map', new Map([[1, 2]])],
  ['a BigInt', 1n],
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['NaN deep inside', { a: [{ b: Number.NaN }] }],
  ['an array with a hole', [1, undefined, 3]],
  ['an instance', new (class Person {})()],
];

describe('a state with', () => {
  test.each(unstorable)('%s stops its projection at the event that made it', async (_, value) => {
    await using store = await openStore({ partitions: 1 });
    await appendNumbers(store, '1', [1, 2, 3, 4, 5]);
    await appendNumbers(store, '2', [1, 2]);
    const bad = holding((n) => (n === 3 ? value : undefined));
    const error = await errorOf(project(store, bad));
    expect(error).toBeInstanceOf(ProjectionFailedError);
    expect(error).toMatchObject({ event: { streamName: 'notes:1', streamVersion: 3 } });
    expect(error.cause).toBeInstanceOf(InvalidInputError);
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(bad, '1', { whileBuilding: true })).toEqual({ count: 2 });
    expect(await snapshots.get(bad, '2', { whileBuilding: true })).toBeUndefined();
    const mended = holding((n) => (n === 3 ? 'mended' : undefined));
    await project(store, mended);
    expect(Object.fromEntries(await snapshots.getMany(mended, ['1', '2']))).toEqual({ 1: { count: 5, value: 'mended' }, 2: { count: 2 } });
  });

  test('more than is stored stops its projection at the event that made it so large', async () => {
    await using store = await openStore({ partitions: 1 });
    const big = holding((n) => (n === 0 ? undefined : 'x'.repeat(n)));
    await appendNumbers(store, '1', [1, projectionLimits.documentBytes + 1, 0]);
    const error = await errorOf(project(store, big));
    expect(error).toMatchObject({ code: 'projection-failed', event: { streamVersion: 2 } });
    expect(error.cause).toBeInstanceOf(DocumentTooLargeError);
    expect(error.cause).toMatchObject({ key: '1' });
    expect(await new SnapshotStore(store).get(big, '1', { whileBuilding: true })).toEqual({ count: 1, value: 'x' });
  });

  test('undefined itself stops its projection', async () => {
    await using store = await openStore({ partitions: 1 });
    await appendNumbers(store, '1', [1, 2]);
    const nothing = projection({
      name: 'nothing',
      categories: [notes],
      initialState: () => ({ n: 0 }),
      evolve: (state, event) => (event.data.n === 2 ? (undefined as never) : state),
    });
    expect(await errorOf(project(store, nothing))).toMatchObject({ code: 'projection-failed', event: { streamVersion: 2 } });
  });

  test('what cannot be stored is found before an evolve that throws at a later event', async () => {
    await using store = await openStore({ partitions: 1 });
    await appendNumbers(store, '1', [1, 2, 3, 4, 5, 6]);
    const both = holding((n) => {
      if (n === 5) throw new Error('later');
      return n === 3 ? Number.NaN : undefined;
    });
    const error = await errorOf(project(store, both));
    expect(error).toMatchObject({ code: 'projection-failed', event: { streamVersion: 3 } });
    expect(await new SnapshotStore(store).get(both, '1', { whileBuilding: true })).toEqual({ count: 2 });
  });
});
