// The documents' code about reactors: react, retry, append what follows, and publish to the world outside.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type EventStore, reactor, type RecordedEvent, StreamProcessor } from 'millrace';
import { user, type UserFriend, userFriends, userUpdates, type UserUpdate } from './users.ts';

/** Whoever sends mail. */
export interface Mailer {
  send(to: string, text: string, options: { readonly idempotencyKey: string; readonly signal: AbortSignal }): Promise<void>;
}

export function welcome(mailer: Mailer) {
  // #region react
  const welcomes = reactor({
    name: 'welcomes',
    categories: [userUpdates],
    types: ['Registered'], // narrows the event, too
    handle: async (event, { idempotencyKey, signal }) => {
      await mailer.send(event.streamName, `Welcome, ${event.data.name}!`, { idempotencyKey, signal });
    },
  });
  // #endregion
  return welcomes;
}

export async function run(store: EventStore, mailer: Mailer) {
  const welcomes = welcome(mailer);
  // #region run
  await using processor = new StreamProcessor(store, { reactors: [welcomes] });
  processor.on('deadLetter', ({ reactor: name, event, error }) => console.error(name, event.id, error));
  processor.on('failed', ({ error }) => console.error(error));
  processor.start();
  // #endregion
  await processor.runUntilCaughtUp();
}

// #region options
export const audits = reactor({
  name: 'audits',
  categories: [userUpdates, userFriends],
  startFrom: 'now', // where there is no checkpoint yet; default 'start'
  concurrency: 32, // events at the same time in one partition and process; default 16
  retry: { attempts: 8, minDelayMs: 250, maxDelayMs: 60_000 }, // the wait doubles, and is cut by chance
  timeoutMs: 10_000, // of one attempt
  handle: async () => {},
});
// #endregion

/** Whoever makes small pictures of large ones. */
export interface Painter {
  paint(userId: string, options: { readonly signal: AbortSignal }): Promise<void>;
}

export function portray(painter: Painter) {
  // #region unordered
  const portraits = reactor({
    name: 'portraits',
    categories: [userUpdates],
    order: 'none', // any process takes any event
    concurrency: 64, // in each partition and process
    timeoutMs: 300_000, // while it runs, its process keeps the event, however long that takes
    handle: async (event, { signal }) => {
      await painter.paint(event.streamName, { signal });
    },
  });
  // #endregion
  return portraits;
}

// #region append
export const friendships = reactor({
  name: 'friendships',
  categories: [userFriends],
  types: ['FriendAdded'],
  handle: async (event, context) => {
    const userId = event.streamName.slice('user_friends:'.length);
    // Both ways round, once, however often this event is handled.
    await context.append(
      userFriends.stream(event.data.friendId),
      { type: 'FriendAdded', data: { friendId: userId } },
      { expectedVersion: 'no-stream' },
    );
    await context.execute(user, event.data.friendId, { type: 'Register', name: 'Somebody', surname: '' });
  },
});
// #endregion

/** The part of a Redis client that publishing needs. */
export interface Redis {
  sendCommand(args: string[]): Promise<unknown>;
}

export function publishToRedis(redis: Redis, key: string) {
  // #region redis-stream
  const outbox = reactor({
    name: 'outbox',
    categories: [userUpdates, userFriends],
    handle: async (event, { idempotencyKey }) => {
      const { id, type, streamName, data } = event;
      // At least once: whoever reads this Redis Stream passes over a key that it has seen.
      await redis.sendCommand(['XADD', key, '*', 'key', idempotencyKey, 'id', id, 'type', type, 'stream', streamName, 'data', JSON.stringify(data)]);
    },
  });
  // #endregion
  return outbox;
}

// #region webhook
/** The signature of a body at a time: who knows the secret can check both. */
export function signatureOf(secret: string, timeSeconds: number, body: string): string {
  return createHmac('sha256', secret).update(`${timeSeconds}.${body}`).digest('hex');
}

export function webhook({ url, secret }: { readonly url: string; readonly secret: string }) {
  return reactor({
    name: 'webhook',
    categories: [userUpdates, userFriends],
    retry: { attempts: 10, minDelayMs: 500, maxDelayMs: 300_000 },
    timeoutMs: 10_000,
    handle: async (event, { idempotencyKey, signal }) => {
      const body = JSON.stringify(messageOf(event));
      const time = Math.floor(Date.now() / 1_000);
      const response = await fetch(url, {
        method: 'POST',
        body,
        signal,
        headers: {
          'content-type': 'application/json',
          'idempotency-key': idempotencyKey,
          'webhook-signature': `t=${time},v1=${signatureOf(secret, time, body)}`,
        },
      });
      // Read to its end: else the connection is held.
      const answer = await response.text();
      if (!response.ok) throw new Error(`${url} answered ${response.status}: ${answer.slice(0, 200)}`);
    },
  });
}
// #endregion

function messageOf({ id, type, streamName, streamVersion, recordedAt, data }: RecordedEvent<UserUpdate | UserFriend>) {
  return { id, type, streamName, streamVersion, recordedAt, data };
}

// #region verify
/** At the receiver: whether a request comes from who knows the secret, and not from long ago. */
export function isGenuine(header: string | undefined, body: string, secret: string, toleranceSeconds = 300): boolean {
  const [, time = '', signature = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header ?? '') ?? [];
  const expected = Buffer.from(signatureOf(secret, Number(time), body));
  const given = Buffer.from(signature);
  const isRecent = Math.abs(Date.now() / 1_000 - Number(time)) <= toleranceSeconds;
  return isRecent && given.length === expected.length && timingSafeEqual(given, expected);
}
// #endregion
