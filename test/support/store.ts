// Stores for tests: each in a namespace of its own, through the client that this run tests, closed at the end.
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { category, type Event, EventStore, type EventReader, type RecordedEvent, type RedisClient } from 'millrace';
import type { ClientOptions, StoreOptions } from '../../src/redis/open.ts';
import { testClient, testUrl, uniqueNamespace } from './clients.ts';

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

/** Opens a store by URL: of the shared engine, and in a new namespace, unless told otherwise. */
export function openStore({
  url = testUrl(),
  namespace = uniqueNamespace(),
  ...options
}: StoreOptions & { readonly url?: string } = {}): Promise<EventStore> {
  return EventStore.connect(url, { library: testClient(), namespace, ...options });
}

/** A client of the caller's own, with the settings that its library comes with, that notes what it sends. */
export interface OwnClient extends AsyncDisposable {
  readonly client: RedisClient;
  /** The commands sent over it, not those of its duplicates. */
  readonly sent: string[][];
}

export async function ownClient(url: string = testUrl()): Promise<OwnClient> {
  const sent: string[][] = [];
  if (testClient() === 'ioredis') {
    const client = new Redis(url);
    client.on('error', () => {}); // as the libraries ask of their users
    const send = client.sendCommand.bind(client);
    client.sendCommand = (command, stream) => {
      sent.push([command.name.toUpperCase(), ...command.args.map(String)]);
      return send(command, stream);
    };
    return { client, sent, [Symbol.asyncDispose]: async () => client.disconnect() };
  }
  const client = createClient({ url });
  client.on('error', () => {});
  const send = client.sendCommand.bind(client);
  client.sendCommand = (args, options) => {
    sent.push(args.map(String));
    return send(args, options);
  };
  await client.connect();
  return { client, sent, [Symbol.asyncDispose]: async () => void (client.isOpen && client.destroy()) };
}

/** Opens a store over a client of the caller's own. */
export function openStoreOver({ client }: OwnClient, options: Omit<ClientOptions, 'client'> = {}): Promise<EventStore> {
  return EventStore.connect({ client, namespace: uniqueNamespace(), ...options });
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
