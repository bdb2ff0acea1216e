// Compiled, not run: what the store, the snapshots and the processor take and give, without type arguments.
import { expectTypeOf } from 'vitest';
import type { Event, RecordedEvent } from '../../src/event.ts';
import type { EventStore } from '../../src/event-store.ts';
import { category } from '../../src/fold/category.ts';
import { projection } from '../../src/fold/projection.ts';
import type { Durability } from '../../src/redis/durability.ts';
import type { StoreOptions } from '../../src/redis/open.ts';
import { StreamProcessor } from '../../src/processor/stream-processor.ts';
import { SnapshotStore } from '../../src/snapshot/snapshot-store.ts';

type UserUpdate = Event<'Registered', { name: string; surname: string }> | Event<'Renamed', { name: string }>;
type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;
const userUpdates = category<UserUpdate>('user_updates');
const userFriends = category<UserFriend>('user_friends');

declare const store: EventStore;

export async function append(): Promise<void> {
  const stream = userUpdates.stream('1');
  const { streamVersion, position, token } = await store.append(
    stream,
    { type: 'Renamed', data: { name: 'Daffy' } },
    { expectedVersion: 'no-stream' },
  );
  expectTypeOf(streamVersion).toEqualTypeOf<number>();
  expectTypeOf(position).toExtend<string>();
  expectTypeOf(token).toExtend<string>();
  await store.append(stream, [
    { type: 'Renamed', data: { name: 'Daffy' } },
    { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } },
  ]);
  await store.append(stream, { type: 'Renamed', data: { name: 'Daffy' }, id: 'mine', metadata: { correlationId: '1' } }, { expectedVersion: 3 });

  // @ts-expect-error: another category's event
  await store.append(stream, { type: 'FriendAdded', data: { friendId: '2' } });
  // @ts-expect-error: the data of another event
  await store.append(stream, { type: 'Registered', data: { name: 'Duffy' } });
  // @ts-expect-error: a property too many
  await store.append(stream, { type: 'Renamed', data: { name: 'Daffy', age: 7 } });
  await store.append(stream, [
    { type: 'Renamed', data: { name: 'Daffy' } },
    // @ts-expect-error: one of several is wrong
    { type: 'Renamed', data: {} },
  ]);
  // @ts-expect-error: no such expectation
  await store.append(stream, { type: 'Renamed', data: { name: 'Daffy' } }, { expectedVersion: 'nothing' });
}

export async function appendAll(): Promise<void> {
  const [updates, friends] = [userUpdates.stream('1'), userFriends.stream('1')];
  await store.appendAll(
    [
      { stream: updates, events: [{ type: 'Renamed', data: { name: 'Daffy' } }], expectedVersion: 1 },
      { stream: friends, events: [{ type: 'FriendAdded', data: { friendId: '2' } }] },
    ],
    { guards: [{ stream: userUpdates.stream('2'), expectedVersion: 'stream-exists' }] },
  );
  await store.appendAll([
    { stream: updates, events: [{ type: 'Renamed', data: { name: 'Daffy' } }] },
    // @ts-expect-error: another category's event
    { stream: friends, events: [{ type: 'Renamed', data: { name: 'Daffy' } }] },
  ]);
  await store.appendAll([
    // @ts-expect-error: wrong data
    { stream: updates, events: [{ type: 'Renamed', data: { surname: 'Daffy' } }] },
  ]);
}

export async function read(): Promise<void> {
  for await (const event of store.readStream(userUpdates.stream('1'))) expectTypeOf(event).toEqualTypeOf<RecordedEvent<UserUpdate>>();
  for await (const event of store.readCategory(userFriends)) expectTypeOf(event.data).toEqualTypeOf<{ friendId: string }>();
  for await (const event of store.readAll({ direction: 'backward', limit: 100 })) expectTypeOf(event.data).toEqualTypeOf<unknown>();
  for await (const event of await store.subscribe({ categories: [userUpdates, userFriends], from: 'now' })) {
    if (event.type === 'Renamed') expectTypeOf(event.data).toEqualTypeOf<{ name: string }>();
    else if (event.type !== 'Registered') expectTypeOf(event.data).toEqualTypeOf<{ friendId: string }>();
  }
}

export async function execute(): Promise<void> {
  const user = userUpdates.decider({
    initialState: () => ({ name: '' }),
    evolve: (_state, event) => ({ name: event.data.name }),
    decide: (command: { type: 'Rename'; name: string }) => [{ type: 'Renamed', data: { name: command.name } }],
  });
  await store.execute(user, '1', { type: 'Rename', name: 'Daffy' });
  // @ts-expect-error: no such command
  await store.execute(user, '1', { type: 'Register', name: 'Daffy' });
}

export async function project(): Promise<void> {
  const profiles = projection({
    name: 'profiles',
    categories: [userUpdates],
    initialState: () => ({ name: '' }),
    evolve: (_state, { data }) => ({ name: data.name }),
  });
  const counts = projection({ name: 'counts', categories: [userFriends], initialState: () => 0, evolve: (count) => count + 1 });
  await new StreamProcessor(store, { projections: [profiles, counts] }).runUntilCaughtUp();
  const snapshots = new SnapshotStore(store);
  expectTypeOf(await snapshots.get(profiles, '1')).toEqualTypeOf<{ name: string } | undefined>();
  expectTypeOf(await snapshots.get(counts, '1', { at: new Date('2026-01-01') })).toEqualTypeOf<number | undefined>();
}

export function durability(): void {
  expectTypeOf<Durability>().toEqualTypeOf<'server' | 'fsync' | { readonly replicas: number; readonly timeoutMs: number }>();
  const options: StoreOptions[] = [{ durability: 'server' }, { durability: 'fsync' }, { durability: { replicas: 1, timeoutMs: 100 } }];
  // @ts-expect-error: no such durability
  options.push({ durability: 'disk' });
  // @ts-expect-error: for how long
  options.push({ durability: { replicas: 1 } });
  // @ts-expect-error: of what
  options.push({ durability: { timeoutMs: 100 } });
  // @ts-expect-error: one of both
  options.push({ durability: { fsync: true, replicas: 1, timeoutMs: 100 } });
}
