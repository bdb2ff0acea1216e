// What an append that comes again does: nothing, and it gets the first answer.
import { IdempotencyKeyReusedError, VersionConflictError } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { collect, errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const withIds = (count: number, prefix = 'e') => someNotes(count).map((event, index) => ({ ...event, id: `${prefix}${index}` }));

describe('the ids of the caller', () => {
  test.each([1, 3, 100, 250])('tell a repeat of %i events from a conflict, with no-stream', async (count) => {
    await using store = await openStore();
    const first = await store.append(stream, withIds(count), { expectedVersion: 'no-stream' });
    await store.append(stream, note(0));
    const again = await store.append(stream, withIds(count), { expectedVersion: 'no-stream' });
    expect(again).toEqual({ ...first, isRepeated: true });
    expect(await collect(store.readStream(stream))).toHaveLength(count + 1);
  });

  test('tell it with a number, and one that is sent twice at once', async () => {
    await using store = await openStore();
    await store.append(stream, someNotes(4));
    const results = await Promise.all([1, 2, 3].map(() => store.append(stream, withIds(2), { expectedVersion: 4 })));
    expect(results.map(({ isRepeated }) => isRepeated)).toEqual([false, true, true]);
    expect(new Set(results.map(({ streamVersion, position }) => `${streamVersion} ${position}`)).size).toBe(1);
    expect(await collect(store.readStream(stream))).toHaveLength(6);
  });

  test('do not excuse other events, fewer or more', async () => {
    await using store = await openStore();
    await store.append(stream, withIds(2), { expectedVersion: 'no-stream' });
    for (const events of [withIds(2, 'other'), withIds(3), [withIds(1)[0] ?? note(0), note(2)], someNotes(2)]) {
      expect(await errorOf(store.append(stream, events, { expectedVersion: 'no-stream' }))).toBeInstanceOf(VersionConflictError);
    }
    expect(await collect(store.readStream(stream))).toHaveLength(2);
  });

  test("mean nothing with 'any': nothing is looked up", async () => {
    await using store = await openStore();
    for (let i = 0; i < 2; i += 1) expect((await store.append(stream, withIds(1))).isRepeated).toBe(false);
    expect(await collect(store.readStream(stream))).toHaveLength(2);
  });
});

describe('an idempotency key', () => {
  test('gives a later append the first result, whatever came between, from another store too', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await using other = await openStore({ namespace });
    const first = await store.append(stream, someNotes(3), { idempotencyKey: 'k', expectedVersion: 'no-stream' });
    await store.append(stream, note(9));
    for (const each of [store, other]) {
      expect(await each.append(stream, someNotes(3), { idempotencyKey: 'k', expectedVersion: 'no-stream' })).toEqual({ ...first, isRepeated: true });
    }
    expect(await collect(store.readStream(stream))).toHaveLength(4);
  });

  test('runs one of many that come at once', async () => {
    await using store = await openStore();
    const results = await Promise.all(Array.from({ length: 50 }, () => store.append(stream, note(1), { idempotencyKey: 'k' })));
    expect(results.filter(({ isRepeated }) => !isRepeated)).toHaveLength(1);
    expect(new Set(results.map(({ position }) => position)).size).toBe(1);
    expect(await collect(store.readStream(stream))).toHaveLength(1);
  });

  test('covers all streams of an append', async () => {
    await using store = await openStore();
    const append = () =>
      store.appendAll(
        [
          { stream, events: someNotes(2) },
          { stream: marks.stream('1'), events: note(3) },
        ],
        { idempotencyKey: 'k' },
      );
    const first = await append();
    expect(await append()).toEqual({ ...first, isRepeated: true });
    expect(await collect(store.readAll())).toHaveLength(3);
  });

  test('is refused with other events, another stream or other metadata', async () => {
    await using store = await openStore();
    await store.append(stream, note(1), { idempotencyKey: 'k' });
    const others = [
      store.append(stream, note(2), { idempotencyKey: 'k' }),
      store.append(marks.stream('1'), note(1), { idempotencyKey: 'k' }),
      store.append(stream, note(1), { idempotencyKey: 'k', metadata: { causationId: 'c' } }),
      store.append(stream, [note(1), note(1)], { idempotencyKey: 'k' }),
    ];
    for (const each of others) expect(await errorOf(each)).toBeInstanceOf(IdempotencyKeyReusedError);
    expect(await collect(store.readAll())).toHaveLength(1);
  });

  test('forgets what failed: that is tried again', async () => {
    await using store = await openStore();
    await store.append(stream, note(1));
    const tryIt = (expectedVersion: number) => store.append(stream, note(2), { idempotencyKey: 'k', expectedVersion });
    expect(await errorOf(tryIt(0))).toBeInstanceOf(VersionConflictError);
    expect(await tryIt(1)).toMatchObject({ streamVersion: 2, isRepeated: false });
  });

  test('is kept for the time that was asked for', async () => {
    const namespace = uniqueNamespace();
    await using raw = await connectRaw();
    await using store = await openStore({ namespace, partitions: 1 });
    const keys = new Keys(namespace, 1);
    await store.append(stream, note(1), { idempotencyKey: 'default' });
    await store.append(stream, note(1), { idempotencyKey: 'short', idempotencyTtlMs: 60_000 });
    await store.append(stream, note(1), { idempotencyKey: 'shortest', idempotencyTtlMs: 1 });
    expect(Number(await raw.send('PTTL', keys.result(0, 'default')))).toBeGreaterThan(3_590_000);
    const short = Number(await raw.send('PTTL', keys.result(0, 'short')));
    expect(short > 50_000 && short <= 60_000).toBe(true);
    await expect.poll(() => raw.send('EXISTS', keys.result(0, 'shortest'))).toBe(0);
    expect((await store.append(stream, note(1), { idempotencyKey: 'shortest' })).isRepeated).toBe(false);
  });
});
