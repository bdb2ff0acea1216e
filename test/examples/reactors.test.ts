// Runs the code that the how-tos about reactors, process managers and publishing show.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type EventStore, type Reactor, StreamProcessor } from 'millrace';
import { expect, test } from 'vitest';
import * as processes from '../../examples/docs/processes.ts';
import * as reactors from '../../examples/docs/reactors.ts';
import { userFriends, userUpdates } from '../../examples/docs/users.ts';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { collect, openStore } from '../support/store.ts';

const duffy = { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } } as const;

async function react(store: EventStore, reactor: Reactor): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors: [reactor] });
  await processor.runUntilCaughtUp();
}

test('the reactor of the how-to sends one mail for each registration', async () => {
  await using store = await openStore();
  await store.append(userUpdates.stream('1'), [duffy, { type: 'Renamed', data: { name: 'Daffy' } }]);
  const sent: string[] = [];
  await reactors.run(store, { send: async (to, text) => void sent.push(`${to}: ${text}`) });
  expect(sent).toEqual(['user_updates:1: Welcome, Duffy!']);
});

test('the reactor without order of the how-to takes every event', async () => {
  await using store = await openStore();
  for (const id of ['1', '2', '3']) await store.append(userUpdates.stream(id), duffy);
  const painted: string[] = [];
  await react(store, reactors.portray({ paint: async (userId) => void painted.push(userId) }));
  expect(painted.toSorted()).toEqual(['user_updates:1', 'user_updates:2', 'user_updates:3']);
});

test('the reactor that appends does so once for each event, and its own events end the story', async () => {
  await using store = await openStore();
  await store.append(userFriends.stream('1'), { type: 'FriendAdded', data: { friendId: '2' } });
  await react(store, reactors.friendships);
  expect((await collect(store.readStream(userFriends.stream('2')))).map(({ data }) => data.friendId)).toEqual(['1']);
  expect((await collect(store.readStream(userUpdates.stream('2')))).map(({ type }) => type)).toEqual(['Registered']);
});

test('the process of the how-to completes an order that is paid, and cancels one that is overdue', async () => {
  await using store = await openStore();
  for (const id of ['1', '2']) await store.append(processes.orders.stream(id), { type: 'Placed', data: { total: 25 } });
  await react(store, processes.checkout);
  await store.append(processes.payments.stream('1'), { type: 'Received', data: { amount: 25 } });
  await store.append(processes.orders.stream('2'), { type: 'PaymentOverdue', data: {} });
  await react(store, processes.checkout);
  const typesOf = async (id: string): Promise<string[]> => (await collect(store.readStream(processes.orders.stream(id)))).map(({ type }) => type);
  expect(await typesOf('1')).toEqual(['Placed', 'Completed']);
  expect(await typesOf('2')).toEqual(['Placed', 'PaymentOverdue', 'Cancelled']);
  expect((await collect(store.readStream(processes.payments.stream('1')))).map(({ type }) => type)).toEqual(['Requested', 'Received']);
});

test('the outbox publishes every event to another Redis Stream, each stream in its order', async () => {
  await using store = await openStore();
  await using redis = await connectRaw();
  await store.append(userUpdates.stream('1'), [duffy, { type: 'Renamed', data: { name: 'Daffy' } }]);
  const key = `${uniqueNamespace()}:outbox`;
  await react(store, reactors.publishToRedis({ sendCommand: (args) => redis.send(...args) }, key));
  const entries = (await redis.send('XRANGE', key, '-', '+')) as [string, string[]][];
  expect(entries.map(([, fields]) => [fields[3], fields[5]])).toEqual([
    ['user_updates:1@1', 'Registered'],
    ['user_updates:1@2', 'Renamed'],
  ]);
  expect(new Set(entries.map(([, fields]) => fields[1])).size).toBe(2);
  await redis.send('DEL', key);
});

/** A receiver that answers the first request with 500. */
interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly body: string; readonly key: string; readonly isGenuine: boolean }[];
}

async function receiver(secret: string): Promise<Receiver> {
  const requests: Receiver['requests'] = [];
  const server: Server = createServer((request, response) => void answer(request, response));
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const signature = request.headers['webhook-signature'] as string | undefined;
    requests.push({ body, key: String(request.headers['idempotency-key']), isGenuine: reactors.isGenuine(signature, body, secret) });
    response.writeHead(requests.length === 1 ? 500 : 204).end();
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook`, requests, [Symbol.asyncDispose]: async () => void server.close() };
}

test('the webhook is signed, tried again with the same key, and a forged or old one is told', async () => {
  await using store = await openStore();
  await using target = await receiver('s3cret');
  await store.append(userUpdates.stream('1'), duffy);
  await react(store, reactors.webhook({ url: target.url, secret: 's3cret' }));
  expect(target.requests.map(({ isGenuine }) => isGenuine)).toEqual([true, true]);
  expect(new Set(target.requests.map(({ key }) => key)).size).toBe(1);
  expect(JSON.parse(target.requests[1]?.body ?? '')).toMatchObject({ id: 'user_updates:1@1', type: 'Registered', data: duffy.data });
  const now = Math.floor(Date.now() / 1_000);
  expect(reactors.isGenuine(`t=${now},v1=${reactors.signatureOf('another', now, 'body')}`, 'body', 's3cret')).toBe(false);
  expect(reactors.isGenuine(`t=${now - 301},v1=${reactors.signatureOf('s3cret', now - 301, 'body')}`, 'body', 's3cret')).toBe(false);
  expect(reactors.isGenuine(`t=${now},v1=${reactors.signatureOf('s3cret', now, 'body')}`, 'body', 's3cret')).toBe(true);
  expect(reactors.isGenuine(undefined, 'body', 's3cret')).toBe(false);
});
