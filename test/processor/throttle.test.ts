// A rate holds a processor back, over all its partitions, and neither its leases nor its stop.
import { ProcessorControl, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Throttle } from '../../src/loop/throttle.ts';
import { project, run, sums, until } from '../support/processors.ts';
import { note, notes, openStore, someNotes } from '../support/store.ts';

const LEASE_MS = 300;

describe('a processor with a rate', () => {
  test.each([1, 3])('folds no more than that in a second, over %i partitions, and loses nothing', { timeout: 60_000 }, async (partitions) => {
    await using store = await openStore({ partitions });
    for (let id = 0; id < 12; id += 1) await store.append(notes.stream(String(id)), someNotes(100));
    const control = new ProcessorControl(store);
    await using running = run(store, { projections: [sums()], eventsPerSecond: 400, leaseMs: LEASE_MS });
    const startedAt = performance.now();
    await until('all is folded', async () => (await control.progress(sums())).lagEvents === 0, 30_000);
    // A quarter of a second's worth at once, and a page of each partition into debt.
    const leastMs = ((1_200 - 100 * (partitions + 1)) / 400) * 1_000;
    expect(performance.now() - startedAt).toBeGreaterThan(leastMs);
    expect(running.failed).toEqual([]);
    const documents = await new SnapshotStore(store).getMany(
      sums(),
      Array.from({ length: 12 }, (_, id) => String(id)),
    );
    expect([...documents.values()].map(({ count }) => count)).toEqual(Array.from({ length: 12 }, () => 100));
  });

  test('keeps its leases while it waits, and stops at once', async () => {
    await using store = await openStore({ partitions: 1 });
    await store.append(notes.stream('1'), someNotes(600));
    await using slow = run(store, { projections: [sums()], eventsPerSecond: 20, leaseMs: LEASE_MS });
    const isRun = async (): Promise<boolean> => (await slow.processor.progress()).projections[0]?.isRunHere === true;
    await until('it is run', isRun);
    await using other = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    const endsAt = performance.now() + 4 * LEASE_MS;
    await until('more than a lease has passed', () => performance.now() > endsAt);
    expect(await isRun()).toBe(true);
    expect(other.progress).toEqual([]);
    const stoppedAt = performance.now();
    await slow.processor.stop();
    expect(performance.now() - stoppedAt).toBeLessThan(5_000);
    await project(store, sums());
    expect((await new SnapshotStore(store).get(sums(), '1'))?.count).toBe(600);
  });

  test('is as fast as ever with what comes in below the rate', async () => {
    await using store = await openStore();
    await using _running = run(store, { projections: [sums()], eventsPerSecond: 10_000 });
    const { token } = await store.append(notes.stream('1'), note(1));
    expect((await new SnapshotStore(store).get(sums(), '1', { atLeast: token }))?.count).toBe(1);
  });
});

describe('a bucket', () => {
  test('goes into debt for a page that held more than there was, and has to pay it off', () => {
    const throttle = new Throttle(1_000);
    expect(throttle.waitMs()).toBe(0);
    throttle.spend(throttle.pageMax + 1_000);
    expect(throttle.waitMs()).toBeGreaterThan(900);
    expect(throttle.waitMs()).toBeLessThanOrEqual(1_000);
  });
});
