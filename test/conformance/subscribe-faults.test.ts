// What a subscription promises when connections break, servers restart and logs are lost.
import { type EventReader, type EventStore, LogLostError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { startProxy } from '../support/proxy.ts';
import { collect, errorOf, marks, type Noted, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('a subscription whose connection went silent replaces it by itself, and goes on', async () => {
  await using proxy = await startProxy(testUrl());
  const namespace = uniqueNamespace();
  await using beside = await openStore({ url: testUrl(), namespace });
  await using store = await openStore({ url: proxy.url, namespace });
  await beside.append(stream, note(1));
  const subscription = await store.subscribe({ categories: [notes] });
  await subscription.next();
  const next = subscription.next();
  await proxy.seen((args) => args.includes('BLOCK'));
  const { accepted } = proxy;
  proxy.freeze('replies');
  await beside.append(stream, note(2));
  // Nobody tells it that the connection is dead: when its blocking read should have ended, it ends the connection.
  await expect.poll(() => proxy.connections, { timeout: 10_000 }).toBe(1);
  proxy.thaw();
  expect((await next).value?.data.n).toBe(2);
  expect(proxy.accepted).toBe(accepted);
  await beside.append(stream, someNotes(3, 3));
  for (const n of range(3, 5)) expect((await subscription.next()).value?.data.n).toBe(n);
  const last = subscription.next();
  await expect.poll(() => proxy.accepted).toBe(accepted + 1);
  await beside.append(stream, note(6));
  expect((await last).value?.data.n).toBe(6);
}, 30_000);

test('a subscription passes over nothing and repeats nothing over many cuts', async () => {
  await using proxy = await startProxy(testUrl());
  const namespace = uniqueNamespace();
  await using beside = await openStore({ url: testUrl(), namespace });
  await using store = await openStore({ url: proxy.url, namespace });
  const events = collect((await store.subscribe({ categories: [notes, marks] })) as EventReader<Noted>, 600);
  for (const n of range(0, 199)) {
    await beside.appendAll([
      { stream, events: note(3 * n) },
      { stream: marks.stream('1'), events: note(3 * n + 1) },
      { stream: notes.stream('2'), events: note(3 * n + 2) },
    ]);
    if (n % 40 === 20) proxy.cut();
    if (n % 40 === 0) await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(numbersOf(await events)).toEqual(range(0, 599));
});

describe('a subscription on an engine of its own', () => {
  let engine: TestEngine;
  let raw: RawClient;
  let namespace: string;
  let store: EventStore;
  let subscription: EventReader<Noted>;

  beforeEach(async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    engine = await startEngine();
    raw = await connectRaw(engine.url);
    namespace = uniqueNamespace();
    store = await openStore({ url: engine.url, namespace, timeoutMs: 10_000 });
    await store.append(stream, someNotes(3));
    subscription = await store.subscribe({ categories: [notes] });
    for (const n of range(1, 3)) expect((await subscription.next()).value?.data.n).toBe(n);
  });

  afterEach(async () => {
    await store?.close();
    raw?.close();
    await engine?.stop();
  });

  /** The connection that waits for this subscription, once it does. */
  async function blocked(): Promise<string> {
    const found = async (): Promise<string | undefined> => /id=(\d+)[^\n]* cmd=xread /.exec(String(await raw.send('CLIENT', 'LIST')))?.[1];
    await expect.poll(found).toBeDefined();
    return (await found()) ?? '';
  }

  test('survives that its waiting connection is killed, again and again', async () => {
    for (const n of range(4, 8)) {
      const next = subscription.next();
      await raw.send('CLIENT', 'KILL', 'ID', await blocked());
      await store.append(stream, note(n));
      expect((await next).value?.data.n).toBe(n);
    }
  });

  test('survives a restart of the server', async () => {
    const next = subscription.next();
    await blocked();
    await engine.restart();
    await store.append(stream, note(4));
    expect((await next).value?.data.n).toBe(4);
  });

  test('survives that the server is killed, and stands still for a while', async () => {
    const next = subscription.next();
    await blocked();
    await engine.kill();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await engine.restart();
    await store.append(stream, note(4));
    expect((await next).value?.data.n).toBe(4);
  });

  test('says that the log is lost where it was flushed, and never begins again by itself', async () => {
    const next = errorOf(subscription.next());
    await blocked();
    await raw.send('FLUSHALL');
    expect(await next).toBeInstanceOf(LogLostError);
    expect(await subscription.next()).toEqual({ value: undefined, done: true });
    expect(await errorOf((await store.subscribe({ from: subscription.cursor })).next())).toBeInstanceOf(LogLostError);
  });

  test('says so also where others were appended after the flush', async () => {
    const next = errorOf(subscription.next());
    await blocked();
    await raw.send('FLUSHALL');
    await store.append(stream, someNotes(5, 10));
    expect(await next).toBeInstanceOf(LogLostError);
  });

  test('says so where the log of the event that it stands at was deleted, or another event stands there', async () => {
    const log = new Keys(namespace, 1).log(0, 'notes');
    const [, , last] = await collect(store.readStream(stream));
    await raw.send('DEL', log);
    await store.append(marks.stream('1'), note(1));
    await store.append(stream, note(4));
    expect(await errorOf(subscription.next())).toBeInstanceOf(LogLostError);
    // As a restored backup has it.
    await raw.send('DEL', log);
    await raw.send('XADD', log, last?.position ?? '', 'type', 'Noted', 'id', '7', 'version', '1', 'data', '{"n":3}');
    const again = await store.subscribe({ categories: [notes] });
    await again.next();
    await raw.send('DEL', log);
    await raw.send('XADD', log, last?.position ?? '', 'type', 'Noted', 'id', '8', 'version', '1', 'data', '{"n":3}');
    await store.append(notes.stream('9'), note(9));
    expect(await errorOf(again.next())).toBeInstanceOf(LogLostError);
  });
});
