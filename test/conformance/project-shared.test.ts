// Projections and documents that are folded from the same events do not see each other: an event is a fact, and frozen.
import { category, type Event, type EventStore, type Projection, projection, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { project } from '../support/processors.ts';
import { errorOf, openStore } from '../support/store.ts';

type Tagged = Event<'Tagged', { readonly tags: string[]; readonly deep: { readonly list: string[] } }>;

const tagged = category<Tagged>('tagged');

async function appendTags(store: EventStore, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await store.append(tagged.stream('1'), { type: 'Tagged', data: { tags: [`t${n}`], deep: { list: [`d${n}`] } } });
}

/** Takes the first event's own arrays into its state, and adds those of later events: in place, or to copies. */
function adding(
  name: string,
  { isCopying, throwsAt = 0 }: { readonly isCopying: boolean; readonly throwsAt?: number },
): Projection<{ tags: string[]; list: string[] }> {
  return projection({
    name,
    categories: [tagged],
    key: () => ['one', 'two'],
    initialState: () => ({ tags: [] as string[], list: [] as string[] }),
    evolve: (state, { data: { tags, deep }, streamVersion }) => {
      if (streamVersion === throwsAt) throw new Error('cannot fold this');
      if (streamVersion === 1) return isCopying ? { tags: [...tags], list: [...deep.list] } : { tags, list: deep.list };
      state.tags.push(...tags);
      state.list.push(...deep.list);
      return state;
    },
  });
}

describe('an event', () => {
  test('may be taken over by copies, which are changed in place', async () => {
    await using store = await openStore({ partitions: 1 });
    await appendTags(store, 4);
    // The batch is folded once more when an event of it fails.
    await errorOf(project(store, adding('a', { isCopying: true, throwsAt: 4 }), adding('b', { isCopying: true })));
    const snapshots = new SnapshotStore(store);
    const three = { tags: ['t0', 't1', 't2'], list: ['d0', 'd1', 'd2'] };
    expect(Object.fromEntries(await snapshots.getMany(adding('a', { isCopying: true }), ['one', 'two'], { whileBuilding: true }))).toEqual({
      one: three,
      two: three,
    });
    await project(store, adding('a', { isCopying: true }), adding('b', { isCopying: true }));
    const four = { tags: [...three.tags, 't3'], list: [...three.list, 'd3'] };
    for (const name of ['a', 'b']) {
      const projected = adding(name, { isCopying: true });
      for (const at of [undefined, new Date(Date.now() + 60_000)])
        expect(Object.fromEntries(await snapshots.getMany(projected, ['one', 'two'], at ? { at } : {}))).toEqual({ one: four, two: four });
    }
  });

  test('cannot be changed by what is folded from it, in any way of folding', async () => {
    await using store = await openStore({ partitions: 1 });
    await appendTags(store, 3);
    const changing = adding('changing', { isCopying: false });
    const error = await errorOf(project(store, changing));
    expect(error).toMatchObject({ code: 'projection-failed', event: { streamVersion: 2 } });
    expect(error.cause).toBeInstanceOf(TypeError);
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(changing, 'one', { whileBuilding: true })).toEqual({ tags: ['t0'], list: ['d0'] });
    expect(await errorOf(snapshots.get(changing, 'one', { at: new Date(Date.now() + 60_000) }))).toBeInstanceOf(TypeError);
  });
});
