// The profile of the article in miniature, for people who try the library: three categories, two projections, a reactor and a process manager.
import {
  type Category,
  category,
  type Event,
  type ProcessManager,
  processManager,
  type Projection,
  projection,
  type Reactor,
  reactor,
  type Source,
  source,
} from '../../index.ts';

type UserUpdate =
  | Event<'Registered', { name: string; surname: string }>
  | Event<'Renamed', { name: string }>
  | Event<'BirthDateSet', { birthDate: string }>;
type UserActivity =
  | Event<'Commented', { object: string; text: string }>
  | Event<'PageLiked' | 'PageUnliked', { page: string }>
  | Event<'GreetingSent', { to: string }>;
type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;

export const userUpdates: Category<UserUpdate> = category<UserUpdate>('user_updates');
export const userActivity: Category<UserActivity> = category<UserActivity>('user_activity');
export const userFriends: Category<UserFriend> = category<UserFriend>('user_friends');

interface Profile {
  readonly name: string;
  readonly surname: string;
  readonly birthDate: string;
  readonly friends: readonly string[];
  readonly likes: readonly string[];
  readonly lastComment: { readonly object: string; readonly text: string } | undefined;
  readonly changes: number;
}

const noProfile = (): Profile => ({ name: '', surname: '', birthDate: '', friends: [], likes: [], lastComment: undefined, changes: 0 });

function without(list: readonly string[], item: string): readonly string[] {
  return list.filter((each) => each !== item);
}

/** A user's profile, from all that they did. */
export const profiles: Projection<Profile> = projection({
  name: 'profiles',
  categories: [userUpdates, userActivity, userFriends],
  initialState: noProfile,
  evolve: (before, event): Profile => {
    const profile = { ...before, changes: before.changes + 1 };
    switch (event.type) {
      case 'Registered':
      case 'Renamed':
      case 'BirthDateSet':
        return { ...profile, ...event.data };
      case 'Commented':
        return { ...profile, lastComment: event.data };
      case 'PageLiked':
        return { ...profile, likes: [...without(profile.likes, event.data.page), event.data.page] };
      case 'PageUnliked':
        return { ...profile, likes: without(profile.likes, event.data.page) };
      case 'FriendAdded':
        return { ...profile, friends: [...without(profile.friends, event.data.friendId), event.data.friendId] };
      case 'FriendRemoved':
        return { ...profile, friends: without(profile.friends, event.data.friendId) };
      case 'GreetingSent':
        return profile;
    }
  },
});

/** Who likes a page: documents with a key of their own, out of the events of many users. */
export const pages: Projection<{ readonly likes: number }> = projection({
  name: 'pages',
  categories: [userActivity],
  key: (event) => (event.type === 'PageLiked' || event.type === 'PageUnliked' ? event.data.page : undefined),
  initialState: () => ({ likes: 0 }),
  evolve: ({ likes }, { type }) => ({ likes: Math.max(0, likes + (type === 'PageLiked' ? 1 : -1)) }),
});

/** The mail server has no room for long names, until somebody tries again: so there is a dead letter to look at. */
const hasFailedFor = new Set<string>();

export const welcomeMails: Reactor = reactor({
  name: 'welcome-mails',
  categories: [userUpdates],
  types: ['Registered', 'Renamed'],
  retry: { attempts: 1 },
  handle: ({ data, streamName }) => {
    if (data.name !== 'Gyro' || hasFailedFor.has(streamName)) return;
    hasFailedFor.add(streamName);
    throw new Error(`The mail server did not take the mail for ${data.name}: 421 too busy, try again later. (Retry this letter: it goes through.)`);
  },
});

/** Greets a user's first friend: one event causes another, which shows as cause and effect. */
export const greeter: ProcessManager = processManager({
  name: 'greeter',
  categories: [userFriends],
  initialState: () => ({ isGreeted: false }),
  evolve: () => ({ isGreeted: true }),
  react: ({ type, data, streamName }, _, effects) => {
    if (type !== 'FriendAdded') return [];
    const id = streamName.slice(streamName.indexOf(':') + 1);
    return [effects.append(userActivity.stream(id), { type: 'GreetingSent', data: { to: data.friendId } })];
  },
});

/** The Redis Streams that other programs fill, imported with their own times. */
export const sources: readonly Source[] = [imported(userUpdates), imported(userActivity), imported(userFriends)];

function imported<E extends UserUpdate | UserActivity | UserFriend>(into: Category<E>): Source {
  return source({
    key: `try:${into.name}`,
    into,
    decode: ({ fields: { user_id: id, type, data } }) => {
      if (id === undefined || type === undefined || data === undefined) throw new Error('user_id, type or data is missing');
      return { id, event: { type, data: JSON.parse(data) as unknown } as E }; // written by ./producers.ts
    },
  });
}
