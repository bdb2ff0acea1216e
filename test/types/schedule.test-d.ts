// Compiled, not run: what scheduling takes and gives, without type arguments.
import { expectTypeOf } from 'vitest';
import type { AnyEvent, Event, StreamName } from '../../src/event.ts';
import type { EventStore } from '../../src/event-store.ts';
import { category } from '../../src/fold/category.ts';

type UserUpdate = Event<'Registered', { name: string; surname: string }> | Event<'Renamed', { name: string }>;
type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;
const userUpdates = category<UserUpdate>('user_updates');
const userFriends = category<UserFriend>('user_friends');
const [updates, friends] = [userUpdates.stream('1'), userFriends.stream('1')];

declare const store: EventStore;

export async function schedule(): Promise<void> {
  const { id, isRepeated } = await store.schedule(updates, { type: 'Renamed', data: { name: 'Daffy' } }, { deliverAt: new Date() });
  expectTypeOf(id).toEqualTypeOf<string>();
  expectTypeOf(isRepeated).toEqualTypeOf<boolean>();
  await store.schedule(friends, [{ type: 'FriendAdded', data: { friendId: '2' } }], {
    deliverAt: Date.now(),
    idempotencyKey: 'k',
    metadata: { a: 1 },
  });
  // @ts-expect-error: no time
  await store.schedule(updates, { type: 'Renamed', data: { name: 'Daffy' } }, {});
  // @ts-expect-error: a time as text
  await store.schedule(updates, { type: 'Renamed', data: { name: 'Daffy' } }, { deliverAt: '2026-01-01' });
  // @ts-expect-error: another category's event
  await store.schedule(updates, { type: 'FriendAdded', data: { friendId: '2' } }, { deliverAt: 0 });
  // @ts-expect-error: the data of another event
  await store.schedule(updates, { type: 'Registered', data: { name: 'Daffy' } }, { deliverAt: 0 });
  // @ts-expect-error: what is due is appended at any version
  await store.schedule(updates, { type: 'Renamed', data: { name: 'Daffy' } }, { deliverAt: 0, expectedVersion: 3 });
}

export async function along(): Promise<void> {
  const { scheduledIds } = await store.appendAll([{ stream: updates, events: { type: 'Renamed', data: { name: 'Daffy' } } }], {
    schedule: [
      { stream: friends, events: { type: 'FriendAdded', data: { friendId: '2' } }, deliverAt: 0 },
      { stream: updates, events: [{ type: 'Renamed', data: { name: 'Duffy' } }], deliverAt: new Date() },
    ],
    idempotencyKey: 'k',
  });
  expectTypeOf(scheduledIds).toEqualTypeOf<readonly string[]>();
  await store.appendAll([{ stream: updates, events: { type: 'Renamed', data: { name: 'Daffy' } } }], {
    schedule: [
      { stream: updates, events: { type: 'Renamed', data: { name: 'Duffy' } }, deliverAt: 0 },
      // @ts-expect-error: another category's event
      { stream: friends, events: { type: 'Renamed', data: { name: 'Duffy' } }, deliverAt: 0 },
    ],
  });
  await store.appendAll([{ stream: updates, events: { type: 'Renamed', data: { name: 'Daffy' } } }], {
    // @ts-expect-error: no time
    schedule: [{ stream: updates, events: { type: 'Renamed', data: { name: 'Duffy' } } }],
  });
}

export async function look(): Promise<void> {
  for await (const { id, stream, events, deliverAt } of store.readScheduled({ limit: 10 })) {
    expectTypeOf(stream).toEqualTypeOf<StreamName>();
    expectTypeOf(events).toEqualTypeOf<readonly AnyEvent[]>();
    expectTypeOf(deliverAt).toEqualTypeOf<Date>();
    expectTypeOf(await store.cancelScheduled(id)).toEqualTypeOf<boolean>();
  }
}
