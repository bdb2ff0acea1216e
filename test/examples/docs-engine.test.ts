// Runs the code and the settings that the documents show for engines that are set in a certain way.
import { readFileSync } from 'node:fs';
import { category, EventStore, ProcessorControl, projection, reactor, serving, SnapshotStore, source, StreamProcessor } from 'millrace';
import { expect, test } from 'vitest';
import { openDurably, openReplicated, register } from '../../examples/docs/durability.ts';
import { connectRaw, testClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';

function lines(name: string): string[] {
  return readFileSync(new URL(`../../examples/docs/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n');
}

test('the settings for durable writes start an engine that syncs each write, and a store waits for that', async ({ skip }) => {
  const reason = whyNoEngine();
  if (reason) skip(reason);
  await using engine = await startEngine({
    args: lines('durable.conf').flatMap((line) => line.split(' ').map((word, at) => (at === 0 ? `--${word}` : word))),
  });
  await using redis = await connectRaw(engine.url);
  expect(await redis.send('CONFIG', 'GET', 'appendfsync')).toEqual(['appendfsync', 'always']);
  await using store = await openDurably(engine.url, uniqueNamespace());
  expect(await register(store, '1', 'a')).toMatchObject({ streamVersion: 1, isRepeated: false });
  // There is no replica here: each attempt says so, and none writes twice.
  await using replicated = await openReplicated(engine.url, uniqueNamespace());
  await expect(register(replicated, '1', 'b')).rejects.toMatchObject({ code: 'unconfirmed', result: { streamVersions: [1], isRepeated: true } });
});

const notes = category<{ readonly type: 'Noted'; readonly data: number }>('notes');
const echoes = category<{ readonly type: 'Noted'; readonly data: number }>('echoes');
const legacy = source({ key: 'user_updates', into: notes, decode: () => ({ id: '1', event: { type: 'Noted', data: 0 } }) });
const plain = projection({ name: 'plain', categories: [notes], initialState: () => 0, evolve: (sum, { data }) => (data < 0 ? null : sum + data) });
const keyed = projection({
  name: 'keyed',
  categories: [notes],
  key: ({ data }) => `k${data % 2}`,
  initialState: () => ({ n: 0 }),
  evolve: ({ n }, { data }) => (data < 0 ? null : { n: n + 1 }),
});
const counter = notes.decider({
  initialState: () => 0,
  evolve: (n) => n + 1,
  decide: (_command: string) => [{ type: 'Noted', data: 2 }],
  snapshot: { name: 'counter', version: 1, everyEvents: 1 },
});

/** Whatever a program does with a store. */
async function useEverything(store: EventStore): Promise<void> {
  const stream = notes.stream('1');
  await using processor = new StreamProcessor(store, { projections: [plain, keyed], sources: [legacy] });
  processor.start();
  await store.append(stream, { type: 'Noted', data: 1 });
  await store.append(stream, [{ type: 'Noted', data: 1 }], { expectedVersion: 9 }).catch(() => undefined);
  await store.append(stream, { type: 'Noted', data: 1 }, { expectedVersion: 9 }).catch(() => undefined);
  await store.execute(counter, '1', 'count', { idempotencyKey: 'once' });
  const { token } = await store.append(stream, { type: 'Noted', data: -1 });
  const snapshots = new SnapshotStore(store);
  await snapshots.get(plain, '1', { atLeast: token });
  await snapshots.get(plain, '1', { fresh: true });
  for await (const key of snapshots.keys(keyed)) expect(key).toBeDefined();
  for await (const event of store.readAll({ direction: 'backward' })) expect(event).toBeDefined();
  for await (const event of store.readStream(stream, { from: new Date(0) })) expect(event).toBeDefined();
  for await (const event of await store.subscribe()) if (event.data === -1) break;
  await processor.runUntilCaughtUp();
  expect((await processor.progress()).projections.map(({ error }) => error)).not.toContainEqual(expect.any(Error));
  await processor.stop();
  await controlEverything(store, snapshots);
  for (const order of ['stream', 'none'] as const) await reactToEverything(store, order);
}

async function reactToEverything(store: EventStore, order: 'stream' | 'none'): Promise<void> {
  const isDown = { now: true };
  const fragile = reactor({
    name: `fragile-${order}`,
    categories: [notes],
    order,
    retry: { attempts: 2, minDelayMs: 1 },
    handle: async ({ data }, context) => {
      await context.append(echoes.stream('1'), { type: 'Noted', data });
      if (isDown.now && data > 0) throw new Error('down');
    },
  });
  await using processor = new StreamProcessor(store, { reactors: [fragile] });
  await processor.runUntilCaughtUp();
  const letters = new ProcessorControl(store).deadLetters(fragile);
  for await (const { id } of letters.list({ limit: 1 })) await letters.retry(id, { event: { type: 'Noted', data: -2 } });
  isDown.now = false;
  await letters.discardAll({ where: ({ state }) => state === 'dead' });
  await letters.retryAll();
  await using again = new StreamProcessor(store, { reactors: [fragile] });
  again.start();
  await letters.settled({ signal: AbortSignal.timeout(10_000) });
  expect(await letters.count()).toBe(0);
  expect((await again.progress()).reactors.map(({ error }) => error)).not.toContainEqual(expect.any(Error));
}

async function controlEverything(store: EventStore, snapshots: SnapshotStore): Promise<void> {
  const control = new ProcessorControl(store);
  await control.serve(plain);
  await snapshots.get(serving(plain), '1');
  for await (const { key } of control.compare(plain, keyed)) expect(key).toBeDefined();
  await control.pause(keyed);
  await control.rewind(keyed);
  await control.resume(keyed);
  await control.progress(keyed);
  await control.drop(keyed);
}

test('the ACL user may do whatever a store does on its own keys', async ({ skip }) => {
  const reason = whyNoEngine();
  if (reason) skip(reason);
  await using engine = await startEngine();
  await using redis = await connectRaw(engine.url);
  const [rule = ''] = lines('user.acl');
  await redis.send('ACL', 'SETUSER', ...rule.split(' ').slice(1));
  await redis.send('XADD', 'user_updates', '*', 'user_id', '1');
  for (const partitions of [1, 3]) {
    const options = { namespace: partitions === 1 ? 'shop' : 'shop-3', partitions, username: 'shop', password: 'a-password', library: testClient() };
    if (partitions > 1) await redis.send('ACL', 'SETUSER', 'shop', '~{shop-3}:*', '~{shop-3:*', '&{shop-3}:*', '&{shop-3:*');
    await using store = await EventStore.connect(engine.url, options);
    await useEverything(store);
  }
  const denied = ((await redis.send('ACL', 'LOG')) as string[][]).map((entry) => entry[entry.indexOf('object') + 1]);
  expect(denied.filter((what) => what !== 'client|setinfo')).toEqual([]);
});
