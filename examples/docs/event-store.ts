// The documents' code about the event store: append, read, follow.
import type { EventStore } from 'millrace';
import { userFriends, userUpdates } from './users.ts';

export async function append(store: EventStore) {
  // #region append
  const daffy = userUpdates.stream('1');
  const registered = { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } } as const;
  await store.append(daffy, registered, { expectedVersion: 'no-stream' });

  // Several streams at once, all or nothing; a guard is a stream that must not have moved, and is not written to.
  const { streamVersions, position, token } = await store.appendAll(
    [
      { stream: daffy, events: { type: 'Renamed', data: { name: 'Daffy' } }, expectedVersion: 1 },
      { stream: userFriends.stream('1'), events: [{ type: 'FriendAdded', data: { friendId: '2' } }] },
    ],
    { guards: [{ stream: userUpdates.stream('2'), expectedVersion: 'stream-exists' }] },
  );
  // #endregion
  return { streamVersions, position, token };
}

export async function read(store: EventStore) {
  const seen: string[] = [];
  // #region read
  for await (const event of store.readStream(userUpdates.stream('1'))) {
    seen.push(`${event.streamVersion} ${event.type} ${event.recordedAt.toISOString()}`);
  }

  const reader = store.readCategory(userUpdates, { limit: 100 });
  for await (const event of reader) seen.push(event.id);
  const cursor = reader.cursor; // a text: `from: cursor` goes on behind the last event

  for await (const event of store.readAll({ from: new Date('2026-01-01') })) seen.push(event.position);
  for await (const event of store.readAll({ direction: 'backward', limit: 1 })) seen.push(event.streamName);
  // #endregion
  return { seen, cursor };
}

export async function follow(store: EventStore, signal: AbortSignal) {
  const seen: string[] = [];
  // #region subscribe
  const events = await store.subscribe({ categories: [userUpdates], from: 'start', signal });
  for await (const event of events) {
    seen.push(event.type);
    if (event.type === 'Deleted') break;
  }
  // #endregion
  return seen;
}

export async function metadata(store: EventStore) {
  // #region metadata
  await store.append(
    userUpdates.stream('1'),
    { type: 'Renamed', data: { name: 'Donald' }, metadata: { causationId: 'command-17' } },
    { metadata: { correlationId: 'request-4711' } }, // goes with each event of this append
  );
  // #endregion
}
