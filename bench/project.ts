// Figures of projecting: events a second into documents, against a consumer that reads, gets, sets and acknowledges.
import { type EventStore, type Projection, projection, SnapshotStore, StreamProcessor } from 'millrace';
import { type BareClient, connectBare } from './clients.ts';
import { type Bench, type BenchEngine, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { forEachNumber, friendAdded, friends, openStore, randomNumbers, secondsOf } from './workload.ts';

const DOCUMENTS = 20_000;
const EVENTS = 200_000;
const BARE_MS = 1_500;
const BARE_EVENTS = 40_000;
const BARE_BATCH = 100;
const FEW = 1_000;
const MANY = 1_000_000;
const EVENTS_PER_ROUND = 100_000;

export interface Total {
  count: number;
  last: string;
}

export const projectFigures: readonly Figure[] = [
  {
    name: 'project-20000-documents',
    what: `${EVENTS.toLocaleString('en')} events into ${DOCUMENTS.toLocaleString('en')} new documents by one processor`,
    unit: 'events/s',
    beside: 'a loop of XREADGROUP by 100, then GET, SET and XACK for each event, @redis/client',
    aim: 45,
    compare: 'ratio>=',
    open: openAgainstLoop,
  },
  {
    name: 'project-1000000-documents',
    what: `${EVENTS_PER_ROUND.toLocaleString('en')} events into any of 1,000,000 documents that exist`,
    unit: 'events/s',
    beside: 'the same into 1,000 documents',
    aim: 0.5,
    compare: 'ratio>=',
    open: openManyAgainstFew,
  },
];

export function totals(name: string, version = 1): Projection<Total> {
  return projection({
    name,
    version,
    categories: [friends],
    initialState: (): Total => ({ count: 0, last: '' }),
    evolve: fold,
  });
}

function fold(total: Total, { data }: { readonly data: { readonly friendId: string } }): Total {
  total.count += 1;
  total.last = data.friendId;
  return total;
}

async function runOnce(store: EventStore, totalsOf: Projection<Total>): Promise<void> {
  await using processor = new StreamProcessor(store, { projections: [totalsOf] });
  await processor.runUntilCaughtUp();
}

async function openAgainstLoop({ engine }: Bench): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'node-redis');
  const loop = await BareLoop.open(engine, `{${namespace}:bare}`);
  const random = randomNumbers(1);
  await forEachNumber(EVENTS, (number) => store.append(friends.stream(String(random(DOCUMENTS))), friendAdded(number)));
  let round = 0;
  return {
    // A new projection each time: its documents are not there yet, and are read before they are made.
    ours: async () => EVENTS / (await secondsOf(() => runOnce(store, totals(`totals-${round++}`)))),
    beside: () => loop.run(),
    [Symbol.asyncDispose]: async () => {
      try {
        await checkCount(store, totals('totals-0'), EVENTS, DOCUMENTS);
      } finally {
        await store.close();
        loop.close();
        await engine.clear(namespace);
      }
    },
  };
}

/** A benchmark that counts wrong is worth nothing. */
export async function checkCount(store: EventStore, totalsOf: Projection<Total>, expected: number, documents: number): Promise<void> {
  const snapshots = new SnapshotStore(store);
  let count = 0;
  await forEachNumber(documents, async (number) => {
    const total = await snapshots.get(totalsOf, String(number));
    count += total?.count ?? 0;
  });
  if (count !== expected) throw new Error(`The documents count ${count} events, and there are ${expected}.`);
}

type Reply = [key: string, entries: [id: string, fields: string[]][]][] | null;

/** What the article's consumer does, one event after the other. */
class BareLoop {
  readonly #client: BareClient;
  readonly #prefix: string;
  #round = 0;

  private constructor(client: BareClient, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  static async open({ url }: BenchEngine, prefix: string): Promise<BareLoop> {
    const client = await connectBare(url);
    const random = randomNumbers(1);
    await forEachNumber(BARE_EVENTS, (number) => {
      const { type, data } = friendAdded(number);
      return client.xAdd(`${prefix}:log`, '*', { type, id: String(random(DOCUMENTS)), data: JSON.stringify(data) });
    });
    return new BareLoop(client, prefix);
  }

  /** Events a second. */
  async run(): Promise<number> {
    const group = `group-${this.#round++}`;
    await this.#client.sendCommand(['XGROUP', 'CREATE', `${this.#prefix}:log`, group, '0']);
    const start = performance.now();
    let events = 0;
    while (performance.now() - start < BARE_MS) events += await this.#readSome(group);
    return events / ((performance.now() - start) / 1_000);
  }

  close(): void {
    this.#client.destroy();
  }

  async #readSome(group: string): Promise<number> {
    const log = `${this.#prefix}:log`;
    const reply = await this.#client.sendCommand<Reply>(['XREADGROUP', 'GROUP', group, 'bench', 'COUNT', String(BARE_BATCH), 'STREAMS', log, '>']);
    const entries = reply?.[0]?.[1] ?? [];
    if (entries.length === 0) throw new Error(`The loop has read all of its ${BARE_EVENTS} events.`);
    for (const [entryId, fields] of entries) {
      const key = `${this.#prefix}:total:${fields[3]}`;
      const stored = await this.#client.get(key);
      const total = stored === null ? { count: 0, last: '' } : (JSON.parse(stored) as Total);
      const data = JSON.parse(fields[5] as string) as { friendId: string };
      await this.#client.set(key, JSON.stringify(fold(total, { data })));
      await this.#client.xAck(log, group, entryId);
    }
    return entries.length;
  }
}

async function openManyAgainstFew(bench: Bench): Promise<Sides> {
  const another = await bench.another();
  const [many, few] = [await Documents.open(bench.engine, MANY), await Documents.open(another, FEW)];
  return {
    ours: () => many.run(),
    beside: () => few.run(),
    [Symbol.asyncDispose]: async () => {
      await many.close();
      await few.close();
      await another[Symbol.asyncDispose]();
    },
  };
}

/** A store whose documents are all there; each run appends some more events, and measures how they are projected. */
class Documents {
  readonly #engine: BenchEngine;
  readonly #namespace: string;
  readonly #store: EventStore;
  readonly #count: number;
  readonly #totals = totals('totals');
  readonly #random = randomNumbers(1);

  private constructor(engine: BenchEngine, namespace: string, store: EventStore, count: number) {
    this.#engine = engine;
    this.#namespace = namespace;
    this.#store = store;
    this.#count = count;
  }

  static async open(engine: BenchEngine, count: number): Promise<Documents> {
    const namespace = newNamespace();
    const store = await openStore(engine, namespace, 'node-redis');
    const documents = new Documents(engine, namespace, store, count);
    await forEachNumber(count, (number) => store.append(friends.stream(String(number)), friendAdded(number)));
    await runOnce(store, documents.#totals);
    return documents;
  }

  /** Events a second. */
  async run(): Promise<number> {
    const append = (number: number): Promise<unknown> => this.#store.append(friends.stream(String(this.#random(this.#count))), friendAdded(number));
    await forEachNumber(EVENTS_PER_ROUND, append);
    return EVENTS_PER_ROUND / (await secondsOf(() => runOnce(this.#store, this.#totals)));
  }

  async close(): Promise<void> {
    await this.#store.close();
    await this.#engine.clear(this.#namespace);
  }
}
