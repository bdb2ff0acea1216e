// What scheduling promises when something fails: nothing twice, nothing lost, each stream in order, and the others go on.
import { setTimeout as delay } from 'node:timers/promises';
import { CorruptScheduleError, DeliveryFailedError, type EventStore, StreamProcessor } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Due, deliver, readDue } from '../../src/log/deliver.ts';
import { Delivery } from '../../src/processor/delivery.ts';
import { connectionOf } from '../../src/redis/connection.ts';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { isAppend, waysToOpen } from '../support/faults.ts';
import { run, until } from '../support/processors.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore } from '../support/store.ts';

const PAST = Date.UTC(2026, 0, 1);
const [first, second] = [notes.stream('1'), notes.stream('2')];

let raw: RawClient;
let proxy: Proxy;
let namespace: string;
let keys: Keys;
/** Goes past the proxy. */
let beside: EventStore;

beforeEach(async () => {
  raw = await connectRaw(testUrl());
  proxy = await startProxy(testUrl());
  namespace = uniqueNamespace();
  keys = new Keys(namespace, 1);
  beside = await openStore({ url: testUrl(), namespace });
});

afterEach(async () => {
  await beside.close();
  await proxy.close();
  raw.close();
});

async function idsLeft(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of beside.readScheduled()) ids.push(id);
  return ids;
}

async function due(): Promise<readonly Due[]> {
  return (await readDue(connectionOf(beside), 0, { count: 1_000 })).due;
}

const stored = async (stream = first): Promise<number[]> => numbersOf(await collect(beside.readStream(stream)));

/** Schedules notes with these numbers in the order of time, by turns for two streams: the odd ones for the first. */
async function scheduleNotes(numbers: readonly number[], store = beside): Promise<string[]> {
  const ids: string[] = [];
  for (const n of numbers) ids.push((await store.schedule(n % 2 ? first : second, note(n), { deliverAt: PAST + n })).id);
  return ids;
}

/** How many streams they are of: on a slow engine the first are tried again, and told again, before the last have been tried. */
function streamsOf(failures: readonly DeliveryFailedError[]): number {
  return new Set(failures.map(({ streamName }) => streamName)).size;
}

/** One process's delivery, run by hand, and what it told of failures. */
function delivery(): { readonly delivery: Delivery; readonly failures: DeliveryFailedError[] } {
  const failures: DeliveryFailedError[] = [];
  return { delivery: new Delivery(connectionOf(beside), 0, (error) => failures.push(error)), failures };
}

describe.each(waysToOpen)('a reply that was lost $name', (way) => {
  test('leaves what was scheduled there once, and its id known', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(second, note(0));
    const lost = proxy.loseReplyOf(isAppend);
    const scheduling = opened.store.schedule(first, note(1), { deliverAt: PAST });
    await lost;
    expect(await idsLeft()).toEqual([(await scheduling).id]);
  });

  test('of a cancellation does not make it look as if it had come too late', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    const { id } = await opened.store.schedule(first, note(1), { deliverAt: PAST });
    const lost = proxy.loseReplyOf(isAppend);
    const cancelling = opened.store.cancelScheduled(id);
    await lost;
    expect(await cancelling).toBe(true);
    expect(await opened.store.cancelScheduled(id)).toBe(false);
  });

  test('of a delivery does not make it come twice, in whatever order the rest comes', async () => {
    await scheduleNotes(Array.from({ length: 600 }, (_, n) => n));
    await using opened = await way.open(proxy.url, { namespace });
    const faults = [proxy.loseReplyOf(isAppend), proxy.loseCommand(isAppend), proxy.loseReplyOf(isAppend)];
    await using running = run(opened.store, { leaseMs: 300 });
    await Promise.all(faults);
    await until('all are delivered', async () => (await idsLeft()).length === 0);
    expect(numbersOf(await collect(beside.readAll()))).toEqual(Array.from({ length: 600 }, (_, n) => n));
    expect(running.failed).toEqual([]);
  });

  test('of a delivery is waited out by who waits until everything is caught up', async () => {
    await scheduleNotes([1, 2]);
    await using opened = await way.open(proxy.url, { namespace, timeoutMs: 400 });
    const lost = proxy.loseReplyOf(isAppend, { whileCut: () => delay(1_000) }); // longer than an append tries
    const [caughtUp] = await Promise.all([new StreamProcessor(opened.store).runUntilCaughtUp(), lost]);
    expect(caughtUp).toBeUndefined();
    expect(numbersOf(await collect(beside.readAll()))).toEqual([1, 2]);
  });
});

describe('two processes that deliver the same at once', () => {
  test('append it once: the second one finds it gone, and writes nothing', async () => {
    await using other = await openStore({ url: testUrl(), namespace });
    await scheduleNotes([1, 2, 3, 4]);
    const page = await due();
    const outcomes = await Promise.all([deliver(connectionOf(beside), 0, page), deliver(connectionOf(other), 0, page)]);
    expect(outcomes.map(String).toSorted()).toEqual(['delivered', 'gone']);
    expect(await deliver(connectionOf(beside), 0, page.slice(2))).toBe('gone');
    expect(numbersOf(await collect(beside.readAll()))).toEqual([1, 2, 3, 4]);
  });

  test('write nothing of a page of which one was cancelled, and then the rest of it', async () => {
    const [, id = ''] = await scheduleNotes([1, 2, 3]);
    const page = await due();
    await beside.cancelScheduled(id);
    expect(await deliver(connectionOf(beside), 0, page)).toBe('gone');
    expect(await collect(beside.readAll())).toEqual([]);
    await new StreamProcessor(beside).runUntilCaughtUp();
    expect(numbersOf(await collect(beside.readAll()))).toEqual([1, 3]);
  });

  test('keep the order of time without any lease', async () => {
    const stores = await Promise.all([0, 1, 2].map(() => openStore({ url: testUrl(), namespace })));
    const numbers = Array.from({ length: 1_500 }, (_, n) => n);
    for (let n = 0; n < 1_500; n += 100) await Promise.all(numbers.slice(n, n + 100).map((each) => scheduleNotes([each])));
    await Promise.all(stores.map((store) => new StreamProcessor(store).runUntilCaughtUp()));
    expect(numbersOf(await collect(beside.readAll()))).toEqual(numbers);
    await Promise.all(stores.map((store) => store.close()));
  });
});

describe('what cannot be delivered', () => {
  test('waits with the later ones of its stream, told, while others go on, and comes in order once that is mended', async () => {
    await raw.send('SET', keys.stream(0, first), 'no list');
    const ids = await scheduleNotes([1, 2, 3, 4, 5, 6]);
    await using running = run(beside, {});
    await until('the others are delivered', async () => (await stored(second)).length === 3);
    expect(await idsLeft()).toEqual([ids[0], ids[2], ids[4]]);
    await until('it is told, and tried again', () => running.failed.length >= 2);
    for (const { error, partition } of running.failed) {
      expect(partition).toBe(0);
      expect(error).toBeInstanceOf(DeliveryFailedError);
      expect(error).toMatchObject({ scheduledId: ids[0], streamName: first, cause: { code: 'server-refused', reason: 'WRONGTYPE' } });
    }
    // What is due later goes on too, and what belongs to that stream waits.
    await scheduleNotes([7, 8]);
    await until('the later one is delivered', async () => (await stored(second)).length === 4);
    await raw.send('DEL', keys.stream(0, first));
    await until('nothing is left', async () => (await idsLeft()).length === 0);
    expect(await stored()).toEqual([1, 3, 5, 7]);
    expect(await stored(second)).toEqual([2, 4, 6, 8]);
  });

  test('can be given up, and then the later ones are tried', async () => {
    await raw.send('SET', keys.stream(0, first), 'no list');
    const [id = ''] = await scheduleNotes([1, 3]);
    const { delivery: one, failures } = delivery();
    await one.next();
    expect(failures.map(({ scheduledId }) => scheduledId)).toEqual([id]);
    expect(await beside.cancelScheduled(id)).toBe(true);
    await raw.send('DEL', keys.stream(0, first));
    await until('the later one is delivered', async () => (await one.next()) >= 0 && (await idsLeft()).length === 0);
    expect(await stored()).toEqual([3]);
  });

  test('is tried again before what was scheduled for its stream since', async () => {
    await raw.send('SET', keys.stream(0, first), 'no list');
    await scheduleNotes([1]);
    const { delivery: one, failures } = delivery();
    await one.next();
    expect(failures).toHaveLength(1);
    await raw.send('DEL', keys.stream(0, first));
    await scheduleNotes([3]);
    await until('both are delivered', async () => (await one.next()) >= 0 && (await idsLeft()).length === 0);
    expect(await stored()).toEqual([1, 3]);
  });

  test('in more streams than a page holds does not keep later ones of others from coming', async () => {
    await raw.send('SET', keys.log(0, 'notes'), 'no log');
    const marked = Array.from({ length: 300 }, (_, n) => n);
    for (const n of marked) await beside.schedule(notes.stream(`s${n}`), note(n), { deliverAt: PAST + n });
    const { delivery: one, failures } = delivery();
    while ((await one.next()) === 0);
    expect(streamsOf(failures)).toBe(300);
    await raw.send('DEL', keys.log(0, 'notes'));
    await beside.schedule(second, note(1_000), { deliverAt: PAST + 1_000 });
    await one.next();
    expect(await stored(second)).toEqual([1_000]);
    await until('all are delivered', async () => (await one.next()) >= 0 && (await idsLeft()).length === 0);
    expect(await collect(beside.readAll())).toHaveLength(301);
  });

  test('in more than a thousand streams makes the partition wait for them, and no more than that', { timeout: 60_000 }, async () => {
    await raw.send('SET', keys.log(0, 'notes'), 'no log');
    const numbers = Array.from({ length: 1_300 }, (_, n) => n);
    await Promise.all(numbers.map((n) => beside.schedule(notes.stream(`s${n}`), note(n), { deliverAt: PAST + n })));
    await beside.schedule(marks.stream('1'), note(5_000), { deliverAt: PAST + 5_000 });
    const { delivery: one, failures } = delivery();
    while ((await one.next()) === 0);
    expect(streamsOf(failures)).toBeLessThan(1_300);
    expect(await idsLeft()).toHaveLength(1_301);
    await raw.send('DEL', keys.log(0, 'notes'));
    await until('all are delivered', async () => (await one.next()) >= 0 && (await idsLeft()).length === 0, 50_000);
    expect(await collect(beside.readAll())).toHaveLength(1_301);
  });

  test('throws where a caller waits for it', async () => {
    await raw.send('SET', keys.stream(0, first), 'no list');
    await scheduleNotes([1, 2]);
    expect(await errorOf(new StreamProcessor(beside).runUntilCaughtUp())).toMatchObject({ code: 'delivery-failed', streamName: first });
    expect(await stored(second)).toEqual([2]);
  });

  test.each(['', 'no JSON', '[]', '["notes:1"]', '["no name",["T","1"]]', '["notes:1",["T"]]', '["notes:1",["T",1]]', '["notes:1",7]'])(
    'for somebody else wrote there, is told and passed over: %s',
    async (payload) => {
      const [id = ''] = await scheduleNotes([1, 2, 3]);
      if (payload === '') await raw.send('HDEL', keys.scheduled(0), id);
      else await raw.send('HSET', keys.scheduled(0), id, payload);
      await using running = run(beside, {});
      await until('it is told', () => running.failed.length > 0);
      await until('the others are delivered', async () => (await collect(beside.readAll())).length === 2);
      expect(running.failed[0]?.error).toMatchObject({ code: 'delivery-failed', scheduledId: id, cause: { code: 'corrupt-schedule' } });
      expect(await errorOf(idsLeft())).toBeInstanceOf(CorruptScheduleError);
      expect(await stored()).toEqual([3]);
    },
  );
});
