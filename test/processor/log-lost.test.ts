// A log that was lost or rewritten under a processor is told, never passed over, and nothing begins again by itself.
import { setTimeout as delay } from 'node:timers/promises';
import { LogLostError, ProcessorControl, SnapshotStore, type StoreOptions } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';
import { appendNumbers, lists, project, type Running, run, sums, until } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore } from '../support/store.ts';

const LEASE_MS = 300;

function openNamed(options: StoreOptions = {}) {
  const namespace = uniqueNamespace();
  const key = (rest: string): string => `{${namespace}:0}:${rest}`;
  return { namespace, key, open: () => openStore({ namespace, partitions: 1, ...options }) };
}

async function untilFailed(running: Running): Promise<void> {
  await until('the failure is told', () => running.failed.length > 0);
  expect(running.failed[0]?.error).toBeInstanceOf(LogLostError);
}

/** What is lost, and what a processor that is started afterwards may do: fold the rest, or refuse that too. */
const losses: readonly (readonly [what: string, lose: (raw: RawClient, key: (rest: string) => string) => Promise<unknown>])[] = [
  ['the log of its last event is deleted', (raw, key) => raw.send('DEL', key('log:notes'))],
  ['its checkpoint is deleted', (raw, key) => raw.send('DEL', key('checkpoint:sums@1'))],
  [
    'its last event is removed',
    async (raw, key) =>
      raw.send('XDEL', key('log:notes'), String(((await raw.send('XREVRANGE', key('log:notes'), '+', '-', 'COUNT', '1')) as string[][])[0]?.[0])),
  ],
  [
    'its checkpoint is an older one',
    async (raw, key) =>
      raw.send(
        'HSET',
        key('checkpoint:sums@1'),
        'position',
        String(((await raw.send('XRANGE', key('log:notes'), '-', '+', 'COUNT', '1')) as string[][])[0]?.[0]),
      ),
  ],
];

describe('a processor under which', () => {
  test.each(losses)('%s fails, whether events come or not', async (_, lose) => {
    for (const isIdle of [true, false]) {
      const { key, open } = openNamed();
      await using store = await open();
      await using raw = await connectRaw();
      await using running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
      await appendNumbers(store, '1', [1, 2, 3]);
      await until('they are folded', async () => (await new SnapshotStore(store).get(sums(), '1'))?.count === 3);
      await lose(raw, key);
      if (!isIdle) await appendNumbers(store, '1', [4]);
      await untilFailed(running);
      // Nothing was folded a second time.
      expect((await new SnapshotStore(store).get(sums(), '1', { whileBuilding: true }))?.count).toBeLessThanOrEqual(4);
    }
  });

  test('the head is set back fails before anything is appended', async () => {
    const { key, open } = openNamed();
    await using store = await open();
    await using raw = await connectRaw();
    await using running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    await appendNumbers(store, '1', [1]);
    await until('it is folded', () => running.progress.length > 0);
    await raw.send('DECRBY', key('head'), '4096000');
    await untilFailed(running);
  });

  test('its checkpoint was deleted while it was stopped refuses to count events twice', async () => {
    const { key, open } = openNamed();
    await using store = await open();
    await using raw = await connectRaw();
    await appendNumbers(store, '1', [1, 2, 3]);
    await project(store, sums(), lists());
    await raw.send('DEL', key('checkpoint:sums@1'));
    await appendNumbers(store, '1', [4]);
    const error = await errorOf(project(store, sums(), lists()));
    expect(error).toBeInstanceOf(LogLostError);
    expect(error.message).toContain('sums@1');
    expect(error.message).toContain('ProcessorControl.rewind');
    expect((await new SnapshotStore(store).get(sums(), '1', { whileBuilding: true }))?.count).toBe(3);
    // As the error says.
    await new ProcessorControl(store).rewind(sums());
    await project(store, sums(), lists());
    const snapshots = new SnapshotStore(store);
    expect((await snapshots.get(sums(), '1'))?.count).toBe(4);
    expect(await snapshots.get(lists(), '1')).toEqual([1, 2, 3, 4]);
  });

  test('somebody writes an entry of his own stops only projections that read it, behind the last good event', async () => {
    const { key, open } = openNamed();
    await using store = await open();
    await using raw = await connectRaw();
    const ofMarks = { ...lists('of-marks'), categories: ['marks'] };
    await appendNumbers(store, '1', [1, 2, 3]);
    await store.append(marks.stream('1'), note(1));
    await delay(5); // its id is of a later millisecond than what stands before it
    const badId = await raw.send('XADD', key('log:notes'), '*', 'type', 'Noted', 'n', '4');
    await store.append(marks.stream('1'), note(2));
    await using running = run(store, { projections: [sums(), lists(), ofMarks], leaseMs: LEASE_MS });
    await until('both have failed', () => running.failed.length === 2);
    expect(new Set(running.failed.map(({ projection }) => projection))).toEqual(new Set(['lists', 'sums']));
    expect(running.failed[0]?.error).toMatchObject({ code: 'corrupt-entry', key: key('log:notes'), entryId: badId });
    const snapshots = new SnapshotStore(store);
    const { token } = await store.append(marks.stream('1'), note(3));
    expect(await snapshots.get(ofMarks, '1', { atLeast: token })).toEqual([1, 2, 3]);
    expect(await snapshots.get(sums(), '1', { whileBuilding: true })).toEqual({ count: 3, sum: 6 });
    expect(await snapshots.get(lists(), '1', { whileBuilding: true })).toEqual([1, 2, 3, 1]);
    // What stands still can still be looked at.
    const [, stuck] = (await running.processor.progress()).projections;
    expect(stuck).toMatchObject({ projection: 'lists', eventsFolded: 4, error: { code: 'corrupt-entry' } });
    expect(stuck?.lagEvents).toBe(3); // the entry itself, and two marks behind it
    expect(stuck?.lagMs).toBeLessThan(60_000);
    await running.processor.stop();
    await raw.send('XDEL', key('log:notes'), String(badId));
    await appendNumbers(store, '1', [5]);
    await project(store, sums(), lists(), ofMarks);
    expect(await snapshots.get(lists(), '1')).toEqual([1, 2, 3, 1, 2, 3, 5]);
    expect((await snapshots.get(sums(), '1'))?.count).toBe(4);
  });
});

describe('a processor of an engine that is flushed', () => {
  test.for([true, false])('fails, and does not begin again with what comes after (idle: %s)', async (isIdle, { skip }) => {
    const reason = whyNoEngine();
    skip(reason !== undefined, reason);
    await using engine = await startEngine();
    await using store = await openStore({ url: engine.url });
    await using raw = await connectRaw(engine.url);
    await using running = run(store, { projections: [sums(), lists()], leaseMs: LEASE_MS });
    await appendNumbers(store, '1', [1, 2, 3]);
    const { token } = await store.append(notes.stream('1'), note(4));
    const snapshots = new SnapshotStore(store);
    await snapshots.get(sums(), '1', { atLeast: token });
    await snapshots.get(lists(), '1', { atLeast: token });
    await raw.send('FLUSHALL');
    expect(await errorOf(snapshots.get(sums(), '1', { atLeast: token }))).toBeInstanceOf(LogLostError);
    if (!isIdle) await store.append(notes.stream('2'), note(1)).catch(() => undefined);
    await until('both have failed', () => running.failed.length === 2);
    for (const { error } of running.failed) expect(error).toBeInstanceOf(LogLostError);
    await running.processor.stop();
    expect(await raw.send('KEYS', '*:snapshot:*')).toEqual([]);
  });
});
