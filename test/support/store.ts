// Stores for tests: each in a namespace of its own, through the client that this run tests, closed at the end.
import { createClient, createCluster, createSentinel } from '@redis/client';
import { Cluster, Redis } from 'ioredis';
import { category, type Event, EventStore, type EventReader, isMillraceError, type RecordedEvent, type RedisClient } from 'millrace';
import type { ClientOptions, StoreOptions } from '../../src/redis/open.ts';
import { testClient, testSetUp, testUrl, uniqueNamespace } from './clients.ts';

/** What most tests append: a number. */
export type Noted = Event<'Noted', { readonly n: number }>;

export const notes = category<Noted>('notes');
export const marks = category<Noted>('marks');

export function note(n: number): Noted {
  return { type: 'Noted', data: { n } };
}

/** So many, numbered from `first` on. */
export function someNotes(count: number, first = 1): Noted[] {
  return Array.from({ length: count }, (_, index) => note(first + index));
}

/** Of a cluster, where a test does not care. A test that does, because it looks at one, gives `partitions`. */
const CLUSTER_PARTITIONS = 16;

/** Opens a store by URL, or on what all tests share, and in a new namespace, unless told otherwise. */
export function openStore({ url, namespace = uniqueNamespace(), ...rest }: StoreOptions & { readonly url?: string } = {}): Promise<EventStore> {
  const options = { library: testClient(), namespace, ...(url === undefined ? testAccess() : {}), ...rest };
  const setUp = testSetUp();
  if (url !== undefined || setUp.kind === 'server') return EventStore.connect(url ?? testUrl(), options);
  if (setUp.kind === 'cluster') return openOnCluster(setUp.nodes, options);
  return EventStore.connect({ sentinels: setUp.sentinels, name: setUp.name, ...options });
}

/** The user under whose rules the stores of this run are opened, where it is about those (test/support/global-setup.ts). */
function testAccess(): { readonly username?: string; readonly password?: string } {
  const [username, password] = process.env['MILLRACE_TEST_USER']?.split(':') ?? [];
  return username === undefined || password === undefined ? {} : { username, password };
}

/** A namespace may hold a store that a test opened before, with another number of partitions. */
async function openOnCluster(nodes: readonly string[], options: StoreOptions): Promise<EventStore> {
  try {
    return await EventStore.connect({ nodes, partitions: CLUSTER_PARTITIONS, ...options });
  } catch (error) {
    if (options.partitions !== undefined || !isMillraceError(error, 'store-mismatch')) throw error;
    return await EventStore.connect({ nodes, ...options });
  }
}

/** A client of the caller's own, with the settings that its library comes with, that notes what it sends. */
export interface OwnClient extends AsyncDisposable {
  readonly client: RedisClient;
  /** The commands sent over it, not those of its duplicates; none of a cluster's client, which is not sent on: give `url` where they are looked at. */
  readonly sent: string[][];
  /** Where a test does not say otherwise. */
  readonly defaults: { readonly partitions?: number };
}

/** To `url`, or to what all tests share. */
export async function ownClient(url?: string): Promise<OwnClient> {
  const setUp = testSetUp();
  if (url !== undefined || setUp.kind === 'server') return await ownServerClient(url ?? testUrl());
  return setUp.kind === 'cluster' ? clusterClient(setUp.nodes) : sentinelClient(setUp);
}

function clusterClient(nodes: readonly string[]): OwnClient {
  const client = testClient() === 'ioredis' ? new Cluster([...nodes]) : createCluster({ rootNodes: nodes.map((url) => ({ url })) });
  client.on('error', () => {});
  return { client, sent: [], defaults: { partitions: CLUSTER_PARTITIONS }, [Symbol.asyncDispose]: async () => endClient(client) };
}

function sentinelClient({ sentinels, name }: { readonly sentinels: readonly string[]; readonly name: string }): OwnClient {
  const nodes = sentinels.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }));
  const client = testClient() === 'ioredis' ? new Redis({ sentinels: nodes, name }) : createSentinel({ name, sentinelRootNodes: nodes });
  client.on('error', () => {});
  return { client, sent: [], defaults: {}, [Symbol.asyncDispose]: async () => endClient(client) };
}

/** As its owner would. */
function endClient(client: { readonly isOpen: boolean; destroy(): void } | { disconnect(): void }): void {
  if (!('isOpen' in client)) client.disconnect();
  else if (client.isOpen) client.destroy();
}

async function ownServerClient(url: string): Promise<OwnClient> {
  const sent: string[][] = [];
  if (testClient() === 'ioredis') {
    const client = new Redis(url);
    client.on('error', () => {}); // as the libraries ask of their users
    const send = client.sendCommand.bind(client);
    client.sendCommand = (command, stream) => {
      sent.push([command.name.toUpperCase(), ...command.args.map(String)]);
      return send(command, stream);
    };
    return { client, sent, defaults: {}, [Symbol.asyncDispose]: async () => client.disconnect() };
  }
  const client = createClient({ url });
  client.on('error', () => {});
  const send = client.sendCommand.bind(client);
  client.sendCommand = (args, options) => {
    sent.push(args.map(String));
    return send(args, options);
  };
  await client.connect();
  return { client, sent, defaults: {}, [Symbol.asyncDispose]: async () => endClient(client) };
}

/** Opens a store over a client of the caller's own. */
export function openStoreOver({ client, defaults }: OwnClient, options: Omit<ClientOptions, 'client'> = {}): Promise<EventStore> {
  return EventStore.connect({ client, namespace: uniqueNamespace(), ...defaults, ...options });
}

/** Every event of a reader that ends, or the first `count` of one that does not. */
export async function collect<E extends Event>(reader: EventReader<E>, count: number = Number.POSITIVE_INFINITY): Promise<RecordedEvent<E>[]> {
  const events: RecordedEvent<E>[] = [];
  if (count === 0) return events;
  for await (const event of reader) {
    events.push(event);
    if (events.length >= count) break;
  }
  return events;
}

/** The numbers of events of `notes` and `marks`. */
export function numbersOf(events: readonly { readonly data: unknown }[]): number[] {
  return events.map(({ data }) => (data as { readonly n: number }).n);
}

/** The error that a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => new Error(`expected an error, found ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (!(outcome instanceof Error)) throw new Error('expected an Error', { cause: outcome });
  return outcome;
}
