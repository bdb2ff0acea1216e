// What a read by time promises: what was recorded at or after it, and backward at or before it, imported events included.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EventStore, streamName } from 'millrace';
import { EPOCH_MS, packEntryId, timeOfPacked } from '../../src/position.ts';
import { connectionOf } from '../../src/redis/connection.ts';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { collect, note, notes, numbersOf, openStore } from '../support/store.ts';

const stream = notes.stream('1');

let raw: RawClient;
let store: EventStore;
let namespace: string;

beforeEach(async () => {
  raw = await connectRaw();
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 1 });
});

afterEach(async () => {
  raw.close();
  await store.close();
});

/** Appends a note that stands at `ms`: the head is set there by hand, and the clock is behind it. */
async function appendAt(ms: number, n: number): Promise<void> {
  await raw.send('SET', new Keys(namespace, 1).head(0), String(packEntryId(`${ms}-0`) - 1));
  const { position } = await store.append(stream, note(n));
  expect(timeOfPacked(packEntryId(position))).toBe(ms);
}

/** Appends a note as an import does: with a time of its own. */
async function importAt(ms: number, n: number): Promise<void> {
  const events = [{ type: 'Noted', data: JSON.stringify({ n }), extras: ['at', String(ms)] }];
  const streams = [{ category: 'notes', streamName: stream, expected: 'any', events }];
  const outcome = await connectionOf(store).writer.append(0, { kind: 'multi', streams, guards: [], marks: [], result: undefined, bytes: 100 });
  expect(outcome.kind).toBe('appended');
}

async function found(time: Date, direction: 'forward' | 'backward'): Promise<number[]> {
  const readers = [
    store.readAll({ from: time, direction }),
    store.readCategory(notes, { from: time, direction }),
    store.readStream(stream, { from: time, direction }),
  ];
  const [first, ...others] = await Promise.all(readers.map(async (reader) => numbersOf(await collect(reader))));
  for (const other of others) expect(other).toEqual(first);
  return first ?? [];
}

describe('reading from a time', () => {
  test('includes what was recorded in that very millisecond, both ways', async () => {
    const [{ recordedAt: first }, { recordedAt: second }] = await twoAMillisecondApart();
    const later = (time: Date, ms: number): Date => new Date(time.getTime() + ms);
    expect(await found(first, 'forward')).toEqual([1, 2]);
    expect(await found(later(first, 1), 'forward')).toEqual([2]);
    expect(await found(second, 'forward')).toEqual([2]);
    expect(await found(later(second, 1), 'forward')).toEqual([]);
    expect(await found(second, 'backward')).toEqual([2, 1]);
    expect(await found(later(second, -1), 'backward')).toEqual([1]);
    expect(await found(first, 'backward')).toEqual([1]);
    expect(await found(later(first, -1), 'backward')).toEqual([]);
  });

  test('takes any time there is', async () => {
    await store.append(stream, note(1));
    for (const time of [new Date(0), new Date(EPOCH_MS), new Date(EPOCH_MS - 1), new Date(-8.64e15)]) {
      expect(await found(time, 'forward')).toEqual([1]);
      expect(await found(time, 'backward')).toEqual([]);
    }
    for (const time of [new Date(8.64e15), new Date(Date.now() + 1e9)]) {
      expect(await found(time, 'forward')).toEqual([]);
      expect(await found(time, 'backward')).toEqual([1]);
    }
  });

  test('finds imported events by their own time, at their place', async () => {
    const now = Date.now();
    await store.append(stream, note(1));
    await importAt(now - 10_000_000, 2);
    await importAt(now - 20_000_000, 3);
    await store.append(stream, note(4));
    expect(await found(new Date(now - 15_000_000), 'backward')).toEqual([3]);
    expect(await found(new Date(now - 10_000_000), 'backward')).toEqual([3, 2]);
    expect(await found(new Date(now + 1e8), 'backward')).toEqual([4, 3, 2, 1]);
    // Forward a time is a place to begin at: what was imported before it is not older news that comes again.
    expect(await found(new Date(now - 20_000_000), 'forward')).toEqual([1, 2, 3, 4]);
    expect(await found(new Date(now - 15_000_000), 'forward')).toEqual([1, 2, 4]);
  });

  test('never dates an import later than its place', async () => {
    await importAt(Date.now() + 1e10, 1);
    const [event] = await collect(store.readStream(stream));
    expect(Number(event?.recordedAt)).toBeLessThan(Date.now() + 60_000);
    expect(await found(event?.recordedAt ?? new Date(0), 'forward')).toEqual([1]);
  });

  test('finds what was appended while the clock stood an hour behind', async () => {
    const now = Date.now();
    await appendAt(now + 3_600_000, 1);
    await store.append(stream, note(2));
    expect(await found(new Date(now - 60_000), 'forward')).toEqual([1, 2]);
    expect(await found(new Date(now + 60_000), 'forward')).toEqual([]);
    expect(await found(new Date(now + 60_000), 'backward')).toEqual([2, 1]);
    expect(await collect(store.readStream(streamName('notes:1')))).toHaveLength(2);
  });
});

async function twoAMillisecondApart(): Promise<readonly [{ recordedAt: Date }, { recordedAt: Date }]> {
  await store.append(stream, note(1));
  const [first] = await collect(store.readStream(stream));
  // Two milliseconds of the server's clock, at least.
  await expect
    .poll(async () => Number((((await raw.send('TIME')) as string[])[1] ?? '0').slice(0, -3)) !== Number(first?.recordedAt) % 1_000, { interval: 3 })
    .toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 3));
  await store.append(stream, note(2));
  const [, second] = await collect(store.readStream(stream));
  if (!first || !second) throw new Error('expected two events');
  return [first, second];
}
