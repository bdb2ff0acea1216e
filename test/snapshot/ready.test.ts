// A read says 'not ready' while a projection is folded from the beginning, instead of passing what is missing yet for what is not there.
import { ProcessorControl, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { appendNumbers, project, run, sums, until } from '../support/processors.ts';
import { errorOf, note, notes, openStore, someNotes } from '../support/store.ts';

describe('a read of a projection', () => {
  test('that nobody has run is refused where there are events, and finds nothing where there are none', async () => {
    await using store = await openStore();
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(sums(), '1')).toBeUndefined();
    await appendNumbers(store, '1', [1]);
    const error = await errorOf(snapshots.get(sums(), '1'));
    expect(error).toMatchObject({ code: 'not-caught-up' });
    expect(error.message).toContain('sums@1');
    expect(error.message).toContain('whileBuilding');
    expect(await snapshots.get(sums(), '1', { whileBuilding: true })).toBeUndefined();
    expect(await snapshots.get(sums(), '1', { fresh: true })).toEqual({ count: 1, sum: 1 });
    expect(await snapshots.get(sums(), '1', { at: new Date() })).toEqual({ count: 1, sum: 1 });
  });

  test('that is half built is refused, and gives what there is where it is asked to', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(1_000));
    const control = new ProcessorControl(store);
    await using running = run(store, { projections: [sums()], eventsPerSecond: 400 });
    await until('some are folded', async () => (await control.progress(sums())).eventsFolded > 0);
    await running.processor.stop();
    const snapshots = new SnapshotStore(store);
    expect(await errorOf(snapshots.get(sums(), '1'))).toMatchObject({ code: 'not-caught-up' });
    expect((await snapshots.get(sums(), '1', { whileBuilding: true }))?.count).toBeLessThan(1_000);
    await project(store, sums());
    expect((await snapshots.get(sums(), '1'))?.count).toBe(1_000);
  });

  test('that has caught up once goes on, however far it falls behind', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await project(store, sums());
    await store.append(notes.stream('1'), someNotes(1_000));
    expect(await new SnapshotStore(store).get(sums(), '1')).toEqual({ count: 1, sum: 1 });
  });

  test('that was run before there was anything is not refused when the first event comes', async () => {
    await using store = await openStore();
    const control = new ProcessorControl(store);
    await project(store, sums());
    await control.pause(sums()); // so that it cannot be folded before it is read
    await store.append(notes.stream('1'), note(1));
    expect(await new SnapshotStore(store).get(sums(), '1')).toBeUndefined();
  });

  test('looks only at the partition of its key, unless any may hold its events', async () => {
    await using store = await openStore({ partitions: 4 });
    const byNumber = { ...sums('by-number'), isKeyedByStream: false, keys: () => ['all'] };
    const snapshots = new SnapshotStore(store);
    await project(store, sums(), byNumber);
    const other = sums('other');
    await store.append(notes.stream('a'), note(1));
    const others = await Promise.allSettled(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => snapshots.get(other, key)));
    expect(others[0]).toMatchObject({ status: 'rejected', reason: { code: 'not-caught-up' } });
    expect(others.map(({ status }) => status)).toContain('fulfilled');
    expect(await snapshots.get(byNumber, 'all')).toBeUndefined(); // caught up once, and behind now
    expect((await snapshots.getMany({ ...byNumber, version: 2 }, [])).size).toBe(0);
    expect(await errorOf(snapshots.get({ ...byNumber, version: 2 }, 'all'))).toMatchObject({ code: 'not-caught-up' });
  });
});
