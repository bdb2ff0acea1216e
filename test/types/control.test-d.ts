// What types promise about versions that serve, and about comparing two: everything is inferred.
import { type EventStore, ProcessorControl, projection, serving, SnapshotStore } from 'millrace';
import { expectTypeOf, test } from 'vitest';
import { notes } from '../support/store.ts';

declare const store: EventStore;

const one = projection({ name: 'totals', categories: [notes], initialState: () => ({ sum: 0 }), evolve: (state) => state });
const two = projection({ name: 'totals', version: 2, categories: [notes], initialState: () => 0, evolve: (state) => state });

test('the state of the serving version is that of either', async () => {
  const snapshots = new SnapshotStore(store);
  expectTypeOf(await snapshots.get(serving(one, two), '1')).toEqualTypeOf<{ sum: number } | number | undefined>();
  expectTypeOf(await snapshots.get(serving(one), '1')).toEqualTypeOf<{ sum: number } | undefined>();
  expectTypeOf(await snapshots.getMany(serving(one, two), ['1'])).toEqualTypeOf<ReadonlyMap<string, { sum: number } | number>>();
  // @ts-expect-error a reader follows at least one version
  serving();
});

test('a difference has both states', async () => {
  const control = new ProcessorControl(store);
  for await (const { first, second } of control.compare(one, two, { equal: ({ sum }, total) => sum === total })) {
    expectTypeOf(first.state).toEqualTypeOf<{ sum: number } | undefined>();
    expectTypeOf(second.state).toEqualTypeOf<number | undefined>();
  }
});
