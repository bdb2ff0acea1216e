// What an append promises when what is sent again meets a server that refuses: the first answer, a refusal, or an honest "unknown".
import { type EventStore, OutcomeUnknownError, ServerRefusedError, type VersionConflictError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { accountOf, isAppend, waysToOpen } from '../support/faults.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { collect, errorOf, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const stream = notes.stream('1');
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

let engine: TestEngine;
let raw: RawClient;
let proxy: Proxy;
let namespace: string;
let beside: EventStore;

beforeEach(async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  engine = await startEngine();
  raw = await connectRaw(engine.url);
  proxy = await startProxy(engine.url);
  namespace = uniqueNamespace();
  beside = await openStore({ url: engine.url, namespace });
});

afterEach(async () => {
  await beside?.close();
  await proxy?.close();
  raw?.close();
  await engine?.stop();
});

const outOfMemory = async (): Promise<unknown> => await raw.send('CONFIG', 'SET', 'maxmemory', '1');
const memoryAgain = async (): Promise<unknown> => await raw.send('CONFIG', 'SET', 'maxmemory', '0');
const replica = async (): Promise<unknown> => await raw.send('REPLICAOF', '127.0.0.1', '1');
const primary = async (): Promise<unknown> => await raw.send('REPLICAOF', 'NO', 'ONE');

describe.each(waysToOpen)('an append $name', (way) => {
  test('that was run before memory ran out has the first result', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(1));
    const lost = proxy.loseReplyOf(isAppend, { whileCut: outOfMemory });
    const append = opened.store.append(stream, someNotes(3, 2));
    await lost;
    const result = await append;
    expect(result).toMatchObject({ streamVersion: 4, isRepeated: false });
    await memoryAgain();
    const stored = await collect(beside.readStream(stream));
    expect(numbersOf(stored)).toEqual([1, 2, 3, 4]);
    expect(stored.at(-1)?.position).toBe(result.position);
  });

  test('among others, conflicts among them, that were run before memory ran out has its own outcome', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(0));
    const lost = proxy.loseReplyOf(isAppend, { count: 2, whileCut: outOfMemory });
    const outcomes = Promise.allSettled(range(0, 99).map((n) => opened.store.append(stream, note(n), { expectedVersion: n % 4 === 3 ? 1 : 'any' })));
    await lost;
    const settled = await outcomes;
    await memoryAgain();
    const told = await accountOf(beside, settled);
    expect(told).toMatchObject({ lost: [], doubled: [], rejected: range(0, 99).filter((n) => n % 4 === 3) });
    for (const error of told.errors) expect(numbersOf((error as VersionConflictError).missedEvents as { data: unknown }[])[0]).toBe(0);
    expect(await collect(beside.readStream(stream))).toHaveLength(76);
  });

  test('that never arrived, and meets a server without memory, is refused, and never run', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(1));
    const lost = proxy.loseCommand(isAppend, { whileCut: outOfMemory });
    const append = errorOf(opened.store.append(stream, note(2)));
    await lost;
    expect(await append).toMatchObject({ code: 'server-refused', reason: 'OOM' });
    await memoryAgain();
    expect((await opened.store.append(stream, note(3))).streamVersion).toBe(2);
    expect(numbersOf(await collect(beside.readStream(stream)))).toEqual([1, 3]);
  });

  test.each(['loseReplyOf', 'loseCommand'] as const)('is unknown, or told as it is, where it meets a replica after %s', async (fault) => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(1));
    const lost = proxy[fault](isAppend, { whileCut: replica });
    const append = errorOf(opened.store.append(stream, note(2)));
    await lost;
    expect(await append).toBeInstanceOf(OutcomeUnknownError);
    await primary();
    expect(numbersOf(await collect(beside.readStream(stream)))).toEqual(fault === 'loseReplyOf' ? [1, 2] : [1]);
    const { streamVersion } = await opened.store.append(stream, note(3));
    expect(numbersOf(await collect(beside.readStream(stream)))).toHaveLength(streamVersion);
  });

  test('is refused where nothing was cut, with the reason and what to do next', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, note(1));
    await outOfMemory();
    expect(await errorOf(opened.store.append(stream, note(2)))).toMatchObject({ code: 'server-refused', reason: 'OOM' });
    await memoryAgain();
    await replica();
    const refused = await errorOf(opened.store.append(stream, note(2)));
    expect(refused).toBeInstanceOf(ServerRefusedError);
    expect(refused.message).toContain('primary');
    await primary();
    expect((await opened.store.append(stream, note(2))).streamVersion).toBe(2);
  });

  test('is run once over restarts of the server, and after its scripts were flushed', async () => {
    await using opened = await way.open(proxy.url, { namespace, timeoutMs: 15_000 });
    await opened.store.append(stream, note(0));
    await raw.send('SCRIPT', 'FLUSH');
    await opened.store.append(stream, note(1));
    const lost = proxy.loseReplyOf(isAppend, { whileCut: () => engine.restart() });
    const appends = range(2, 21).map((n) => opened.store.append(stream, note(n)));
    await lost;
    const told = await Promise.all(appends);
    await using after = await openStore({ url: engine.url, namespace });
    const stored = await collect(after.readStream(stream));
    expect(numbersOf(stored).sort((a, b) => a - b)).toEqual(range(0, 21));
    expect(told.map(({ streamVersion }) => stored[streamVersion - 1]?.position)).toEqual(told.map(({ position }) => position));
  });

  test('goes on under a new name after everything was flushed', async () => {
    await using opened = await way.open(proxy.url, { namespace });
    await opened.store.append(stream, someNotes(3));
    await raw.send('FLUSHALL');
    expect((await opened.store.append(stream, note(1))).streamVersion).toBe(1);
    expect(numbersOf(await collect(opened.store.readAll()))).toEqual([1]);
  });
});
