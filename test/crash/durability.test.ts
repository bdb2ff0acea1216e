// What survives what: each cell of the table in the documents, for each durability that a store may ask for.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Durability, type EventStore, UnconfirmedError } from 'millrace';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, testClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';
import { startFallible, whyNoPowerLoss } from '../support/power-loss.ts';
import { hasWaitAof, type Replicated, startReplicated } from '../support/replicated.ts';
import { collect, note, notes, numbersOf, openStore } from '../support/store.ts';
import type { AppenderSettings } from '../workers/appender.ts';

const APPENDER = fileURLToPath(new URL('../../build/workers/appender.js', import.meta.url));
const REPLICAS = { replicas: 1, timeoutMs: 2_000 } as const;
const stream = notes.stream('1');

interface Row {
  readonly name: string;
  readonly durability: Durability;
  readonly args: readonly string[];
}

const everysec = ['--appendfsync', 'everysec'];
const always = ['--appendfsync', 'always'];
const onServer = { durability: 'server', args: everysec } as const;
const onServerAlways = { durability: 'server', args: always } as const;
/** Where the engine's WAITAOF cannot be relied on, the server has to fsync always. */
let onDisk: Omit<Row, 'name'> = { durability: 'fsync', args: always };
const onDiskAlways = { durability: 'fsync', args: always } as const;
const onReplica = { durability: REPLICAS, args: everysec } as const;

const rows = (): readonly Row[] => [
  { name: "'server' with appendfsync everysec", ...onServer },
  { name: "'server' with appendfsync always", ...onServerAlways },
  { name: "'fsync'", ...onDisk },
  { name: "'fsync' with appendfsync always", ...onDiskAlways },
  { name: 'replicas', ...onReplica },
];
const names = rows().map(({ name }) => name);
const rowOf = (name: string): Row => rows().find((row) => row.name === name) as Row;

/** What of the numbers that were acknowledged a store does not hold. */
async function lostOf(acknowledged: readonly number[], store: EventStore): Promise<number[]> {
  const stored = new Set(numbersOf(await collect(store.readStream(stream))));
  return acknowledged.filter((n) => !stored.has(n));
}

/** Appends until something is done, many at a time; the numbers that were acknowledged. */
async function appendDuring(store: EventStore, work: () => Promise<unknown>): Promise<number[]> {
  const acknowledged: number[] = [];
  let isOver = false;
  let next = 1;
  const appendSome = async (): Promise<void> => {
    while (!isOver) {
      const n = next++;
      try {
        await store.append(stream, note(n));
        acknowledged.push(n);
      } catch {
        // Not acknowledged: whatever becomes of it is right.
      }
    }
  };
  const appending = Array.from({ length: 20 }, appendSome);
  while (acknowledged.length < 40) await Promise.race([Promise.all(appending), new Promise((resolve) => setTimeout(resolve, 5))]);
  await work();
  const told = [...acknowledged];
  isOver = true;
  await Promise.all(appending);
  return told;
}

describe('what was acknowledged', () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why) skip(why);
  });

  beforeAll(async () => {
    if (whyNoEngine()) return;
    await using engine = await startEngine();
    await using raw = await connectRaw(engine.url);
    if (await hasWaitAof(raw)) onDisk = { durability: 'fsync', args: everysec };
  });

  describe.each(names)('with %s', (name) => {
    test('survives that the process is killed which appended it', async () => {
      if (!existsSync(APPENDER)) throw new Error(`${APPENDER} is missing: run npm run build first, as npm test does`);
      const { durability, args } = rowOf(name);
      await using pair = await startReplicated(args);
      const options = { namespace: uniqueNamespace(), library: testClient(), durability };
      const settings: AppenderSettings = { url: pair.primary.url, options };
      const appender = fork(APPENDER, [], { env: { ...process.env, MILLRACE_WORKER: JSON.stringify(settings), NODE_OPTIONS: '' }, execArgv: [] });
      const acknowledged: number[] = [];
      await new Promise<void>((resolve) =>
        appender.on('message', (n: number) => {
          acknowledged.push(n);
          if (acknowledged.length === 3) resolve();
        }),
      );
      appender.kill('SIGKILL');
      await once(appender, 'exit');
      await using store = await openStore({ url: pair.primary.url, namespace: options.namespace });
      expect(await lostOf(acknowledged, store)).toEqual([]);
    });

    test('survives that the server is killed and started again', async () => {
      const { durability, args } = rowOf(name);
      await using pair = await startReplicated(args);
      await using store = await openStore({ url: pair.primary.url, durability, namespace: uniqueNamespace() });
      const acknowledged = await appendDuring(store, async () => await pair.primary.kill().then(() => pair.primary.restart()));
      expect(await lostOf(acknowledged, store)).toEqual([]);
    });
  });

  test.for(["'server' with appendfsync always", "'fsync'", "'fsync' with appendfsync always"])(
    'with %s survives that the machine loses its power',
    async (name, context) => {
      const why = whyNoPowerLoss();
      if (why) context.skip(why);
      const { durability, args } = rowOf(name);
      await using fallible = await startFallible(args);
      await using store = await openStore({ url: fallible.engine.url, durability, namespace: uniqueNamespace(), timeoutMs: 20_000 });
      const acknowledged = await appendDuring(store, () => fallible.losePower());
      expect(await lostOf(acknowledged, store)).toEqual([]);
    },
  );

  test.for(["'server' with appendfsync everysec", 'replicas'])(
    'with %s is lost, up to the last fsync, where the machine loses its power and the same server starts again',
    async (name, context) => {
      const why = whyNoPowerLoss();
      if (why) context.skip(why);
      const { durability, args } = rowOf(name);
      await using fallible = await startFallible(args);
      await using _pair = await startReplicated(args, fallible.engine);
      // An fsync may just have come in between: then once more.
      let lost: readonly number[] = [];
      for (let attempt = 0; attempt < 10 && lost.length === 0; attempt += 1) {
        await using store = await openStore({ url: fallible.engine.url, durability, namespace: uniqueNamespace() });
        let cutBytes = 0;
        const acknowledged = await appendDuring(store, async () => (cutBytes = await fallible.losePower()));
        lost = await lostOf(acknowledged, store);
        if (lost.length > 0) expect(cutBytes).toBeGreaterThan(0);
      }
      expect(lost.length).toBeGreaterThan(0);
    },
  );

  describe.each(names.filter((name) => name !== 'replicas'))('with %s', (name) => {
    test('is lost where a replica takes over that it had not reached', async () => {
      const { durability, args } = rowOf(name);
      await using pair = await startReplicated(args);
      const namespace = uniqueNamespace();
      await using store = await openStore({ url: pair.primary.url, durability, namespace });
      await reached(pair, namespace, store);
      pair.hold();
      await store.append(stream, note(2));
      await pair.primary.kill();
      await pair.promote();
      await using after = await openStore({ url: pair.replica.url, namespace });
      expect(await lostOf([1, 2], after)).toEqual([2]);
    });
  });

  describe('with replicas', () => {
    test('survives that the replica takes over which confirmed it', async () => {
      await using pair = await startReplicated(everysec);
      const namespace = uniqueNamespace();
      await using store = await openStore({ url: pair.primary.url, durability: { replicas: 1, timeoutMs: 200 }, namespace, timeoutMs: 1_000 });
      const acknowledged = await appendDuring(store, async () => {
        pair.hold();
        await pair.primary.kill();
        await pair.promote();
      });
      await using after = await openStore({ url: pair.replica.url, namespace });
      expect(await lostOf(acknowledged, after)).toEqual([]);
    });

    test('is what a replica had; what it had not was never acknowledged', async () => {
      await using pair = await startReplicated(everysec);
      const namespace = uniqueNamespace();
      await using store = await openStore({ url: pair.primary.url, durability: { replicas: 1, timeoutMs: 200 }, namespace });
      await store.append(stream, note(1));
      pair.hold();
      await expect(store.append(stream, note(2))).rejects.toBeInstanceOf(UnconfirmedError);
      expect(await lostOf([1, 2], store)).toEqual([]);
      await pair.primary.kill();
      await pair.promote();
      await using after = await openStore({ url: pair.replica.url, namespace });
      expect(await lostOf([1, 2], after)).toEqual([2]);
    });
  });

  test('without persistence is lost where the server is killed', async () => {
    await using engine = await startEngine({ args: ['--appendonly', 'no'] });
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: engine.url, durability: 'server', namespace });
    await store.append(stream, note(1));
    await engine.kill();
    await engine.restart();
    await using after = await openStore({ url: engine.url, namespace });
    expect(await lostOf([1], after)).toEqual([1]);
  });

  test('with snapshots only is lost since the last one where the server is killed', async () => {
    await using engine = await startEngine({ args: ['--appendonly', 'no', '--save', '3600', '1'] });
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: engine.url, durability: 'server', namespace });
    await using raw = await connectRaw(engine.url);
    await store.append(stream, note(1));
    await raw.send('SAVE');
    await store.append(stream, note(2));
    await engine.kill();
    await engine.restart();
    await using after = await openStore({ url: engine.url, namespace });
    expect(await lostOf([1, 2], after)).toEqual([2]);
  });

  /** Appends a first event, and waits until the replica has it. */
  async function reached(pair: Replicated, namespace: string, store: EventStore): Promise<void> {
    await store.append(stream, note(1));
    await using raw = await connectRaw(pair.replica.url);
    while ((await raw.send('XLEN', `{${namespace}:0}:log:notes`)) !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
