// Compiled, not run: what reactor() infers from categories and types, and what does not compile.
import { expectTypeOf } from 'vitest';
import type { Event, RecordedEvent } from '../../src/event.ts';
import { category } from '../../src/fold/category.ts';
import type { AppendResult } from '../../src/log/append.ts';
import { type Reactor, reactor } from '../../src/reactor/reactor.ts';

type UserUpdate = Event<'Registered', { name: string; surname: string }> | Event<'Renamed', { name: string }>;
type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;
const userUpdates = category<UserUpdate>('user_updates');
const userFriends = category<UserFriend>('user_friends');

const assertNever = (value: never): never => value;

/** Its state and commands are known to `execute` from it alone. */
const user = userUpdates.decider({
  initialState: () => ({ name: '' }),
  evolve: (state, event) => ({ ...state, name: event.data.name }),
  decide: (command: { readonly type: 'Rename'; readonly name: string }, state) =>
    state.name === command.name ? [] : [{ type: 'Renamed', data: { name: command.name } }],
});

// The events of all its categories, as they are recorded, and narrowed by a switch that is complete.
const all = reactor({
  name: 'all',
  categories: [userUpdates, userFriends],
  key: (event) => {
    expectTypeOf(event.type).toEqualTypeOf<'Registered' | 'Renamed' | 'FriendAdded' | 'FriendRemoved'>();
    return event.streamName;
  },
  handle: async (event, { append, execute, signal, attempt, epoch, idempotencyKey }) => {
    expectTypeOf(event.recordedAt).toEqualTypeOf<Date>();
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
    expectTypeOf(attempt).toEqualTypeOf<number>();
    expectTypeOf(epoch).toEqualTypeOf<number>();
    expectTypeOf(idempotencyKey).toEqualTypeOf<string>();
    switch (event.type) {
      case 'Registered':
        expectTypeOf(event.data).toEqualTypeOf<{ name: string; surname: string }>();
        return;
      case 'Renamed':
        // @ts-expect-error: a Renamed has no surname
        return void event.data.surname;
      case 'FriendAdded':
      case 'FriendRemoved': {
        const appended = await append(userFriends.stream(event.data.friendId), { type: 'FriendAdded', data: { friendId: '1' } });
        expectTypeOf(appended).toEqualTypeOf<AppendResult>();
        const { state, events } = await execute(user, event.data.friendId, { type: 'Rename', name: 'Daffy' });
        expectTypeOf(state).toEqualTypeOf<{ name: string }>();
        expectTypeOf(events).toEqualTypeOf<readonly UserUpdate[]>();
        return;
      }
      default:
        assertNever(event);
    }
  },
});
expectTypeOf(all).toEqualTypeOf<Reactor>();

// Only the types that are named, each with its data.
reactor({
  name: 'some',
  categories: [userUpdates, userFriends],
  types: ['Registered', 'FriendAdded'],
  handle: async (event) => {
    expectTypeOf(event.type).toEqualTypeOf<'Registered' | 'FriendAdded'>();
    if (event.type === 'Registered') expectTypeOf(event.data).toEqualTypeOf<{ name: string; surname: string }>();
    else expectTypeOf(event.data).toEqualTypeOf<{ friendId: string }>();
    // @ts-expect-error: this type was not named
    return event.type === 'Renamed';
  },
});

// One type: its data needs no narrowing.
reactor({
  name: 'one',
  categories: [userUpdates],
  types: ['Registered'],
  handle: (event) => {
    expectTypeOf<typeof event>().toExtend<RecordedEvent<Extract<UserUpdate, { type: 'Registered' }>>>();
    expectTypeOf(event.data.surname).toEqualTypeOf<string>();
  },
});

reactor({
  name: 'wrong-type',
  categories: [userUpdates],
  // @ts-expect-error: no event of these categories has this type
  types: ['Registered', 'FriendAdded'],
  handle: async () => undefined,
});

reactor({
  name: 'wrong-appends',
  categories: [userUpdates],
  handle: async (_event, context) => {
    // @ts-expect-error: another category's event
    await context.append(userFriends.stream('1'), { type: 'Renamed', data: { name: 'Daffy' } });
    // @ts-expect-error: the data of another event
    await context.append(userUpdates.stream('1'), { type: 'Registered', data: { name: 'Daffy' } });
    // @ts-expect-error: no command of this decider
    await context.execute(user, '1', { type: 'Register', name: 'Daffy' });
    // @ts-expect-error: the event is the key
    await context.append(userUpdates.stream('1'), { type: 'Renamed', data: { name: 'Daffy' } }, { idempotencyKey: 'mine' });
  },
});

// @ts-expect-error: an order that there is not
reactor({ name: 'wrong-order', categories: [userUpdates], order: 'category', handle: async () => undefined });

// @ts-expect-error: a key is a text
reactor({ name: 'wrong-key', categories: [userUpdates], key: (event) => event.streamVersion, handle: async () => undefined });

// @ts-expect-error: a number says no place
reactor({ name: 'wrong-start', categories: [userUpdates], startFrom: 1, handle: async () => undefined });
