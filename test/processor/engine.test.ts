// A processor survives what happens to its engine: a restart, a crash, cut connections, a pause, no memory.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, SnapshotStore, source } from 'millrace';
import { describe, expect, test, type TestContext } from 'vitest';
import { connectRaw } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { lists, run, until } from '../support/processors.ts';
import { note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const imported = source({ key: 'foreign', into: notes, decode: ({ fields }) => ({ id: '1', event: note(Number(fields['n'])) }) });

interface Bench extends AsyncDisposable {
  readonly engine: TestEngine;
  readonly store: EventStore;
}

async function openBench({ skip }: TestContext, args: readonly string[] = []): Promise<Bench> {
  const reason = whyNoEngine();
  skip(reason !== undefined, reason);
  const engine = await startEngine({ args });
  const store = await openStore({ url: engine.url, timeoutMs: 20_000 });
  return { engine, store, [Symbol.asyncDispose]: async () => (await store.close(), await engine.stop()) };
}

/** Appends and imports before and after something happens, and waits until all of it is folded. */
async function survive({ engine, store }: Bench, happen: () => Promise<unknown>, rounds = 1): Promise<void> {
  await using running = run(store, { projections: [lists()], sources: [imported], leaseMs: 1_000 });
  const snapshots = new SnapshotStore(store);
  const expected: number[] = [];
  const appendSome = async (): Promise<void> => {
    const first = expected.length;
    await using raw = await connectRaw(engine.url);
    await store.append(notes.stream('1'), someNotes(3, first));
    await raw.send('XADD', 'foreign', '*', 'n', String(first + 3));
    expected.push(...numbersOf(someNotes(4, first)));
    await until('it is folded', async () => (await snapshots.get(lists(), '1').catch(() => undefined))?.length === expected.length);
  };
  await appendSome();
  for (let round = 0; round < rounds; round += 1) {
    await happen();
    await appendSome();
  }
  expect(await snapshots.get(lists(), '1')).toEqual(expected);
  expect(running.failed).toEqual([]);
}

describe('a processor survives', () => {
  test('a restart of the engine', { timeout: 60_000 }, async (context) => {
    await using bench = await openBench(context);
    await survive(bench, () => bench.engine.restart(), 2);
  });

  test('a crash of an engine that syncs always', { timeout: 60_000 }, async (context) => {
    await using bench = await openBench(context, ['--appendfsync', 'always']);
    await survive(
      bench,
      async () => {
        await bench.engine.kill();
        await delay(300);
        await bench.engine.restart();
      },
      2,
    );
  });

  test('the kill of all its connections', { timeout: 60_000 }, async (context) => {
    await using bench = await openBench(context);
    await using raw = await connectRaw(bench.engine.url);
    await survive(bench, () => raw.send('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'), 10);
  });

  test('an engine that stands still for longer than its lease', { timeout: 60_000 }, async (context) => {
    await using bench = await openBench(context);
    await survive(bench, async () => {
      bench.engine.pause();
      await delay(2_500);
      bench.engine.resume();
    });
  });

  test('an engine that has no memory for a while', { timeout: 60_000 }, async (context) => {
    await using bench = await openBench(context);
    const { engine, store } = bench;
    await using raw = await connectRaw(engine.url);
    await using running = run(store, { projections: [lists()], sources: [imported], leaseMs: 1_000 });
    const snapshots = new SnapshotStore(store);
    await store.append(notes.stream('1'), someNotes(3));
    await until('it is folded', async () => (await snapshots.get(lists(), '1'))?.length === 3);
    await raw.send('XADD', 'foreign', '*', 'n', '4'); // may be imported before or after
    await raw.send('CONFIG', 'SET', 'maxmemory', '1');
    await delay(1_000);
    expect(running.failed).toEqual([]);
    await raw.send('CONFIG', 'SET', 'maxmemory', '0');
    await raw.send('XADD', 'foreign', '*', 'n', '5');
    await until('all is folded', async () => (await snapshots.get(lists(), '1'))?.length === 5);
    expect(await snapshots.get(lists(), '1')).toEqual([1, 2, 3, 4, 5]);
  });
});
