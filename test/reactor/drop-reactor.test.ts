// What dropping a reactor promises: nothing of it is left, wherever the drop is broken off, and one of the same name begins anew.
import {
  category,
  type Event,
  type EventStore,
  ProcessorControl,
  processManager,
  type ProcessManager,
  type Reactor,
  reactor,
  StreamProcessor,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { groupKeysOf } from '../../src/reactor/consumer-group.ts';
import { connectionOf } from '../../src/redis/connection.ts';
import { leaveGroup } from '../../src/redis/group-scripts.ts';
import { workerField } from '../../src/redis/keys.ts';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { keysIn, run, until } from '../support/processors.ts';
import { startProxy } from '../support/proxy.ts';
import { collect, errorOf, marks, note, notes, openStore } from '../support/store.ts';

const LEASE_MS = 300;
const results = category<Event<'Noted', { readonly n: number }>>('results');

/** Appends one for each, into whatever partition, and fails with every tenth until told otherwise. */
function copying(options: { readonly order?: 'none'; readonly fails?: boolean } = {}): Reactor {
  return reactor({
    name: 'copying',
    categories: [notes, marks],
    ...(options.order && { order: options.order }),
    retry: { attempts: 1 },
    handle: async (event, context) => {
      await context.append(results.stream(`r${event.data.n}`), note(event.data.n));
      if (event.data.n % 10 === 0 && options.fails !== false) throw new Error('ten');
    },
  });
}

/** Counts to five and ends, then begins again; fails where it does not end. */
const counting: ProcessManager = processManager({
  name: 'counting',
  categories: [notes, marks],
  initialState: () => ({ seen: 0 }),
  evolve: ({ seen }) => (seen === 4 ? null : { seen: seen + 1 }),
  react: (event, _, to) => {
    if (event.data.n % 10 === 0) throw new Error('ten');
    return [to.append(results.stream(event.streamName.slice(event.streamName.indexOf(':') + 1)), note(event.data.n))];
  },
  retry: { attempts: 1 },
});

async function appendMany(store: EventStore, count = 120, first = 1): Promise<void> {
  for (let n = first; n < first + count; n += 1) await store.append((n % 3 === 0 ? marks : notes).stream(String(n % 17)), note(n));
}

async function handleAll(store: EventStore, ...reactors: readonly Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors, leaseMs: LEASE_MS });
  await processor.runUntilCaughtUp();
}

function isOf({ name, version }: Reactor): (key: string) => boolean {
  return (key) => key.includes(`:${name}@${version}`);
}

const kinds = [
  ['that keeps an order', copying(), copying({ fails: false })],
  ['without order', copying({ order: 'none' }), copying({ order: 'none', fails: false })],
] as const;

describe.each([1, 4])('with %i partitions', (partitions) => {
  test.each(kinds)('a reactor %s leaves nothing behind, and one of the same name begins anew and may append', async (_, one, again) => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions });
    await appendMany(store);
    await handleAll(store, one);
    const control = new ProcessorControl(store);
    expect(await control.deadLetters(one).count()).toBeGreaterThan(0);
    expect((await keysIn(namespace)).filter(isOf(one)).length).toBeGreaterThan(3);
    await control.drop(one);
    expect((await keysIn(namespace)).filter(isOf(one))).toEqual([]);
    expect(await control.progress(one)).toMatchObject({ isPaused: false, unfinished: undefined, eventsFolded: 0, lagEvents: 120 });
    expect(await control.deadLetters(one).count()).toBe(0);
    const before = (await collect(store.readCategory(results))).length;
    await handleAll(store, again);
    expect((await collect(store.readCategory(results))).length).toBe(before + 120);
    expect(await control.deadLetters(one).count()).toBe(0);
  });

  test('a process manager leaves nothing behind, its states and what is noted of ended ones included', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions });
    await appendMany(store);
    await handleAll(store, counting);
    expect((await keysIn(namespace)).some((key) => key.includes(':snapshot:counting@1:'))).toBe(true);
    const control = new ProcessorControl(store);
    await control.drop(counting);
    expect((await keysIn(namespace)).filter(isOf(counting))).toEqual([]);
    const before = (await collect(store.readCategory(results))).length;
    await handleAll(store, counting);
    expect((await collect(store.readCategory(results))).length).toBe(2 * before);
  });
});

test.each(kinds)('a reactor %s that somebody runs is not dropped, and goes on', async (_, each) => {
  await using store = await openStore({ partitions: 1 });
  const control = new ProcessorControl(store);
  const running = run(store, { reactors: [each], leaseMs: LEASE_MS });
  await until('it is run', async () => (await running.processor.progress()).reactors[0]?.isRunHere === true);
  const error = await errorOf(control.drop(each));
  expect(error).toMatchObject({ code: 'in-use' });
  expect(error.message).toContain('Reactor copying@1');
  expect((await control.progress(each)).isPaused).toBe(false);
  await appendMany(store, 5);
  await until('it goes on', async () => (await control.progress(each)).lagEvents === 0);
  await control.pause(each);
  await control.drop(each);
  await running.processor.stop();
});

test.each(kinds)('a reactor %s that two processes run is dropped once it is paused, and leaves nothing when they have noticed', async (_, each) => {
  const namespace = uniqueNamespace();
  await using store = await openStore({ namespace, partitions: 4 });
  await using other = await openStore({ namespace });
  await appendMany(store);
  const processors = [store, other].map((of) => run(of, { reactors: [each], leaseMs: LEASE_MS }));
  const control = new ProcessorControl(store);
  await until('all is handled', async () => (await control.progress(each)).lagEvents === 0);
  await control.pause(each);
  await Promise.all([control.drop(each), ...processors.map(({ processor }) => processor.stop())]);
  expect((await keysIn(namespace)).filter(isOf(each))).toEqual([]);
});

test('a worker that leaves after a drop has left nothing, and may be forgotten', async () => {
  await using store = await openStore({ partitions: 1 });
  const each = copying({ order: 'none' });
  await handleAll(store, each);
  await new ProcessorControl(store).drop(each);
  const connection = connectionOf(store);
  const worker = { consumer: 'late', field: workerField('late') };
  expect(await leaveGroup(connection.port, groupKeysOf(connection, each, 0), worker, 0)).toBe(0);
});

test('has a higher epoch when it is made anew: a process that was paused since before the drop can append nothing', async () => {
  const namespace = uniqueNamespace();
  await using store = await openStore({ namespace, partitions: 1 });
  const epochs: number[] = [];
  const telling = reactor({ name: 'telling', categories: [notes], handle: (_, { epoch }) => void epochs.push(epoch) });
  const control = new ProcessorControl(store);
  for (let round = 0; round < 4; round += 1) {
    await store.append(notes.stream('1'), note(round));
    await handleAll(store, telling);
    if (round % 2 === 1) await control.drop(telling);
  }
  expect(epochs.length).toBe(2 + 4);
  expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  expect(epochs[2]).toBeGreaterThan(epochs[1] ?? 0);
});

const STEPS: readonly (readonly [what: string, order: 'none' | undefined, script: RegExp])[] = [
  ['a checkpoint is taken away', undefined, /^EVAL.* 1 \S*:checkpoint:copying@1$/],
  ['lists of what waits are removed', undefined, /^EVAL.* \d+ \S*:checkpoint:copying@1 \S*:parked:.* drop $/],
  ['what was appended elsewhere is removed', undefined, /^EVAL.* 1 \S*:reactions:copying@1:\d+ \d+$/],
  ['groups are removed', 'none', /^EVAL.* \d+ \S*:checkpoint:copying@1 \S*:log:.* millrace:copying@1$/],
  ['all else is removed', undefined, /^EVAL.* 7 \S*:checkpoint:copying@1 \S*:finished:.* drop $/],
  ['the checkpoint is removed', undefined, /^EVAL.* 2 \S*:checkpoint:copying@1 \S*:dropped copying@1$/],
];

test.each(STEPS.flatMap(([what, order, script]) => (['before', 'after'] as const).map((when) => [when, what, order, script] as const)))(
  'a drop that is broken off %s %s is finished by the same call',
  async (when, _, order, script) => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: testUrl(), namespace, partitions: 3 });
    const each = copying(order ? { order } : {});
    await appendMany(store, 60);
    await handleAll(store, each);
    await using proxy = await startProxy(testUrl());
    const matches = (args: readonly string[]): boolean => script.test(args.join(' ').replaceAll('\n', ' '));
    await using dying = await openStore({ url: proxy.url, namespace, timeoutMs: 500 });
    const close = { whileCut: async () => proxy.close() };
    const lost = when === 'before' ? proxy.loseCommand(matches, close) : proxy.loseReplyOf(matches, close);
    const [error] = await Promise.all([errorOf(new ProcessorControl(dying).drop(each)), lost.catch(() => undefined)]);
    expect(error).toMatchObject({ code: 'connection-failed' });
    const control = new ProcessorControl(store);
    await appendMany(store, 60, 61);
    if ((await control.progress(each)).isPaused) expect(await errorOf(handleAll(store, each))).toMatchObject({ code: 'paused' });
    await control.drop(each);
    expect((await keysIn(namespace)).filter(isOf(each))).toEqual([]);
  },
);
