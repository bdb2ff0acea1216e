// What scheduling promises: events come after their time and in its order, once, with the append that scheduled them or not at all.
import {
  appendLimits,
  type AppendAllResult,
  type EventStore,
  IdempotencyKeyReusedError,
  InvalidInputError,
  PartitionMismatchError,
  type ScheduledEvents,
  StreamProcessor,
} from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { lists, run, until } from '../support/processors.ts';
import { isEmbedded } from '../support/size.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const PAST = new Date('2026-01-01');
const FAR = new Date('2999-01-01');

let raw: RawClient;
let namespace: string;
let store: EventStore;

beforeEach(async () => {
  raw = await connectRaw();
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 1 });
});

afterEach(async () => {
  await store.close();
  raw.close();
});

async function serverNow(): Promise<number> {
  const [seconds, micros] = (await raw.send('TIME')) as string[];
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

async function scheduled(from: EventStore = store, limit?: number): Promise<ScheduledEvents[]> {
  const found: ScheduledEvents[] = [];
  for await (const each of from.readScheduled(limit === undefined ? {} : { limit })) found.push(each);
  return found;
}

/** Delivers what is due now, in this process. */
async function deliver(to: EventStore = store): Promise<void> {
  await new StreamProcessor(to).runUntilCaughtUp();
}

const stored = async (name = stream): Promise<number[]> => numbersOf(await collect(store.readStream(name)));

describe('what is scheduled', () => {
  test('is delivered when its time has come, and not before', async () => {
    await using running = run(store, {});
    const due = (await serverNow()) + 1_500; // more than the longest time between two looks
    const { id, isRepeated } = await store.schedule(stream, someNotes(2), { deliverAt: due });
    expect(isRepeated).toBe(false);
    expect(await scheduled()).toEqual([{ id, stream, events: someNotes(2), deliverAt: new Date(due) }]);
    await until('it is delivered', async () => (await stored()).length > 0);
    const events = await collect(store.readStream(stream));
    expect(numbersOf(events)).toEqual([1, 2]);
    for (const { recordedAt } of events) expect(recordedAt.getTime()).toBeGreaterThanOrEqual(due);
    expect(await scheduled()).toEqual([]);
    expect(running.failed).toEqual([]);
  });

  test('is delivered at once where its time is past already, and keeps what it was given', async () => {
    const before = await serverNow();
    await store.append(stream, note(0));
    const event = { ...note(1), id: 'mine', metadata: { causationId: 'c-1' } };
    await store.schedule(stream, event, { deliverAt: PAST, metadata: { correlationId: 'r-1', causationId: 'other' } });
    expect((await scheduled())[0]?.events).toEqual([{ ...event, metadata: { correlationId: 'r-1', causationId: 'c-1' } }]);
    await deliver();
    const [, delivered] = await collect(store.readStream(stream));
    expect(delivered).toMatchObject({ ...event, metadata: { correlationId: 'r-1', causationId: 'c-1' }, streamVersion: 2 });
    expect(delivered?.recordedAt.getTime()).toBeGreaterThanOrEqual(before);
  });

  test('is delivered in the order of time over all streams, and of the same time in the order of the calls', async () => {
    const order = [5, 3, 8, 1, 9, 2, 7, 4, 6, 0];
    for (const n of order) await store.schedule(notes.stream(String(n % 3)), note(n), { deliverAt: PAST.getTime() + n });
    for (let n = 10; n < 300; n += 1)
      await store.schedule((n % 2 ? notes : marks).stream(String(n % 7)), note(n), { deliverAt: PAST.getTime() + 10 });
    const listed = (await scheduled()).flatMap(({ events }) => numbersOf(events));
    await deliver();
    const all = Array.from({ length: 300 }, (_, n) => n);
    expect(listed).toEqual(all);
    expect(numbersOf(await collect(store.readAll()))).toEqual(all);
  });

  test('is delivered to a stream whatever version it has, and folded as every other event is', async () => {
    await using running = run(store, { projections: [lists()] });
    await store.append(stream, note(1));
    await store.schedule(stream, note(2), { deliverAt: PAST });
    await store.append(stream, note(3));
    await running.processor.runUntilCaughtUp();
    expect((await stored()).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  test('stays where no processor delivers', async () => {
    await store.schedule(stream, note(1), { deliverAt: PAST });
    await new StreamProcessor(store, { deliverScheduled: false }).runUntilCaughtUp();
    await using running = run(store, { projections: [lists()], deliverScheduled: false });
    await store.append(stream, note(2));
    await running.processor.runUntilCaughtUp();
    expect(await stored()).toEqual([2]);
    expect(await scheduled()).toHaveLength(1);
  });

  test('is noticed when it is due before all others, and many pages of it are delivered', async () => {
    await store.schedule(stream, note(1_000), { deliverAt: FAR });
    await using _running = run(store, {});
    await until('the processor delivers', async () => (await raw.send('EXISTS', `{${namespace}:0}:delivery`)) === 1);
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => store.schedule(notes.stream(`${n % 10}`), note(n), { deliverAt: PAST.getTime() + n })));
    await until('all are delivered', async () => (await scheduled()).length === 1);
    const events = await collect(store.readAll());
    expect(events).toHaveLength(1_000);
    expect(new Set(numbersOf(events)).size).toBe(1_000);
  });

  test('spreads over partitions, and is listed over all of them in the order of time, in pages', async () => {
    await using many = await openStore({ partitions: 5 });
    const numbers = Array.from({ length: 700 }, (_, n) => n);
    const ids = await Promise.all(
      numbers.map(async (n) => (await many.schedule(notes.stream(`${n}`), note(n), { deliverAt: PAST.getTime() + n })).id),
    );
    expect(new Set(ids).size).toBe(700);
    expect((await scheduled(many)).flatMap(({ events }) => numbersOf(events))).toEqual(numbers);
    expect((await scheduled(many, 3)).flatMap(({ events }) => numbersOf(events))).toEqual([0, 1, 2]);
    expect(await many.cancelScheduled(ids[10] ?? '')).toBe(true);
    await deliver(many);
    expect(numbersOf(await collect(many.readAll())).sort((a, b) => a - b)).toEqual(numbers.filter((n) => n !== 10));
    expect(await scheduled(many)).toEqual([]);
  });

  test('can be as large as an append can be', async () => {
    const large = { type: 'Noted' as const, data: { n: 1, text: 'x'.repeat(appendLimits.eventBytes - 100) } };
    for (let n = 0; n < 4; n += 1) await store.schedule(stream, [large, large], { deliverAt: PAST });
    await store.schedule(stream, someNotes(appendLimits.eventsOfAnAppend), { deliverAt: PAST });
    await deliver();
    expect(await stored()).toHaveLength(8 + appendLimits.eventsOfAnAppend);
  });

  test('is listed until the reader breaks off or is aborted', async () => {
    for (let n = 0; n < 3; n += 1) await store.schedule(stream, note(n), { deliverAt: FAR });
    for await (const { events } of store.readScheduled()) {
      expect(numbersOf(events)).toEqual([0]);
      break;
    }
    const reason = new Error('enough');
    await expect(collectWith(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await errorOf(collectWith(undefined, -1))).toBeInstanceOf(InvalidInputError);
  });

  async function collectWith(signal: AbortSignal | undefined, limit?: number): Promise<void> {
    for await (const { id } of store.readScheduled({ ...(signal && { signal }), ...(limit !== undefined && { limit }) }))
      expect(id).toBeTypeOf('string');
  }
});

describe('what cannot be scheduled is refused, and nothing is written', () => {
  const bad: readonly [string, () => Promise<unknown>][] = [
    ['no time', () => store.schedule(stream, note(1), {} as never)],
    ['an invalid date', () => store.schedule(stream, note(1), { deliverAt: new Date(Number.NaN) })],
    ['a time that is no number', () => store.schedule(stream, note(1), { deliverAt: '2026-01-01' as never })],
    ['a time beyond all times', () => store.schedule(stream, note(1), { deliverAt: 9e15 })],
    ['no events', () => store.schedule(stream, [], { deliverAt: PAST })],
    ['too many events', () => store.schedule(stream, someNotes(appendLimits.eventsOfAnAppend + 1), { deliverAt: PAST })],
    ['data that would not come back', () => store.schedule(stream, note(Number.NaN), { deliverAt: PAST })],
    [
      'an event that is too large',
      () => store.schedule(stream, { ...note(1), metadata: { x: 'x'.repeat(appendLimits.eventBytes) } }, { deliverAt: PAST }),
    ],
    ['a stream that is no name', () => store.schedule('nothing' as never, note(1) as never, { deliverAt: PAST })],
    ['an idempotency key that is none', () => store.schedule(stream, note(1), { deliverAt: PAST, idempotencyKey: '' })],
    ['a schedule that is no array', () => store.appendAll([{ stream, events: note(1) }], { schedule: 7 as never })],
    ['an append of nothing', () => store.appendAll([], { schedule: [{ stream, events: note(1), deliverAt: PAST }] })],
    ['an id of nothing', () => store.cancelScheduled('7')],
    ['an id of another partition', () => store.cancelScheduled(`3.${'0'.repeat(23)}`)],
  ];
  test.each(bad)('%s', async (_what, call) => {
    expect(await errorOf(call())).toBeInstanceOf(InvalidInputError);
    expect(await scheduled()).toEqual([]);
    expect(await stored()).toEqual([]);
  });
});

describe('what is scheduled with an append', () => {
  const later = (
    n: number,
    deliverAt: Date | number = PAST,
  ): { stream: typeof stream; events: ReturnType<typeof note>; deliverAt: Date | number } => {
    return { stream, events: note(n), deliverAt };
  };

  test('is there when the append is made, with the ids in its order', async () => {
    const { scheduledIds, streamVersions } = await store.appendAll([{ stream, events: note(0) }], {
      schedule: [later(2, FAR), later(1), { stream: marks.stream('9'), events: someNotes(2, 10), deliverAt: PAST }],
      metadata: { correlationId: 'r' },
    });
    expect(streamVersions).toEqual([1]);
    const listed = await scheduled();
    expect(scheduledIds).toHaveLength(3);
    expect(listed.map(({ id }) => id).sort()).toEqual([...scheduledIds].sort());
    expect(listed.find(({ id }) => id === scheduledIds[0])).toMatchObject({
      deliverAt: FAR,
      events: [{ data: { n: 2 }, metadata: { correlationId: 'r' } }],
    });
    await deliver();
    expect(numbersOf(await collect(store.readAll()))).toEqual([0, 1, 10, 11]);
    expect((await store.appendAll([{ stream, events: note(3) }])).scheduledIds).toEqual([]);
  });

  test('is not there where the append conflicts, or a guard does', async () => {
    await store.append(stream, note(0));
    const conflict = store.appendAll([{ stream, events: note(1), expectedVersion: 0 }], { schedule: [later(2)] });
    expect(await errorOf(conflict)).toMatchObject({ code: 'version-conflict', isGuard: false });
    const guarded = store.appendAll([{ stream, events: note(1) }], {
      guards: [{ stream: marks.stream('1'), expectedVersion: 7 }],
      schedule: [later(2)],
    });
    expect(await errorOf(guarded)).toMatchObject({ code: 'version-conflict', isGuard: true });
    expect(await scheduled()).toEqual([]);
    expect(await stored()).toEqual([0]);
  });

  test('is not taken for a repeat by event ids alone, for what was scheduled then is not known', async () => {
    const append = (): Promise<AppendAllResult> =>
      store.appendAll([{ stream, events: { ...note(1), id: 'mine' }, expectedVersion: 0 }], { schedule: [later(2)] });
    await append();
    expect(await errorOf(append())).toMatchObject({ code: 'version-conflict' });
    expect(await scheduled()).toHaveLength(1);
  });

  test('has to lie in its partition', async () => {
    await using many = await openStore({ partitions: 16 });
    const apart = many.appendAll([{ stream, events: note(1) }], {
      schedule: Array.from({ length: 20 }, (_, n) => ({ stream: notes.stream(`${n}`), events: note(n), deliverAt: PAST })),
    });
    expect(await errorOf(apart)).toBeInstanceOf(PartitionMismatchError);
    expect(await scheduled(many)).toEqual([]);
    expect(await collect(many.readAll())).toEqual([]);
  });

  test('counts towards the limits of the append', async () => {
    const half = appendLimits.eventsOfAnAppend / 2 + 1;
    const tooMany = store.appendAll([{ stream, events: someNotes(half) }], { schedule: [{ stream, events: someNotes(half), deliverAt: PAST }] });
    expect(await errorOf(tooMany)).toBeInstanceOf(InvalidInputError);
    expect(await stored()).toEqual([]);
  });

  test('comes once where the request comes again, with the first ids, also after it was delivered', async () => {
    const append = (n: number, deliverAt: Date | number): Promise<AppendAllResult> =>
      store.appendAll([{ stream, events: note(1) }], { schedule: [later(n, deliverAt), later(3, deliverAt)], idempotencyKey: 'k' });
    const first = await append(2, PAST);
    expect(await append(2, FAR)).toEqual({ ...first, isRepeated: true });
    expect(await errorOf(append(7, PAST))).toBeInstanceOf(IdempotencyKeyReusedError);
    await deliver();
    expect(await append(2, FAR)).toEqual({ ...first, isRepeated: true });
    expect(await stored()).toEqual([1, 2, 3]);
    expect(await scheduled()).toEqual([]);
  });

  test('alone comes once too, by its key', async () => {
    const again = (n: number): ReturnType<EventStore['schedule']> => store.schedule(stream, note(n), { deliverAt: FAR, idempotencyKey: 'alone' });
    const [first, second] = [await again(1), await again(1)];
    expect(second).toEqual({ id: first.id, isRepeated: true });
    expect(await errorOf(again(2))).toMatchObject({ code: 'idempotency-key-reused' });
    expect(await scheduled()).toHaveLength(1);
  });
});

describe('cancelling', () => {
  test('says whether it was still there: once, and never after it was delivered', async () => {
    const [kept, given] = [await store.schedule(stream, note(1), { deliverAt: FAR }), await store.schedule(stream, note(2), { deliverAt: PAST })];
    await deliver();
    expect(await store.cancelScheduled(given.id)).toBe(false);
    expect(await store.cancelScheduled(kept.id)).toBe(true);
    expect(await store.cancelScheduled(kept.id)).toBe(false);
    await deliver();
    expect(await stored()).toEqual([2]);
    expect(await scheduled()).toEqual([]);
    expect(await raw.send('EXISTS', `{${namespace}:0}:schedule`, `{${namespace}:0}:scheduled`)).toBe(0);
  });

  test('and delivering race, and exactly one of them wins, each time', async () => {
    await using other = await openStore({ namespace });
    await using _first = run(store, { leaseMs: 200 });
    const cancelled = new Set<number>();
    const total = isEmbedded ? 100 : 400; // the slow engine would deliver most of them before they are cancelled
    const start = await serverNow();
    const ids = await Promise.all(
      Array.from({ length: total }, async (_, n) => (await store.schedule(notes.stream(`${n % 5}`), note(n), { deliverAt: start + 300 + n })).id),
    );
    const onCancel = async (n: number): Promise<void> => {
      while ((await serverNow()) < start + 300 + n + (n % 9) - 4);
      // Two at once: only one of them may be told that it was there.
      const told = await Promise.all([other.cancelScheduled(ids[n] ?? ''), other.cancelScheduled(ids[n] ?? '')]);
      expect(told.filter(Boolean).length).toBeLessThanOrEqual(1);
      if (told.includes(true)) cancelled.add(n);
    };
    for (let n = 0; n < total; n += 2) await onCancel(n);
    await until('nothing is left', async () => (await scheduled()).length === 0);
    const delivered = numbersOf(await collect(store.readAll()));
    expect([...delivered, ...cancelled].sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, n) => n));
  });
});
