// Figures of reading: all events, decoded; and how soon a subscriber has what was appended.
import { type BareClient, connectBare } from './clients.ts';
import { type Bench, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { EVENTS_PER_STREAM, forEachNumber, friendAdded, friends, latencyOf, openStore, secondsOf } from './workload.ts';

const EVENTS = 200_000;
const PAGE = 1_000;
const DELIVERIES = 200;

export const readFigures: readonly Figure[] = [
  {
    name: 'read-all',
    what: `readAll over ${EVENTS.toLocaleString('en')} events of one category`,
    unit: 'events/s',
    beside: `a bare loop of XRANGE pages of ${PAGE.toLocaleString('en')} over the same log with JSON.parse, @redis/client, raw replies`,
    aim: 0.9,
    compare: 'ratio>=',
    open: openReadAll,
  },
  {
    name: 'subscribe-latency',
    what: 'from the call of append until the subscriber has the event',
    unit: 'ms, median',
    beside: 'from the call of XADD until a bare blocked XREAD has the entry, @redis/client',
    aim: 1,
    compare: 'difference<=',
    open: openSubscribe,
  },
];

type Entry = [id: string, fields: string[]];

async function openReadAll({ engine }: Bench): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'node-redis');
  const client = await connectBare(engine.url);
  const append = (number: number): Promise<unknown> =>
    store.append(friends.stream(String(number % (EVENTS / EVENTS_PER_STREAM))), friendAdded(number));
  await forEachNumber(EVENTS, append);
  const readOurs = async (): Promise<void> => {
    let count = 0;
    for await (const event of store.readAll()) if (event.data !== undefined) count += 1;
    assertCount(count);
  };
  return {
    ours: async () => EVENTS / (await secondsOf(readOurs)),
    beside: async () => EVENTS / (await secondsOf(() => readBare(client, `{${namespace}:0}:log:${friends.name}`))),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      client.destroy();
      await engine.clear(namespace);
    },
  };
}

async function readBare(client: BareClient, log: string): Promise<void> {
  let count = 0;
  for (let from = '-'; ; ) {
    const entries = await client.sendCommand<Entry[]>(['XRANGE', log, from, '+', 'COUNT', String(PAGE)]);
    for (const [, fields] of entries) if (JSON.parse(fields[7] as string) !== undefined) count += 1;
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) break;
    from = `(${last[0]}`;
  }
  assertCount(count);
}

function assertCount(count: number): void {
  if (count !== EVENTS) throw new Error(`${count} of ${EVENTS} events were read.`);
}

async function openSubscribe({ engine }: Bench): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openStore(engine, namespace, 'node-redis');
  const [producer, reader] = await Promise.all([connectBare(engine.url), connectBare(engine.url)]);
  const events = (await store.subscribe({ categories: [friends], from: 'now' }))[Symbol.asyncIterator]();
  const log = `{${namespace}:bare}:log`;
  let last = '0-0';
  let number = 0;
  const fields = (): string[] => ['type', 'FriendAdded', 'id', '1', 'version', '1', 'data', JSON.stringify(friendAdded(number++).data)];
  return {
    ours: () =>
      latencyOf(
        DELIVERIES,
        () => events.next(),
        () => store.append(friends.stream('1'), friendAdded(number++)),
      ),
    beside: () =>
      latencyOf(
        DELIVERIES,
        async () => (last = await nextEntry(reader, log, last)),
        () => producer.sendCommand(['XADD', log, '*', ...fields()]),
      ),
    [Symbol.asyncDispose]: async () => {
      await events.return?.();
      await store.close();
      for (const client of [producer, reader]) client.destroy();
      await engine.clear(namespace);
    },
  };
}

async function nextEntry(reader: BareClient, log: string, last: string): Promise<string> {
  const reply = await reader.sendCommand<[string, Entry[]][]>(['XREAD', 'BLOCK', '10000', 'STREAMS', log, last]);
  const [id, fields] = reply[0]?.[1][0] ?? ['', []];
  JSON.parse(fields[7] as string);
  return id;
}
