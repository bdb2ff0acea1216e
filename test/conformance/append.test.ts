// What an append promises: versions, all or nothing, guards, what comes back.
import { category, comparePositions, type Event, InvalidInputError, PartitionMismatchError, VersionConflictError } from 'millrace';
import { describe, expect, test } from 'vitest';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');

describe('an append', () => {
  test('numbers the events of a stream from 1, each behind the one before', async () => {
    await using store = await openStore();
    const first = await store.append(stream, note(1));
    const second = await store.append(stream, [note(2), note(3)]);
    expect([first.streamVersion, second.streamVersion]).toEqual([1, 3]);
    expect(first.isRepeated).toBe(false);
    expect(comparePositions(first.position, second.position)).toBeLessThan(0);
    const events = await collect(store.readStream(stream));
    expect(events.map(({ streamVersion, id }) => [streamVersion, id])).toEqual([
      [1, 'notes:1@1'],
      [2, 'notes:1@2'],
      [3, 'notes:1@3'],
    ]);
    expect(events.at(-1)?.position).toBe(second.position);
  });

  test('gives an event back as it was, with the time of the server', async () => {
    await using store = await openStore();
    const before = Date.now();
    await store.append(stream, {
      type: 'Noted',
      data: { n: 1 },
      id: 'mine',
      metadata: { correlationId: 'c', causationId: 'é', more: [1, null, { a: [] }] },
    });
    const [event] = await collect(store.readStream(stream));
    expect(event).toMatchObject({ type: 'Noted', data: { n: 1 }, id: 'mine', streamName: 'notes:1', streamVersion: 1 });
    expect(event?.metadata).toEqual({ correlationId: 'c', causationId: 'é', more: [1, null, { a: [] }] });
    expect(Math.abs(Number(event?.recordedAt) - before)).toBeLessThan(10_000);
  });

  test('lays shared metadata under what each event has of its own', async () => {
    await using store = await openStore();
    await store.append(stream, [note(1), { ...note(2), metadata: { correlationId: 'own' } }], {
      metadata: { correlationId: 'shared', causationId: 'c' },
    });
    const metadata = (await collect(store.readStream(stream))).map((event) => event.metadata);
    expect(metadata).toEqual([
      { correlationId: 'shared', causationId: 'c' },
      { correlationId: 'own', causationId: 'c' },
    ]);
  });

  test.each([
    ['no-stream', 0, true],
    ['no-stream', 2, false],
    ['stream-exists', 0, false],
    ['stream-exists', 2, true],
    ['any', 0, true],
    ['any', 2, true],
    [0, 0, true],
    [0, 2, false],
    [1, 0, false],
    [1, 2, false],
    [2, 2, true],
    [3, 2, false],
  ] as const)('that expects %s of a stream with %i events succeeds: %s', async (expectedVersion, count, succeeds) => {
    await using store = await openStore();
    if (count > 0) await store.append(stream, someNotes(count));
    // One event takes another way through the script than two do.
    for (const events of [note(9), [note(9), note(10)]]) {
      const append = store.append(stream, events, { expectedVersion });
      if (!succeeds) {
        expect(await errorOf(append)).toMatchObject({ code: 'version-conflict', actualVersion: count, isGuard: false, streamName: 'notes:1' });
        expect(await collect(store.readStream(stream))).toHaveLength(count);
        continue;
      }
      expect((await append).streamVersion).toBe(count + [events].flat().length);
      return;
    }
  });

  test('tells with a conflict what was missed, oldest first, and at most 100 events of it', async () => {
    await using store = await openStore();
    await store.append(stream, someNotes(150));
    const few = (await errorOf(store.append(stream, note(0), { expectedVersion: 147 }))) as VersionConflictError;
    expect(few).toBeInstanceOf(VersionConflictError);
    expect(numbersOf(few.missedEvents as { data: unknown }[])).toEqual([148, 149, 150]);
    expect(few.missedEvents).toEqual(await collect(store.readStream(stream, { from: 148 })));
    const many = (await errorOf(store.append(stream, note(0), { expectedVersion: 'no-stream' }))) as VersionConflictError;
    expect(numbersOf(many.missedEvents as { data: unknown }[])).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(many.actualVersion).toBe(150);
    const ahead = (await errorOf(store.append(stream, note(0), { expectedVersion: 151 }))) as VersionConflictError;
    expect(ahead.missedEvents).toEqual([]);
  });

  test('takes as many events at once as it says, and not one more', async () => {
    await using store = await openStore();
    expect((await store.append(stream, someNotes(1_000))).streamVersion).toBe(1_000);
    expect(await errorOf(store.append(stream, someNotes(1_001)))).toBeInstanceOf(InvalidInputError);
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual(numbersOf(someNotes(1_000)));
  });

  test('keeps an order of its own in each stream, and one of all in the log', async () => {
    await using store = await openStore({ partitions: 1 });
    const appends = Array.from({ length: 2_000 }, (_, n) => store.append((n % 2 ? notes : marks).stream(String(n % 7)), note(n)));
    const results = await Promise.all(appends);
    const all = await collect(store.readAll());
    expect(numbersOf(all)).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
    expect(all.map(({ position }) => position)).toEqual(results.map(({ position }) => position));
    expect(all.map(({ streamVersion }) => streamVersion)).toEqual(results.map(({ streamVersion }) => streamVersion));
  });
});

describe('an append to several streams', () => {
  test('does all of it', async () => {
    await using store = await openStore();
    await store.append(stream, note(1));
    const result = await store.appendAll([
      { stream, events: [note(2), note(3)], expectedVersion: 1 },
      { stream: marks.stream('1'), events: note(4), expectedVersion: 'no-stream' },
    ]);
    expect(result.streamVersions).toEqual([3, 1]);
    const all = await collect(store.readAll());
    expect(all.map(({ streamName, streamVersion }) => `${streamName}@${streamVersion}`)).toEqual([
      'notes:1@1',
      'notes:1@2',
      'notes:1@3',
      'marks:1@1',
    ]);
    expect(all.at(-1)?.position).toBe(result.position);
  });

  test('does nothing where one stream is not as expected, and says which', async () => {
    await using store = await openStore();
    await store.append(marks.stream('1'), note(1));
    const append = store.appendAll([
      { stream, events: note(2), expectedVersion: 'no-stream' },
      { stream: marks.stream('1'), events: note(3), expectedVersion: 'no-stream' },
    ]);
    expect(await errorOf(append)).toMatchObject({ code: 'version-conflict', streamName: 'marks:1', actualVersion: 1, isGuard: false });
    expect(await collect(store.readAll())).toHaveLength(1);
    expect(await collect(store.readStream(stream))).toEqual([]);
  });

  test.each(['no-stream', 'stream-exists', 'any', 0, 1, 2] as const)(
    'is guarded by a stream of one event that should be %s',
    async (expectedVersion) => {
      await using store = await openStore();
      await store.append(marks.stream('1'), note(1));
      const append = store.append(stream, note(2), { guards: [{ stream: marks.stream('1'), expectedVersion }] });
      if (expectedVersion === 1 || expectedVersion === 'any' || expectedVersion === 'stream-exists') {
        expect((await append).streamVersion).toBe(1);
        return;
      }
      expect(await errorOf(append)).toMatchObject({
        code: 'version-conflict',
        streamName: 'marks:1',
        actualVersion: 1,
        isGuard: true,
        missedEvents: [],
      });
      expect(await collect(store.readStream(stream))).toEqual([]);
    },
  );

  test('is refused where they lie in different partitions, and where a stream comes twice', async () => {
    await using store = await openStore({ partitions: 6 });
    const ids = ['1', '2', '3'].map((id) => ({ stream: notes.stream(id), events: note(1) }));
    const apart = await errorOf(store.appendAll(ids));
    expect(apart).toBeInstanceOf(PartitionMismatchError);
    const guarded = await errorOf(store.append(stream, note(1), { guards: [{ stream: notes.stream('2'), expectedVersion: 'any' }] }));
    expect(guarded).toBeInstanceOf(PartitionMismatchError);
    const twice = await errorOf(
      store.appendAll([
        { stream, events: note(1) },
        { stream, events: note(2) },
      ]),
    );
    expect(twice).toBeInstanceOf(InvalidInputError);
    expect(await collect(store.readAll())).toEqual([]);
  });

  test('puts streams with the same id into the same partition', async () => {
    await using store = await openStore({ partitions: 6 });
    for (let id = 0; id < 20; id += 1) {
      const parts = [notes, marks].map((each) => ({ stream: each.stream(String(id)), events: note(id) }));
      expect((await store.appendAll(parts)).streamVersions).toEqual([1, 1]);
    }
    expect(new Set((await collect(store.readAll())).map(({ position }) => position.split('@')[1] ?? '0')).size).toBe(6);
  });
});

describe('what waits at the same time', () => {
  test('goes in batches, each append with an outcome of its own', async () => {
    await using store = await openStore();
    await store.append(stream, note(0));
    const appends = Array.from({ length: 999 }, (_, n) => {
      // Of three appends the second always comes too late.
      const expectedVersion = n % 3 === 1 ? 1 : 'any';
      return n % 5 === 4 ? store.append(stream, [note(n), note(n)], { expectedVersion }) : store.append(stream, note(n), { expectedVersion });
    });
    const outcomes = await Promise.allSettled(appends);
    const conflicts = outcomes.flatMap((outcome, n) => (outcome.status === 'rejected' ? [n] : []));
    expect(conflicts).toEqual(Array.from({ length: 333 }, (_, index) => 3 * index + 1));
    const versions = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.streamVersion] : []));
    const events = await collect(store.readStream(stream));
    expect(events.map(({ streamVersion }) => streamVersion)).toEqual(events.map((_, index) => index + 1));
    expect(versions.at(-1)).toBe(events.length);
    const last = outcomes.at(-1);
    expect(last?.status === 'fulfilled' && last.value.position).toBe(events.at(-1)?.position);
    for (const outcome of outcomes) {
      if (outcome.status !== 'fulfilled') continue;
      expect(events[outcome.value.streamVersion - 1]?.position).toBe(outcome.value.position);
    }
  });

  test('lets one of many win for each version', async () => {
    await using one = await openStore();
    await one.append(stream, note(0));
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => one.append(stream, note(n), { expectedVersion: 1 })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await collect(one.readStream(stream))).toHaveLength(2);
  });
});

// The Java test of the article, ported.
describe('two typed events, published and subscribed to', () => {
  type Something = Event<'First', { readonly a: string }> | Event<'Second', { readonly b: number }>;

  test('arrive as they were, with their ids', async () => {
    const somethings = category<Something>('somethings');
    await using store = await openStore();
    const subscription = await store.subscribe({ categories: [somethings], from: 'now' });
    await store.append(somethings.stream('x'), { type: 'First', id: 'id', data: { a: 'a' } });
    await store.append(somethings.stream('x'), { type: 'Second', id: 'id2', data: { b: 2 } });
    const events = await collect(subscription, 2);
    expect(events).toHaveLength(2);
    const [first, second] = events;
    expect(first?.id).toBe('id');
    expect(first?.type === 'First' && first.data.a).toBe('a');
    expect(second?.id).toBe('id2');
  });
});
