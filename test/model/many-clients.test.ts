// Several clients at once append to and read the same streams; their histories are checked for linearizability, and the log for loss.
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import {
  isMillraceError,
  type ExpectedVersion,
  type EventStore,
  type RecordedEvent,
  streamName as nameOf,
  type VersionConflictError,
} from 'millrace';
import { expect, test } from 'vitest';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { positionFaults, versionFaults } from '../support/history.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { collect, note, numbersOf, openStore } from '../support/store.ts';
import { historyFaults, type Operation, orderFaults, type Written } from './linearizability.ts';
import { COMMANDS } from './size.ts';

const CLIENTS = 4;
const AT_ONCE = 8;
const STREAMS = ['notes:1', 'notes:2', 'marks:1', 'marks:2', 'marks:3'];

type Wish = 'any' | 'stream-exists' | 'known' | 'behind';

interface Plan {
  readonly isRead: boolean;
  readonly streams: readonly number[];
  readonly count: number;
  readonly wish: Wish;
  readonly guard: number | undefined;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  isRead: fc.oneof({ weight: 1, arbitrary: fc.constant(true) }, { weight: 4, arbitrary: fc.constant(false) }),
  streams: fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.nat({ max: 4 })) },
    { weight: 1, arbitrary: fc.uniqueArray(fc.nat({ max: 4 }), { minLength: 2, maxLength: 3 }) },
  ),
  count: fc.constantFrom(1, 1, 1, 2, 3),
  wish: fc.constantFrom<Wish[]>('any', 'any', 'any', 'stream-exists', 'known', 'known', 'known', 'known', 'known', 'behind'),
  guard: fc.option(fc.nat({ max: 4 }), { nil: undefined, freq: 3 }),
});

/** What all clients together did. */
class History {
  readonly operations: Operation[] = [];
  readonly written: Written[] = [];
  /** The numbers of the events of appends that succeeded, and of those whose outcome is unknown. */
  readonly acknowledged: number[] = [];
  readonly unknown: number[] = [];
  readonly wrong: string[] = [];
  #lastNumber = 0;

  numbers(count: number): number[] {
    return Array.from({ length: count }, () => (this.#lastNumber += 1));
  }
}

class Client {
  readonly #store: EventStore;
  readonly #history: History;
  /** What this client last knew of each stream's version. */
  readonly #known = new Map<string, number>();

  constructor(store: EventStore, history: History) {
    this.#store = store;
    this.#history = history;
  }

  async run(plans: readonly Plan[]): Promise<void> {
    const left = [...plans];
    const worker = async (): Promise<void> => {
      for (let next = left.pop(); next; next = left.pop()) await (next.isRead ? this.#read(next) : this.#append(next));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async #read({ streams }: Plan): Promise<void> {
    const streamName = STREAMS[streams[0] ?? 0] ?? '';
    const start = performance.now();
    // One page, and so one moment: the newest event tells the version.
    const found = await collect(this.#store.readStream(nameOf(streamName), { direction: 'backward', limit: 1 })).catch((error: unknown) => error);
    if (isMillraceError(found, 'connection-failed')) return; // whose connection broke has seen nothing
    if (!Array.isArray(found)) throw found;
    const version = (found as RecordedEvent[])[0]?.streamVersion ?? 0;
    this.#history.operations.push({ streamName, start, end: performance.now(), outcome: { kind: 'seen', version } });
    this.#known.set(streamName, version);
  }

  #expected(streamName: string, wish: Wish): ExpectedVersion {
    if (wish !== 'known' && wish !== 'behind') return wish;
    const version = Math.max(0, (this.#known.get(streamName) ?? 0) - (wish === 'behind' ? 1 : 0));
    return version === 0 ? 'no-stream' : version;
  }

  async #append({ streams, count, wish, guard }: Plan): Promise<void> {
    const history = this.#history;
    const parts = streams.map((index) => {
      const streamName = STREAMS[index] ?? '';
      return { streamName, numbers: history.numbers(count), expectedVersion: this.#expected(streamName, wish) };
    });
    const guarded =
      guard === undefined || streams.includes(guard)
        ? []
        : [STREAMS[guard] ?? ''].map((streamName) => ({ streamName, expectedVersion: this.#expected(streamName, 'known') }));
    const start = performance.now();
    try {
      const { streamVersions } = await this.#store.appendAll(
        parts.map(({ streamName, numbers, expectedVersion }) => ({ stream: nameOf(streamName), events: numbers.map(note), expectedVersion })),
        { guards: guarded.map(({ streamName, expectedVersion }) => ({ stream: nameOf(streamName), expectedVersion })) },
      );
      const end = performance.now();
      const written = parts.map(({ streamName, expectedVersion: expected }, index) => ({
        streamName,
        expected,
        to: streamVersions[index] ?? 0,
        from: (streamVersions[index] ?? 0) - count + 1,
      }));
      for (const { streamName, expected, from, to } of written) {
        history.operations.push({ streamName, start, end, outcome: { kind: 'appended', from, to }, expected });
        this.#known.set(streamName, to);
      }
      history.written.push({ streams: written, guards: guarded.map(({ streamName, expectedVersion: expected }) => ({ streamName, expected })) });
      history.acknowledged.push(...parts.flatMap(({ numbers }) => numbers));
    } catch (error) {
      this.#failed(
        error,
        start,
        parts.flatMap(({ numbers }) => numbers),
      );
    }
  }

  #failed(error: unknown, start: number, numbers: readonly number[]): void {
    const history = this.#history;
    if (isMillraceError(error, 'outcome-unknown')) history.unknown.push(...numbers);
    else if (isMillraceError(error, 'version-conflict')) {
      const { streamName, actualVersion, expectedVersion, missedEvents, isGuard } = error as VersionConflictError;
      const expected = expectedVersion as ExpectedVersion;
      history.operations.push({ streamName, start, end: performance.now(), outcome: { kind: 'seen', version: actualVersion }, expected });
      const base = expected === 'no-stream' ? 0 : Number(expected);
      const missed = (missedEvents as readonly RecordedEvent[]).map(({ streamVersion }) => streamVersion);
      const due =
        Number.isNaN(base) || isGuard ? [] : Array.from({ length: Math.min(100, Math.max(0, actualVersion - base)) }, (_, index) => base + index + 1);
      if (missed.join() !== due.join()) history.wrong.push(`${streamName}: expected ${due.join()} as missed, found ${missed.join()}`);
      this.#known.set(streamName, actualVersion);
    } else throw error;
  }
}

async function checked(history: History, store: EventStore): Promise<RecordedEvent[]> {
  const stored = await collect(store.readAll());
  expect(history.wrong).toEqual([]);
  expect(versionFaults(stored)).toEqual([]);
  expect(positionFaults(stored)).toEqual([]);
  const numbers = numbersOf(stored);
  const unknown = new Set(history.unknown);
  expect(numbers.filter((n) => !unknown.has(n)).sort((a, b) => a - b)).toEqual([...history.acknowledged].sort((a, b) => a - b));
  return stored;
}

interface RunOptions {
  readonly seed: number;
  readonly operations: number;
  readonly url: string;
  readonly namespace: string;
  readonly whenOpen?: () => void;
}

/** Clients with stores of their own on one namespace, each with its share of the plans. */
async function runClients(history: History, { seed, operations, url, namespace, whenOpen = () => {} }: RunOptions): Promise<void> {
  const plans = fc.sample(plan, { seed, numRuns: operations });
  const stores = await Promise.all(Array.from({ length: CLIENTS }, () => openStore({ url, namespace, timeoutMs: 20_000 })));
  whenOpen();
  try {
    const share = Math.ceil(operations / CLIENTS);
    await Promise.all(stores.map((store, index) => new Client(store, history).run(plans.slice(index * share, (index + 1) * share))));
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

test(`the histories of ${CLIENTS} clients are linearizable by stream, over ${COMMANDS} operations`, async () => {
  const seed = Date.now() % 2 ** 31;
  const namespace = uniqueNamespace();
  const history = new History();
  await runClients(history, { seed, operations: COMMANDS, url: testUrl(), namespace });
  await using store = await openStore({ url: testUrl(), namespace });
  const stored = await checked(history, store);
  const conflicts = history.operations.filter(({ outcome, expected }) => outcome.kind === 'seen' && expected !== undefined).length;
  console.log(`histories: seed ${seed}, ${history.written.length} appends, ${conflicts} conflicts, ${stored.length} events`);
  expect(history.unknown).toEqual([]);
  expect(historyFaults(history.operations, stored), `seed ${seed}`).toEqual([]);
  expect(orderFaults(history.written, stored), `seed ${seed}`).toEqual([]);
  expect(conflicts).toBeGreaterThan(COMMANDS / 100);
}, 300_000);

test('so they are while connections are cut and replies are lost', async () => {
  const seed = Date.now() % 2 ** 31;
  const namespace = uniqueNamespace();
  await using proxy = await startProxy(testUrl());
  const history = new History();
  let isOver = false;
  let faults: Promise<number> = Promise.resolve(0);
  const whenOpen = (): void => void (faults = makeFaults(proxy, history, () => isOver));
  await runClients(history, { seed, operations: 2_000, url: proxy.url, namespace, whenOpen }).finally(() => (isOver = true));
  const made = await faults;
  await using store = await openStore({ url: testUrl(), namespace });
  const stored = await checked(history, store);
  console.log(`histories with ${made} faults: seed ${seed}, ${history.written.length} appends, ${history.unknown.length} unknown`);
  expect(history.unknown).toEqual([]);
  expect(historyFaults(history.operations, stored), `seed ${seed}`).toEqual([]);
  expect(orderFaults(history.written, stored), `seed ${seed}`).toEqual([]);
  expect(made).toBeGreaterThan(2);
}, 120_000);

/** One fault after the other until the clients are done, each after some progress; how many. */
async function makeFaults(proxy: Proxy, { operations }: History, isOver: () => boolean): Promise<number> {
  let made = 0;
  const isScript = ([name = '']: readonly string[]): boolean => name.toUpperCase() === 'EVALSHA';
  while (!isOver()) {
    if (made % 3 === 2) proxy.cut();
    else void proxy[made % 3 === 0 ? 'loseReplyOf' : 'loseCommand'](isScript).catch(() => undefined);
    made += 1;
    for (const before = operations.length; !isOver() && operations.length < before + 60; ) await wait(10);
  }
  return made;
}
