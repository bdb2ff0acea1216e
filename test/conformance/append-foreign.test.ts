// What an append does where others wrote into its keys, where a write fails half-way, and where the clock stands elsewhere.
import { setTimeout as wait } from 'node:timers/promises';
import { category, comparePositions, type Event, ServerRefusedError, type VersionConflictError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packEntryId } from '../../src/position.ts';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const fixed = (namespace: string): Keys => new Keys(namespace, 1);

let raw: RawClient;
let namespace: string;
let keys: Keys;

beforeEach(async () => {
  raw = await connectRaw();
  namespace = uniqueNamespace();
  keys = fixed(namespace);
});

afterEach(() => raw.close());

/** The entries of a log and the places of an index, as they stand in Redis. */
async function standing(streamName = 'notes:1'): Promise<{ entries: unknown; places: unknown }> {
  const log = keys.log(0, streamName.split(':')[0] ?? '');
  return { entries: await raw.send('XRANGE', log, '-', '+'), places: await raw.send('LRANGE', keys.stream(0, streamName), '0', '-1') };
}

const nowMs = async (): Promise<number> => Number(((await raw.send('TIME')) as string[])[0]) * 1_000;

describe('a write that fails half-way', () => {
  test('is undone where the log is none', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('SET', keys.log(0, 'notes'), 'no log');
    for (const events of [note(1), someNotes(3)]) {
      expect(await errorOf(store.append(stream, events))).toMatchObject({ code: 'server-refused', reason: 'WRONGTYPE' });
      expect(await raw.send('EXISTS', keys.stream(0, 'notes:1'))).toBe(0);
    }
    await raw.send('DEL', keys.log(0, 'notes'));
    expect((await store.append(stream, note(4), { expectedVersion: 'no-stream' })).streamVersion).toBe(1);
  });

  test('is undone where the index is none', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('SET', keys.stream(0, 'notes:1'), 'no list');
    for (const events of [note(1), someNotes(3)]) {
      const error = await errorOf(store.append(stream, events));
      expect(error).toBeInstanceOf(ServerRefusedError);
      expect(error.message).toContain('WRONGTYPE');
      expect(await raw.send('XLEN', keys.log(0, 'notes'))).toBe(0);
    }
  });

  test('takes back what other streams got by the same append', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(stream, note(1));
    const before = await standing();
    await raw.send('SET', keys.log(0, 'marks'), 'no log');
    const append = store.appendAll([
      { stream, events: someNotes(2, 2) },
      { stream: notes.stream('2'), events: note(4) },
      { stream: marks.stream('1'), events: note(5) },
    ]);
    expect(await errorOf(append)).toMatchObject({ code: 'server-refused', reason: 'WRONGTYPE' });
    expect(await standing()).toEqual(before);
    expect(await standing('notes:2')).toEqual({ entries: before.entries, places: [] });
    expect((await store.append(stream, note(6), { expectedVersion: 1 })).streamVersion).toBe(2);
    expect(numbersOf(await collect(store.readCategory(notes)))).toEqual([1, 6]);
  });

  test('leaves those beside it in the batch alone, and their positions right', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('SET', keys.log(0, 'marks'), 'no log');
    const ids = Array.from({ length: 60 }, (_, n) => n);
    const outcomes = await Promise.allSettled(
      ids.map((n) => {
        const id = String(n % 4);
        if (n % 3 === 0) return store.append(notes.stream(id), note(n));
        const parts = [
          { stream: notes.stream(id), events: someNotes(2, n) },
          ...(n % 3 === 1 ? [{ stream: marks.stream(id), events: note(n) }] : []),
        ];
        return store.appendAll(parts);
      }),
    );
    const events = await collect(store.readCategory(notes));
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map((n) => (n % 3 === 1 ? 'rejected' : 'fulfilled')));
    expect(numbersOf(events)).toEqual(ids.flatMap((n) => (n % 3 === 0 ? [n] : n % 3 === 1 ? [] : [n, n + 1])));
    const told = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.position] : []));
    const last = new Set(events.map(({ position }) => position));
    expect(told.filter((position) => !last.has(position))).toEqual([]);
    expect(told.at(-1)).toBe(events.at(-1)?.position);
  });

  test('is told as such where the head is none', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('RPUSH', keys.head(0), 'no text');
    expect(await errorOf(store.append(stream, note(1)))).toMatchObject({ code: 'server-refused' });
    expect(await standing()).toEqual({ entries: [], places: [] });
  });
});

describe('entries that others added to a log by hand', () => {
  test('do not move versions', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(stream, note(1));
    for (let i = 0; i < 3; i += 1) await raw.send('XADD', keys.log(0, 'notes'), '*', 'some', 'thing');
    expect((await store.append(stream, note(2), { expectedVersion: 1 })).streamVersion).toBe(2);
    expect(numbersOf(await collect(store.readStream(stream)))).toEqual([1, 2]);
  });

  test.each([1, 3])('with an id in the future are passed: %i events stand behind them, and carry their time', async (count) => {
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(stream, note(0));
    await store.append(marks.stream('1'), note(0));
    const future = (await nowMs()) + 3_600_000;
    const id = String(await raw.send('XADD', keys.log(0, 'notes'), `${future}-7`, 'some', 'thing'));
    const result = await store.append(stream, count === 1 ? note(1) : someNotes(count), { expectedVersion: 1 });
    expect(result.streamVersion).toBe(1 + count);
    const events = await collect(store.readStream(stream));
    expect(events.at(-1)?.position).toBe(result.position);
    expect(packEntryId(events[1]?.position ?? '')).toBeGreaterThan(packEntryId(id));
    for (const event of events) expect(Math.abs(Number(event.recordedAt) - Date.now())).toBeLessThan(30_000);
    // In the other log, too: the order of positions is that of the appends.
    const later = await store.append(marks.stream('1'), note(2));
    expect(comparePositions(result.position, later.position)).toBeLessThan(0);
  });

  test('with an id in the future are passed in the middle of a batch, and every append knows where it stands', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(marks.stream('0'), note(0));
    await raw.send('XADD', keys.log(0, 'notes'), `${(await nowMs()) + 60_000}-4095`, 'some', 'thing');
    const appends = Array.from({ length: 40 }, (_, n) => {
      if (n % 10 === 9)
        return store.appendAll([
          { stream: marks.stream('0'), events: note(n) },
          { stream: notes.stream('0'), events: someNotes(2, n) },
        ]);
      return store.append(n < 20 ? marks.stream('0') : stream, note(n));
    });
    const told = (await Promise.all(appends)).map(({ position }) => position);
    const last = new Set(
      [
        ...(await collect(store.readStream(stream))),
        ...(await collect(store.readStream(marks.stream('0')))),
        ...(await collect(store.readStream(notes.stream('0')))),
      ].map(({ position }) => position),
    );
    expect(told.filter((position) => !last.has(position))).toEqual([]);
    expect(told).toEqual([...told].sort((a, b) => comparePositions(a, b)));
  });

  test('with the greatest id there can be stop appends to this category, with a clear error, and nothing else', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('XADD', keys.log(0, 'notes'), '18446744073709551615-0', 'some', 'thing');
    for (const events of [note(1), someNotes(2)]) {
      const error = await errorOf(store.append(stream, events));
      expect(error.message).toContain('beyond all times');
      expect(await raw.send('EXISTS', keys.stream(0, 'notes:1'))).toBe(0);
    }
    expect((await store.append(marks.stream('1'), note(1))).streamVersion).toBe(1);
    expect(numbersOf(await collect(store.readCategory(marks)))).toEqual([1]);
  });
});

describe('the place of an event', () => {
  test('goes over into the next millisecond after the 4,096th of one', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    const ms = (await nowMs()) + 500;
    await raw.send('SET', keys.head(0), String(packEntryId(`${ms}-0`)));
    // The clock stands before the head, so all of them go behind it, one place each.
    const results = await Promise.all(Array.from({ length: 9 }, () => store.append(stream, someNotes(1_000))));
    const events = await collect(store.readStream(stream));
    expect(events).toHaveLength(9_000);
    const places = events.map(({ position }) => packEntryId(position));
    expect(places.every((place, index) => index === 0 || place > (places[index - 1] ?? 0))).toBe(true);
    expect(new Set(events.map(({ position }) => position.split('-')[0])).size).toBeGreaterThanOrEqual(3);
    expect(results.at(-1)?.position).toBe(events.at(-1)?.position);
    expect(await collect(store.readCategory(notes))).toEqual(events);
  });

  test('is behind the last one where the clock stepped back; then events carry their time, and reading by time finds them', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    const before = await nowMs();
    await store.append(stream, note(0));
    await raw.send('SET', keys.head(0), String(packEntryId(`${before + 3_600_000}-0`)));
    const since = new Date(await nowMs());
    await wait(1_100 - (Date.now() % 1_000)); // into another second of the server's clock
    const behind = await store.append(stream, note(1));
    await store.append(stream, someNotes(2, 2));
    expect(packEntryId(behind.position)).toBeGreaterThan(packEntryId(`${before + 3_600_000}-0`));
    const events = await collect(store.readStream(stream));
    for (const { recordedAt } of events) expect(Math.abs(Number(recordedAt) - before)).toBeLessThan(60_000);
    for (const found of [store.readAll({ from: since }), store.readCategory(notes, { from: since }), store.readStream(stream, { from: since })]) {
      const numbers = numbersOf(await collect(found));
      expect(numbers.slice(-3)).toEqual([1, 2, 3]);
    }
    expect(numbersOf(await collect(store.readAll({ from: new Date(before + 1_800_000) })))).toEqual([]);
    expect(numbersOf(await collect(store.readAll({ from: new Date(before + 1_800_000), direction: 'backward' })))).toEqual([3, 2, 1, 0]);
  });
});

describe('the data of an event', () => {
  type Odd = Event<'Odd', unknown>;
  const odd = category<Odd>('odd');

  test.each([
    [null],
    [0],
    [''],
    ['text with "quotes" and \u2028'],
    [[]],
    [{}],
    [{ a: [[], {}], '': 1, '1': 2, '0': 3 }],
    [{ text: '😀\u0000\r\n' }],
    [1e300],
    [2 ** 53 + 2],
  ])('comes back deep-equal: %j', async (data) => {
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(odd.stream('1'), { type: 'Odd', data });
    await store.append(odd.stream('1'), [{ type: 'Odd', data }], { idempotencyKey: 'key' });
    expect((await collect(store.readStream(odd.stream('1')))).map((event) => event.data)).toEqual([data, data]);
  });

  test('with a __proto__ in it touches no prototype', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    const data: unknown = JSON.parse('{ "__proto__": { "polluted": true }, "constructor": { "prototype": { "polluted": true } } }');
    await store.append(odd.stream('1'), { type: 'Odd', data });
    const [event] = await collect(store.readStream(odd.stream('1')));
    expect(JSON.stringify(event?.data)).toBe(JSON.stringify(data));
    expect(Object.keys(event?.data as object)).toEqual(['__proto__', 'constructor']);
    expect((event?.data as { polluted?: unknown } | undefined)?.polluted).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

test('a conflict carries what was missed also where an entry of it was deleted by hand', async () => {
  await using store = await openStore({ namespace, partitions: 1 });
  await store.append(stream, someNotes(3));
  const [, second] = await collect(store.readStream(stream));
  await raw.send('XDEL', keys.log(0, 'notes'), second?.position ?? '');
  const conflict = (await errorOf(store.append(stream, note(4), { expectedVersion: 0 }))) as VersionConflictError;
  expect(conflict.actualVersion).toBe(3);
  expect(numbersOf(conflict.missedEvents as { data: unknown }[])).toEqual([1, 3]);
  expect((await store.append(stream, note(4), { expectedVersion: 3 })).streamVersion).toBe(4);
});
