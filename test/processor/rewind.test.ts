// A projection that is folded again from the beginning counts each event once, whoever folds it meanwhile and wherever the rewind is broken off.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, ProcessorControl, type Projection, projection, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectionOf } from '../../src/redis/connection.ts';
import { markBuilt } from '../../src/redis/control-scripts.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, keysOf, lists, project, run, type Sum, sums, until } from '../support/processors.ts';
import { startProxy } from '../support/proxy.ts';
import { errorOf, marks, note, notes, openStore } from '../support/store.ts';

const LEASE_MS = 300;

/** Each document gets events of every partition. */
function byDigit(): Projection<Sum> {
  return projection({
    name: 'by-digit',
    categories: [notes],
    key: ({ data: { n } }) => String(n % 7),
    initialState: (): Sum => ({ count: 0, sum: 0 }),
    evolve: ({ count, sum }, { data: { n } }) => ({ count: count + 1, sum: sum + n }),
  });
}

async function appendMany(store: EventStore, count: number, first = 0): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => store.append(notes.stream(String((first + n) % 97)), note(first + n))));
}

function expectedByDigit(count: number): Record<string, Sum> {
  const expected: Record<string, Sum> = {};
  for (let n = 0; n < count; n += 1) {
    const { count: before, sum } = expected[n % 7] ?? { count: 0, sum: 0 };
    expected[n % 7] = { count: before + 1, sum: sum + n };
  }
  return expected;
}

async function digitsOf(store: EventStore): Promise<Record<string, Sum>> {
  return Object.fromEntries(await new SnapshotStore(store).getMany(byDigit(), ['0', '1', '2', '3', '4', '5', '6']));
}

describe('a projection that is rewound', () => {
  test('is folded again from the first event on, with what its code says now', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1, 2, 3]);
    await appendNumbers(store, '2', [4]);
    const old = { ...sums(), evolve: () => ({ count: 0, sum: -1 }) };
    await project(store, old);
    const control = new ProcessorControl(store);
    const snapshots = new SnapshotStore(store);
    await control.rewind(old);
    expect(await control.progress(sums())).toMatchObject({ eventsFolded: 0, lagEvents: 4, percent: 0, unfinished: undefined });
    expect(await keysOf(snapshots, sums())).toEqual([]);
    expect(await errorOf(snapshots.get(sums(), '1'))).toMatchObject({ code: 'not-caught-up' });
    await project(store, sums());
    expect(Object.fromEntries(await snapshots.getMany(sums(), ['1', '2']))).toEqual({ 1: { count: 3, sum: 6 }, 2: { count: 1, sum: 4 } });
  });

  test('may have other categories than before', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await store.append(marks.stream('1'), note(2));
    await project(store, { ...lists(), categories: ['notes'] });
    expect(await errorOf(project(store, lists()))).toMatchObject({ code: 'projection-changed' });
    await new ProcessorControl(store).rewind(lists());
    await project(store, lists());
    expect(await new SnapshotStore(store).get(lists(), '1')).toEqual([1, 2]);
  });

  test('stays paused where it was', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await project(store, sums());
    const control = new ProcessorControl(store);
    await control.pause(sums());
    await control.rewind(sums());
    expect(await errorOf(project(store, sums()))).toMatchObject({ code: 'paused' });
    await control.resume(sums());
    await project(store, sums());
  });

  test('takes the right to commit from whoever folded it, also from one that has not committed yet', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    const key = `{${namespace}:0}:checkpoint:sums@1`;
    await raw.send('HSET', key, 'owner', 'somebody', 'deadline', '99999999999999', 'epoch', '7', 'reads', 'notes');
    await new ProcessorControl(store).rewind(sums());
    expect(await raw.send('HMGET', key, 'owner', 'epoch', 'reads')).toEqual(['', '8', null]);
  });

  test('is not taken for built by a process that had read the end of the log before', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await appendNumbers(store, '1', [1]);
    await project(store, sums());
    await new ProcessorControl(store).rewind(sums());
    const { port, keys } = connectionOf(store);
    expect(await markBuilt(port, keys.checkpoint(0, 'sums', 1), '0')).toBe(false);
    expect(await errorOf(new SnapshotStore(store).get(sums(), '1'))).toMatchObject({ code: 'not-caught-up' });
    expect(await markBuilt(port, keys.checkpoint(0, 'sums', 1), '1')).toBe(true);
  });

  test('goes only to the beginning', async () => {
    await using store = await openStore();
    const to = 'end' as 'start'; // as a program in JavaScript may give it
    expect(await errorOf(new ProcessorControl(store).rewind(sums(), { to }))).toMatchObject({ code: 'invalid-input' });
  });

  test.each([1, 3])(
    'again and again while processors fold and events come counts each once, with %i partitions',
    { timeout: 60_000 },
    async (partitions) => {
      const namespace = uniqueNamespace();
      await using store = await openStore({ namespace, partitions });
      await using other = await openStore({ namespace });
      await using one = run(store, { projections: [sums(), byDigit()], leaseMs: LEASE_MS });
      await using two = run(other, { projections: [sums(), byDigit()], leaseMs: LEASE_MS });
      const control = new ProcessorControl(other);
      let appended = 0;
      const stopping = new AbortController();
      const feeding = (async () => {
        for (; !stopping.signal.aborted; appended += 50) {
          await appendMany(store, 50, appended);
          await delay(2);
        }
      })();
      for (let round = 0; round < 6; round += 1) {
        const { eventsFolded } = await control.progress(byDigit());
        await until('some more are folded', async () => (await control.progress(byDigit())).eventsFolded > eventsFolded / 3);
        await Promise.all([control.rewind(sums()), control.rewind(byDigit()), new ProcessorControl(store).rewind(byDigit())]);
      }
      stopping.abort();
      await feeding;
      for (const each of [sums(), byDigit()]) {
        await until('all is folded', async () => (await control.progress(each)).lagEvents === 0, 30_000);
      }
      expect([...one.failed, ...two.failed]).toEqual([]);
      expect(await digitsOf(store)).toEqual(expectedByDigit(appended));
      const counts = await new SnapshotStore(store).getMany(
        sums(),
        Array.from({ length: 97 }, (_, id) => String(id)),
      );
      expect([...counts.values()].reduce((sum, { count }) => sum + count, 0)).toBe(appended);
    },
  );

  test('begins anew in processors in which it stood still, after the log was lost', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await using running = run(store, { projections: [sums(), lists()], leaseMs: LEASE_MS });
    await appendNumbers(store, '1', [1, 2, 3]);
    const snapshots = new SnapshotStore(store);
    await until('they are folded', async () => (await snapshots.get(sums(), '1'))?.count === 3 && (await snapshots.get(lists(), '1'))?.length === 3);
    // As after a failover to a replica that lacked the last two: the log ends before the checkpoint.
    const log = `{${namespace}:0}:log:notes`;
    const last = (await raw.send('XREVRANGE', log, '+', '-', 'COUNT', '2')) as [string, string[]][];
    await raw.send('XDEL', log, ...last.map(([id]) => id));
    await raw.send('LTRIM', `{${namespace}:0}:stream:notes:1`, '0', '0');
    await until('both stand still', () => running.failed.length === 2);
    for (const { error } of running.failed) {
      expect(error).toMatchObject({ code: 'log-lost' });
      expect((error as Error).message).toContain('ProcessorControl.rewind');
    }
    const control = new ProcessorControl(store);
    await control.rewind(sums());
    const { token } = await store.append(notes.stream('1'), note(10), { expectedVersion: 1 });
    expect(await snapshots.get(sums(), '1', { atLeast: token })).toEqual({ count: 2, sum: 11 });
    expect((await running.processor.progress()).projections).toMatchObject([{ error: undefined }, { error: { code: 'log-lost' } }]);
    await control.rewind(lists());
    expect(await snapshots.get(lists(), '1', { atLeast: token })).toEqual([1, 10]);
  });
});

const SCRIPTS: readonly (readonly [what: string, keys: RegExp])[] = [
  ['a checkpoint is taken away', /^EVAL.* 1 \S*:checkpoint:by-digit@1 \d+ rewind$/],
  ['documents are refused', /^EVAL.* 2 \S*:checkpoint:by-digit@1 \S*:removed:by-digit@1 \d+ 0$/],
  ['documents are removed', /^EVAL.* \d+ \S*:checkpoint:by-digit@1 \S*:removed:by-digit@1 \S*:snapshot:.* \d+ 0$/],
  ['no more are found', /^EVAL.* 2 \S*:checkpoint:by-digit@1 \S*:removed:by-digit@1 \d+ 1$/],
  ['it begins anew', /^EVAL.* 2 \S*:checkpoint:by-digit@1 \S*:removed:by-digit@1 \d+ rewind$/],
];

describe('a rewind that is broken off', () => {
  test.each(
    SCRIPTS.flatMap(([what, script]) =>
      (['before', 'after'] as const).flatMap((when) => [1, 2].map((which) => [when, what, which, script] as const)),
    ),
  )('%s %s, in partition %i of those it comes to, lets nobody fold, and is finished by the same call', async (when, _, which, script) => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: testUrl(), namespace, partitions: 3 });
    await appendMany(store, 100);
    await project(store, byDigit());
    await using _running = run(store, { projections: [byDigit()], leaseMs: LEASE_MS });
    await using proxy = await startProxy(testUrl());
    let passed = 0;
    const matches = (args: readonly string[]): boolean => {
      const isThis = script.test(args.join(' ').replaceAll('\n', ' '));
      if (isThis) passed += 1;
      return isThis && passed >= which;
    };
    await using dying = await openStore({ url: proxy.url, namespace, timeoutMs: 500 });
    const lost =
      when === 'before'
        ? proxy.loseCommand(matches, { whileCut: async () => proxy.close() })
        : proxy.loseReplyOf(matches, { whileCut: async () => proxy.close() });
    const [error] = await Promise.all([errorOf(new ProcessorControl(dying).rewind(byDigit())), lost.catch(() => undefined)]);
    expect(error).toMatchObject({ code: 'connection-failed' });
    const control = new ProcessorControl(store);
    const { unfinished } = await control.progress(byDigit());
    if (unfinished) expect(await errorOf(project(store, byDigit()))).toMatchObject({ code: 'paused' });
    await appendMany(store, 50, 100);
    await control.rewind(byDigit());
    expect((await control.progress(byDigit())).unfinished).toBeUndefined();
    await project(store, byDigit());
    expect(await digitsOf(store)).toEqual(expectedByDigit(150));
  });
});
