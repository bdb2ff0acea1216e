// A primary is killed, and its replica lacks what was acknowledged last: what is lost is measured, and whoever had read it is told.
import { setTimeout as delay } from 'node:timers/promises';
import { type AppendResult, type EventStore, LogLostError, ProcessorControl, SnapshotStore, type Token } from 'millrace';
import { beforeEach, describe, expect, test } from 'vitest';
import { documentFaults, foldAll, positionFaults, type Recorded, versionFaults } from '../support/history.ts';
import { whyNoEngine } from '../support/engine.ts';
import { Pair } from '../support/pair.ts';
import { project, run, type Running, type Sum, sums, until } from '../support/processors.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { collect, errorOf, note, notes, openStore } from '../support/store.ts';
import { uniqueNamespace } from '../support/clients.ts';

const LEASE_MS = 400;
const STREAMS = 20;
const TIMEOUT_MS = 60_000;

beforeEach(({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
});

/** Two servers behind an address that moves with the failover, and a store there. */
interface Bench extends AsyncDisposable {
  readonly pair: Pair;
  readonly proxy: Proxy;
  readonly store: EventStore;
  failOver(): Promise<void>;
}

async function openBench(): Promise<Bench> {
  const pair = await Pair.start(['--repl-diskless-sync-delay', '0']);
  const proxy = await startProxy(pair.primary.url);
  const store = await openStore({ url: proxy.url, namespace: uniqueNamespace('failover'), partitions: 2 });
  const failOver = async (): Promise<void> => {
    await pair.failOver(0);
    proxy.retarget(pair.primary.url);
    proxy.cut();
  };
  const close = async (): Promise<void> => (await store.close(), await proxy.close(), await pair[Symbol.asyncDispose]());
  return { pair, proxy, store, failOver, [Symbol.asyncDispose]: close };
}

/** An append that was acknowledged. */
interface Acknowledged extends AppendResult {
  readonly n: number;
}

async function appendSome({ store }: Bench, from: number, count: number): Promise<Acknowledged[]> {
  const numbers = Array.from({ length: count }, (_, index) => from + index);
  return await Promise.all(numbers.map(async (n) => ({ n, ...(await store.append(notes.stream(String(n % STREAMS)), note(n))) })));
}

async function untilFolded({ store }: Bench, events: number): Promise<void> {
  await until('everything is folded', async () => {
    const documents = await documentsOf(store);
    return [...documents.values()].reduce((sum, { count }) => sum + count, 0) === events;
  });
}

function documentsOf(store: EventStore): Promise<ReadonlyMap<string, Sum>> {
  return new SnapshotStore(store).getMany(
    sums(),
    Array.from({ length: STREAMS }, (_, id) => String(id)),
  );
}

/** The numbers that were acknowledged and are not there. */
async function lostOf(store: EventStore, acknowledged: readonly Acknowledged[]): Promise<number[]> {
  const there = new Set((await collect(store.readAll())).map(({ data }) => (data as { n: number }).n));
  return acknowledged.flatMap(({ n }) => (there.has(n) ? [] : [n]));
}

/** What is left is sound, and the documents are the fold of it. */
async function checkLeft(store: EventStore): Promise<void> {
  const left: Recorded[] = await collect(store.readAll());
  expect([...versionFaults(left), ...positionFaults(left)]).toEqual([]);
  const folded = foldAll(left, { count: 0, sum: 0 }, ({ count, sum }, { data }) => ({ count: count + 1, sum: sum + (data as { n: number }).n }));
  expect(documentFaults(await documentsOf(store), folded)).toEqual([]);
}

const lostLogs = ({ failed }: Running): unknown[] => failed.filter(({ error }) => error instanceof LogLostError);

describe('after a failover to a replica that lacks the last acknowledged appends', { timeout: TIMEOUT_MS }, () => {
  test('a processor that had folded them stops and says so, and folds what is left once the projection is rewound', async () => {
    await using bench = await openBench();
    const { store, pair } = bench;
    await using running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    const kept = await appendSome(bench, 0, 100);
    await untilFolded(bench, 100);
    await pair.caughtUp();
    pair.holdReplication();
    const lost = await appendSome(bench, 100, 60);
    await untilFolded(bench, 160);
    await bench.failOver();
    await until('the processor says that the log is lost', () => lostLogs(running).length === 2);
    const gone = await lostOf(store, [...kept, ...lost]);
    console.log(`failover: ${gone.length} of ${kept.length + lost.length} acknowledged appends are lost, told ${running.failed.length} times`);
    expect(gone).toEqual(lost.map(({ n }) => n));
    await appendSome(bench, 1_000, 20);
    // #region rewind
    const control = new ProcessorControl(store);
    await control.rewind(sums());
    // #endregion
    await untilFolded(bench, 120);
    await checkLeft(store);
    expect(running.failed).toHaveLength(2);
  });

  test('a subscription that had delivered them throws, and a read that has their token does not wait for them', async () => {
    await using bench = await openBench();
    const { store, pair } = bench;
    await appendSome(bench, 0, 10);
    await pair.caughtUp();
    pair.holdReplication();
    const [last] = (await appendSome(bench, 100, 1)) as [Acknowledged];
    const seen: number[] = [];
    const following = (async () => {
      for await (const event of await store.subscribe({ categories: [notes], from: 'start' })) seen.push(event.data.n);
    })();
    await Promise.race([until('it is delivered', () => seen.includes(100)), following]);
    await bench.failOver();
    expect(await errorOf(following)).toBeInstanceOf(LogLostError);
    const token: Token = last.token;
    expect(await errorOf(new SnapshotStore(store).get(sums(), String(100 % STREAMS), { atLeast: token }))).toBeInstanceOf(LogLostError);
  });

  test('nothing is lost that the replica had', async () => {
    await using bench = await openBench();
    const { store, pair } = bench;
    await using running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
    const kept = await appendSome(bench, 0, 200);
    await untilFolded(bench, 200);
    await pair.caughtUp();
    await bench.failOver();
    const more = await appendSome(bench, 200, 50);
    await untilFolded(bench, 250);
    expect(await lostOf(store, [...kept, ...more])).toEqual([]);
    expect(running.failed).toEqual([]);
    await checkLeft(store);
  });
});

test('a primary that is killed under load: what is lost is counted, and the documents are the fold of what is left', {
  timeout: TIMEOUT_MS,
}, async () => {
  await using bench = await openBench();
  const { store, pair } = bench;
  const acknowledged: Acknowledged[] = [];
  let isOver = false;
  const load = (async () => {
    for (let from = 0; !isOver; from += 50) {
      // One that fails was not acknowledged, and may be there all the same.
      acknowledged.push(...(await appendSome(bench, from, 50).catch(() => [])));
      await delay(1);
    }
  })();
  const running = run(store, { projections: [sums()], leaseMs: LEASE_MS });
  await until('there is load', () => acknowledged.length > 1_000);
  pair.holdReplication();
  const held = acknowledged.length;
  await until('replication hangs behind', () => acknowledged.length > held + 500);
  await bench.failOver();
  const before = acknowledged.length;
  await until('the load goes on', () => acknowledged.length > before + 500);
  isOver = true;
  await load;
  await until('it is told', () => lostLogs(running).length > 0);
  const lost = await lostOf(store, acknowledged);
  console.log(`failover under load: ${lost.length} of ${acknowledged.length} acknowledged appends are lost, told ${lostLogs(running).length} times`);
  expect(lost.length).toBeGreaterThanOrEqual(500);
  await running.processor.stop();
  await project(store, sums());
  await checkLeft(store);
});
