// Compiled, not run: what a program may write without type arguments, and what does not compile.
import { expectTypeOf } from 'vitest';
import type { Event, RecordedEvent, StreamName } from '../../src/event.ts';
import { category } from '../../src/fold/category.ts';
import { type Projection, projection } from '../../src/fold/projection.ts';
import { type Source, source } from '../../src/fold/source.ts';

type UserUpdate = Event<'Registered', { name: string; surname: string }> | Event<'Renamed', { name: string }>;
type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;
const userUpdates = category<UserUpdate>('user_updates');
const userFriends = category<UserFriend>('user_friends');

/** Takes nothing that is left: an event type that a switch forgot does not compile. */
const assertNever = (value: never): never => value;

// An event distributes over a union of names, so each name narrows alone.
expectTypeOf<UserFriend['type']>().toEqualTypeOf<'FriendAdded' | 'FriendRemoved'>();
expectTypeOf<Extract<UserFriend, { type: 'FriendAdded' }>['data']>().toEqualTypeOf<{ friendId: string }>();
expectTypeOf<Extract<RecordedEvent<UserUpdate>, { type: 'Renamed' }>['data']>().toEqualTypeOf<{ name: string }>();

// A stream's name is bound to its category's events.
expectTypeOf(userUpdates.stream('1')).toEqualTypeOf<StreamName<UserUpdate>>();
expectTypeOf<StreamName<UserFriend>>().not.toExtend<StreamName<UserUpdate>>();

// A projection: events from its categories, state from initialState alone.
const profiles = projection({
  name: 'profiles',
  categories: [userUpdates, userFriends],
  initialState: () => ({ name: '', friends: [] as string[] }),
  evolve: (profile, event) => {
    expectTypeOf(profile).toEqualTypeOf<{ name: string; friends: string[] }>();
    expectTypeOf(event.streamVersion).toEqualTypeOf<number>();
    expectTypeOf(event.recordedAt).toEqualTypeOf<Date>();
    switch (event.type) {
      case 'Registered':
        expectTypeOf(event.data).toEqualTypeOf<{ name: string; surname: string }>();
        return { ...profile, name: event.data.name };
      case 'Renamed':
        expectTypeOf(event.data).toEqualTypeOf<{ name: string }>();
        // @ts-expect-error: a Renamed has no surname
        return { ...profile, name: event.data.surname };
      case 'FriendAdded':
      case 'FriendRemoved':
        expectTypeOf(event.data).toEqualTypeOf<{ friendId: string }>();
        return { ...profile, friends: [...profile.friends, event.data.friendId] };
      default:
        return assertNever(event);
    }
  },
});
expectTypeOf(profiles).toEqualTypeOf<Projection<{ name: string; friends: string[] }>>();

projection({
  name: 'forgetful',
  categories: [userUpdates, userFriends],
  initialState: () => 0,
  evolve: (count, event) => {
    switch (event.type) {
      case 'Registered':
      case 'Renamed':
      case 'FriendAdded':
        return count + 1;
      default:
        // @ts-expect-error: FriendRemoved was forgotten
        return assertNever(event);
    }
  },
});

projection({
  name: 'by-friend',
  categories: [userFriends],
  key: (event) => {
    expectTypeOf(event.data).toEqualTypeOf<{ friendId: string }>();
    return [event.data.friendId];
  },
  initialState: () => ({ count: 0 }),
  // A deleted document is null.
  evolve: (state, event) => (event.type === 'FriendRemoved' ? null : { count: state.count + 1 }),
});

projection({
  name: 'wrong-state',
  categories: [userFriends],
  initialState: () => ({ count: 0 }),
  // @ts-expect-error: evolve must return the state that initialState began
  evolve: () => ({ total: 1 }),
});

projection({
  name: 'wrong-type',
  categories: [userFriends],
  initialState: () => 0,
  // @ts-expect-error: no event of these categories has this type
  evolve: (count, event) => (event.type === 'Registered' ? count : count + 1),
});

// A decider: the category is fixed first, so command and state are inferred and literals are not widened.
type Command = { type: 'Register'; name: string; surname: string } | { type: 'Rename'; name: string };

const user = userUpdates.decider({
  initialState: () => ({ name: undefined as string | undefined }),
  evolve: (state, event) => {
    expectTypeOf(state).toEqualTypeOf<{ name: string | undefined }>();
    // A decider folds plain events, which have no place yet.
    expectTypeOf(event).toEqualTypeOf<UserUpdate>();
    return { name: event.data.name };
  },
  decide: (command: Command, state) => {
    expectTypeOf(state).toEqualTypeOf<{ name: string | undefined }>();
    switch (command.type) {
      case 'Register':
        return [{ type: 'Registered', data: { name: command.name, surname: command.surname } }];
      case 'Rename':
        return state.name === command.name ? [] : [{ type: 'Renamed', data: { name: command.name } }];
    }
  },
});
expectTypeOf(user.decide).parameter(0).toEqualTypeOf<Command>();
expectTypeOf(user.decide).returns.toEqualTypeOf<readonly UserUpdate[]>();

userUpdates.decider({
  initialState: () => 0,
  evolve: (count) => count + 1,
  // @ts-expect-error: another category's event
  decide: (command: Command) => [{ type: 'FriendAdded', data: { friendId: command.name } }],
});

userUpdates.decider({
  initialState: () => 0,
  evolve: (count) => count + 1,
  // @ts-expect-error: the data of another event
  decide: (command: Command) => [{ type: 'Registered', data: { name: command.name } }],
});

// A source decodes into the events of its category.
const legacy = source({
  key: 'user_updates',
  into: userUpdates,
  decode: (entry) => {
    expectTypeOf(entry.fields['name']).toEqualTypeOf<string | undefined>();
    return { id: '1', event: { type: 'Renamed', data: { name: entry.fields['name'] ?? '' } } };
  },
});
expectTypeOf(legacy).toEqualTypeOf<Source>();

source({ key: 'user_updates', into: userUpdates, decode: () => [{ id: '1', event: { type: 'Renamed', data: { name: 'Daffy' } } }] });

source({
  key: 'user_updates',
  into: userUpdates,
  // @ts-expect-error: another category's event
  decode: () => ({ id: '1', event: { type: 'FriendAdded', data: { friendId: '2' } } }),
});

source({
  key: 'user_updates',
  into: userUpdates,
  decode: ({ fields }) => {
    if (fields['command'] === undefined) return undefined;
    if (fields['command'] === 'rename') return { id: '1', event: { type: 'Renamed', data: { name: fields['name'] ?? '' } } };
    const type = 'Registered';
    return [{ id: '1', event: { type, data: { name: '', surname: '' }, metadata: { correlationId: '1' } } }];
  },
});
