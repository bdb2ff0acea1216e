// Reactors when the connection or the server fails: what handlers append is there once, nothing is passed over, and a lost log is told.
import { type EventStore, LogLostError, type ProcessorEvents, ReactionFencedError, reactor, StreamProcessor } from 'millrace';
import { describe, expect, test, type TestContext } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { isAppend } from '../support/faults.ts';
import { appendNumbers, run, until } from '../support/processors.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { collect, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const LEASE_MS = 400;
const PARTITIONS = 4;

interface Bench extends AsyncDisposable {
  readonly proxy: Proxy;
  /** Through the proxy. */
  readonly store: EventStore;
  readonly beside: EventStore;
  readonly keys: Keys;
}

async function openBench(timeoutMs = 10_000): Promise<Bench> {
  const namespace = uniqueNamespace();
  const proxy = await startProxy(testUrl());
  const beside = await openStore({ url: testUrl(), namespace, partitions: PARTITIONS });
  const store = await openStore({ url: proxy.url, namespace, timeoutMs });
  const close = async (): Promise<void> => (await store.close(), await beside.close(), await proxy.close());
  return { proxy, store, beside, keys: new Keys(namespace, PARTITIONS), [Symbol.asyncDispose]: close };
}

/** How many results are kept for reactor `copying`, beside the epoch. */
async function keptIn({ keys }: Bench): Promise<number> {
  await using raw = await connectRaw(testUrl());
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const hashes = partitions.flatMap((from) => partitions.map((to) => keys.reactions(to, 'copying', 1, from)));
  const fields = (await Promise.all(hashes.map((key) => raw.send('HKEYS', key)))) as string[][];
  return fields.flat().filter((field) => field !== 'epoch').length;
}

async function copiesIn(store: EventStore): Promise<number[]> {
  return numbersOf(await collect(store.readCategory(marks)));
}

/** This very batch, whenever it is sent. */
function sendingsOf(sent: readonly string[]): (command: readonly string[]) => boolean {
  const batchOf = (command: readonly string[]): string => `${command[3]} ${command[3 + Number(command[2])]}`;
  return (command) => isAppend(command) && batchOf(command) === batchOf(sent);
}

describe('what a handler appends', () => {
  test('is there once, though an attempt that failed has left an append on its way for long', async () => {
    await using bench = await openBench();
    const { proxy, store, beside } = bench;
    let done = 0;
    const hasty = reactor({
      name: 'hasty',
      categories: [notes],
      retry: { attempts: 1_000, minDelayMs: 0, maxDelayMs: 10 },
      handle: async (event, { append, attempt }) => {
        const appending = append(marks.stream('all'), note(event.data.n));
        appending.catch(() => undefined);
        if (attempt === 1 && done === 0) throw new Error('not waited for');
        await appending;
        done += 1;
      },
    });
    const lost = proxy.loseCommand(isAppend);
    await using running = run(store, { reactors: [hasty], leaseMs: LEASE_MS });
    await beside.append(notes.stream('a'), note(1));
    const isFirst = sendingsOf(await lost);
    for (let time = 0; time < 5; time += 1) await proxy.loseCommand(isFirst);
    const passed = proxy.seen(isFirst);
    await until('it is handled', () => done > 0);
    await passed;
    await beside.append(notes.stream('a'), note(2));
    await until('the next one is handled', async () => (await copiesIn(beside)).includes(2));
    expect(await copiesIn(beside)).toEqual([1, 2]);
    expect(running.failed).toEqual([]);
  });

  test('is there once for each event, in order, though replies and commands are lost again and again', { timeout: 60_000 }, async () => {
    await using bench = await openBench();
    const { proxy, store, beside } = bench;
    const echo = reactor({
      name: 'echo',
      categories: [notes],
      concurrency: 4,
      retry: { attempts: 1_000, minDelayMs: 0, maxDelayMs: 10 },
      handle: async ({ streamName, data: { n } }, { append, attempt }) => {
        await append(marks.stream(`${streamName.slice('notes:'.length)}-copy`), note(n));
        if (attempt === 1 && n % 7 === 0) throw new Error('fails the first time');
      },
    });
    await using running = run(store, { reactors: [echo], leaseMs: LEASE_MS });
    const ids = Array.from({ length: 10 }, (_, index) => `s${index}`);
    for (let round = 0; round < 12; round += 1) {
      const isCommit = (command: readonly string[]): boolean => command.some((each) => each.endsWith(':checkpoint:echo@1')) && command.length > 10;
      const matches = round % 3 === 2 ? isCommit : isAppend;
      const fault = round % 2 === 0 ? proxy.loseReplyOf(matches) : proxy.loseCommand(matches);
      await Promise.all(ids.map((id) => beside.append(notes.stream(id), someNotes(5, round * 5 + 1))));
      await fault;
    }
    await until('all is reacted to', async () => (await copiesIn(beside)).length >= ids.length * 60);
    await until('all is committed', async () => (await running.processor.progress()).reactors.every(({ lagEvents }) => lagEvents === 0));
    for (const id of ids) expect(numbersOf(await collect(beside.readStream(marks.stream(`${id}-copy`))))).toEqual(numbersOf(someNotes(60)));
    expect(running.failed).toEqual([]);
  });
});

test('an owner that was cut off past its lease appends nothing any more, here or in another partition, and commits nothing', async () => {
  await using bench = await openBench();
  const { proxy, store, beside } = bench;
  const [errors, handled]: [unknown[], string[]] = [[], []];
  let hasBegun = false;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  // Some of these lie in the event's partition, and some do not.
  const targets = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id) => marks.stream(id));
  const copying = (by: string) =>
    reactor({
      name: 'copying',
      categories: [notes],
      retry: { attempts: 1 },
      handle: async ({ data: { n } }, { append }) => {
        hasBegun = true;
        if (by === 'old') await released;
        const outcomes = await Promise.allSettled(targets.map((target) => append(target, note(n))));
        for (const outcome of outcomes) if (outcome.status === 'rejected') errors.push(outcome.reason);
        handled.push(by);
      },
    });
  await using old = run(store, { reactors: [copying('old')], leaseMs: LEASE_MS });
  const letters: unknown[] = [];
  old.processor.on('deadLetter', (letter) => letters.push(letter));
  await beside.append(notes.stream('a'), note(1));
  await until('the old one works on it', () => hasBegun);
  proxy.freeze();
  release(); // what it appends is on its way now
  await using next = run(beside, { reactors: [copying('new')], leaseMs: LEASE_MS });
  await until('another one has taken over, and handled it', () => handled.includes('new'));
  expect(errors).toEqual([]);
  await until('its results are not kept any more', async () => (await keptIn(bench)) === 0); // until then they would be the answer
  proxy.thaw();
  await until('the old one is told', () => errors.length === targets.length);
  expect(errors.every((error) => error instanceof ReactionFencedError)).toBe(true);
  for (const target of targets) expect(numbersOf(await collect(beside.readStream(target)))).toEqual([1]);
  await until('all is committed', async () => (await next.processor.progress()).reactors.every(({ lagEvents }) => lagEvents === 0));
  expect([...old.failed, ...next.failed, ...letters]).toEqual([]);
});

test('after a lost connection a handler has a higher epoch, and the signal of the one before is aborted', async () => {
  await using bench = await openBench(500);
  const { proxy, store, beside } = bench;
  const seen: { readonly epoch: number; readonly signal: AbortSignal }[] = [];
  const slow = reactor({
    name: 'slow',
    categories: [notes],
    handle: async (_event, { epoch, signal }) => {
      seen.push({ epoch, signal });
      if (seen.length === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  });
  await using running = run(store, { reactors: [slow], leaseMs: LEASE_MS });
  await beside.append(notes.stream('a'), note(1));
  await until('it is being handled', () => seen.length === 1);
  proxy.refuse();
  proxy.cut();
  await until('its handler is told', () => seen[0]?.signal.aborted === true);
  await proxy.accept();
  await until('it is handled again', () => seen.length === 2);
  expect(seen[1]?.epoch).toBeGreaterThan(seen[0]?.epoch ?? 0);
  expect(running.failed).toEqual([]);
});

async function openEngine({ skip }: TestContext): Promise<TestEngine> {
  const reason = whyNoEngine();
  skip(reason !== undefined, reason);
  return await startEngine();
}

describe('a reactor', () => {
  test('goes on after a restart of the server, and passes nothing over', { timeout: 60_000 }, async (context) => {
    await using engine = await openEngine(context);
    await using store = await openStore({ url: engine.url, timeoutMs: 20_000 });
    const handled: number[] = [];
    const each = reactor({
      name: 'each',
      categories: [notes],
      retry: { attempts: 1_000, minDelayMs: 1, maxDelayMs: 50 },
      handle: async ({ data: { n } }, { append }) => {
        await append(marks.stream('a'), note(n));
        handled.push(n);
      },
    });
    await using running = run(store, { reactors: [each], leaseMs: LEASE_MS });
    for (let round = 0; round < 3; round += 1) {
      await appendNumbers(store, 'a', numbersOf(someNotes(20, round * 20 + 1)));
      await engine.restart(); // while the last ones are being handled
    }
    await until('all is handled', () => new Set(handled).size === 60);
    const copies = numbersOf(await collect(store.readStream(marks.stream('a'))));
    expect(copies).toEqual(numbersOf(someNotes(60)));
    expect(running.failed).toEqual([]);
  });

  test('tells that the log was lost when the server was flushed, and handles nothing of what comes then', { timeout: 60_000 }, async (context) => {
    await using engine = await openEngine(context);
    await using store = await openStore({ url: engine.url });
    await using raw = await connectRaw(engine.url);
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], handle: ({ data: { n } }) => void handled.push(n) });
    await using processor = new StreamProcessor(store, { reactors: [each], leaseMs: LEASE_MS });
    const failed: ProcessorEvents['failed'][] = [];
    processor.on('failed', (event) => failed.push(event));
    processor.start();
    await appendNumbers(store, 'a', [1, 2]);
    await until('they are handled', async () => (await processor.progress()).reactors.every(({ eventsDone }) => eventsDone === 2));
    await raw.send('FLUSHALL');
    await until('it is told', () => failed.length > 0);
    expect(failed[0]).toMatchObject({ reactor: 'each', partition: 0 });
    expect(failed[0]?.error).toBeInstanceOf(LogLostError);
    expect(handled).toEqual([1, 2]);
  });
});
