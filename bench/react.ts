// Figures of reactors: events a second through handlers that do nothing, and how soon one begins, against bare loops over a consumer group.
import { type EventStore, type Reactor, reactor, StreamProcessor } from 'millrace';
import { type BareClient, connectBare } from './clients.ts';
import { type Bench, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { EVENTS_PER_STREAM, forEachNumber, friendAdded, friends, inTime, latencyOf, openStore, secondsOf } from './workload.ts';

const EVENTS = 50_000;
const AT_ONCE = 100;
const DELIVERIES = 100;

type Order = Reactor['order'];

/** Both sides would wait for that, and for nothing else. */
function whyNot({ engine }: Bench): string | undefined {
  return engine.isEmbedded ? 'the embedded engine sends replies that come in parts 40 ms late: that would be all that is measured' : undefined;
}

export const reactFigures: readonly Figure[] = [
  throughput('react-none', 'none', 0.8),
  throughput('react-stream', 'stream', null),
  latency('react-latency-none', 'none'),
  latency('react-latency-stream', 'stream'),
];

function throughput(name: string, order: Order, aim: number | null): Figure {
  return {
    name,
    what: `a reactor with order '${order}' and an empty handler, ${AT_ONCE} at a time, over ${EVENTS.toLocaleString('en')} events that are there`,
    unit: 'events/s',
    beside: `a loop of XREADGROUP COUNT ${AT_ONCE}, JSON.parse, the handlers, and one XACK for all of them, over the same log, @redis/client`,
    aim,
    compare: 'ratio>=',
    whyNot,
    open: ({ engine }) => openThroughput(engine, order),
  };
}

function latency(name: string, order: Order): Figure {
  return {
    name,
    what: `from the call of append until the handler of a reactor with order '${order}' begins`,
    unit: 'ms, median',
    beside: 'from the call of XADD until a bare blocked XREADGROUP has the entry, @redis/client',
    aim: null,
    compare: 'difference<=',
    whyNot,
    open: (bench) => openLatency(bench, order),
  };
}

/** Notes which events were handled: a figure that leaves some out is worth nothing. */
export class Handled {
  readonly #times: Uint8Array;

  constructor(events: number) {
    this.#times = new Uint8Array(events);
  }

  note({ friendId }: { readonly friendId: string }): void {
    const number = Number(friendId);
    this.#times[number] = (this.#times[number] ?? 0) + 1;
  }

  /** Nothing died, so each has to have been handled once. */
  assertEachOnce(): void {
    const wrong = this.#times.filter((times) => times !== 1).length;
    if (wrong > 0) throw new Error(`${wrong} of ${this.#times.length} events were handled not at all, or more than once.`);
  }
}

/** Runs a reactor that has no checkpoint yet until so many events are done with and acknowledged. */
export async function reactTo(store: EventStore, events: number, options: { name: string; order: Order; concurrency: number }): Promise<void> {
  const handled = new Handled(events);
  const empty = reactor({ ...options, categories: [friends], handle: async ({ data }) => handled.note(data) });
  await using processor = new StreamProcessor(store, { reactors: [empty], deliverScheduled: false });
  let done = 0;
  const over = new Promise<void>((resolve, reject) => {
    processor.on('failed', ({ error }) => reject(error as Error));
    processor.on('reacted', (commit) => {
      done += commit.events;
      if (done >= events) resolve();
    });
  });
  processor.start();
  await inTime(over, () => `${done} of ${events} events are done`);
  handled.assertEachOnce();
}

async function openThroughput(engine: Bench['engine'], order: Order): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'node-redis');
  const client = await connectBare(engine.url);
  await forEachNumber(EVENTS, (number) => store.append(friends.stream(String(number % (EVENTS / EVENTS_PER_STREAM))), friendAdded(number)));
  let round = 0;
  const log = `{${namespace}:0}:log:${friends.name}`;
  return {
    ours: async () => EVENTS / (await secondsOf(() => reactTo(store, EVENTS, { name: `empty-${round++}`, order, concurrency: AT_ONCE }))),
    beside: async () => EVENTS / (await secondsOf(() => loopOver(client, log, `bare-${round}`))),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      client.destroy();
      await engine.clear(namespace);
    },
  };
}

type Entry = [id: string, fields: string[]];
type GroupReply = [key: string, entries: Entry[]][] | null;

/** What one would write instead: as many handlers at a time, and all that was read is acknowledged at once. */
async function loopOver(client: BareClient, log: string, group: string): Promise<void> {
  const handled = new Handled(EVENTS);
  const handle = async (data: { readonly friendId: string }): Promise<void> => handled.note(data);
  await client.sendCommand(['XGROUP', 'CREATE', log, group, '0']);
  const read = ['XREADGROUP', 'GROUP', group, 'bench', 'COUNT', String(AT_ONCE), 'STREAMS', log, '>'];
  for (;;) {
    const entries = (await client.sendCommand<GroupReply>(read))?.[0]?.[1] ?? [];
    if (entries.length === 0) break;
    await Promise.all(entries.map(([, fields]) => handle(JSON.parse(fields[7] as string) as { friendId: string })));
    await client.sendCommand(['XACK', log, group, ...entries.map(([id]) => id)]);
  }
  await client.sendCommand(['XGROUP', 'DESTROY', log, group]);
  handled.assertEachOnce();
}

async function openLatency({ engine }: Bench, order: Order): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'node-redis');
  const [producer, reader] = await Promise.all([connectBare(engine.url), connectBare(engine.url)]);
  const log = `{${namespace}:bare}:log`;
  await producer.sendCommand(['XGROUP', 'CREATE', log, 'bench', '0', 'MKSTREAM']);
  let onBegin: (() => void) | undefined;
  const noting = reactor({ name: 'noting', order, categories: [friends], handle: async () => onBegin?.() });
  const processor = new StreamProcessor(store, { reactors: [noting] });
  processor.start();
  const begin = (): Promise<void> =>
    new Promise((resolve) => {
      onBegin = resolve;
    });
  let number = 0;
  const append = (): Promise<unknown> => store.append(friends.stream('1'), friendAdded(number++));
  const fields = (): string[] => ['type', 'FriendAdded', 'id', '1', 'version', '1', 'data', JSON.stringify(friendAdded(number++).data)];
  return {
    ours: () => latencyOf(DELIVERIES, begin, append),
    beside: () =>
      latencyOf(
        DELIVERIES,
        () => nextEntry(reader, log),
        () => producer.sendCommand(['XADD', log, '*', ...fields()]),
      ),
    [Symbol.asyncDispose]: async () => {
      await processor.stop();
      await store.close();
      for (const client of [producer, reader]) client.destroy();
      await engine.clear(namespace);
    },
  };
}

async function nextEntry(reader: BareClient, log: string): Promise<void> {
  const read = ['XREADGROUP', 'GROUP', 'bench', 'bench', 'COUNT', String(AT_ONCE), 'BLOCK', '10000', 'STREAMS', log, '>'];
  const [id, fields] = (await reader.sendCommand<GroupReply>(read))?.[0]?.[1][0] ?? ['', []];
  JSON.parse(fields[7] as string);
  reader.sendCommand(['XACK', log, 'bench', id]).catch(() => {}); // it is closed then
}
