// What can happen to a user, who decides whether it may, and how a command is refused.
import { category, type Event } from 'millrace';

export type UserUpdate =
  | Event<'Registered', { name: string; surname: string }>
  | Event<'Renamed', { name: string; surname?: string }>
  | Event<'BirthDateSet', { birthDate: string }>;
export type UserActivity =
  | Event<'Commented', { object: string; text: string }>
  | Event<'Reacted', { object: string; reaction: string }>
  | Event<'PageLiked' | 'PageUnliked', { page: string }>;
export type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;

export const userUpdates = category<UserUpdate>('user_updates');
export const userActivity = category<UserActivity>('user_activity');
export const userFriends = category<UserFriend>('user_friends');

/** What `Reacted` may say; the first two are the article's. */
export const reactions = ['kick', 'dislike', 'love', 'laugh', 'wow', 'cry'] as const;

/** A command that the domain refuses. */
export abstract class RefusedError extends Error {
  abstract readonly code: string;
}

export class UnknownUserError extends RefusedError {
  readonly code = 'unknown-user';

  constructor(id: string) {
    super(`There is no user ${JSON.stringify(id)}.`);
  }
}

export class UnknownFriendError extends RefusedError {
  readonly code = 'unknown-friend';

  constructor(friendId: string) {
    super(`There is no user ${JSON.stringify(friendId)} to make friends with.`);
  }
}

export class AlreadyRegisteredError extends RefusedError {
  readonly code = 'already-registered';

  constructor() {
    super('This user is registered already, with another name.');
  }
}

export class OwnFriendError extends RefusedError {
  readonly code = 'own-friend';

  constructor() {
    super('Nobody can befriend themselves.');
  }
}

export type UserCommand =
  | { type: 'Register'; name: string; surname: string }
  | { type: 'Rename'; id: string; name: string; surname?: string | undefined }
  | { type: 'SetBirthDate'; id: string; birthDate: string };

interface User {
  readonly name: string | undefined;
  readonly surname: string | undefined;
  readonly birthDate: string | undefined;
  /** A user is known from the first update on, also when somebody else's program forgot to say `register`. */
  readonly isKnown: boolean;
}

/** Decides about users. A command whose effect is there already leads to no event, so it may safely come again. */
export const user = userUpdates.decider({
  initialState: (): User => ({ name: undefined, surname: undefined, birthDate: undefined, isKnown: false }),
  evolve: (state, { data }): User => ({ ...state, ...data, isKnown: true }),
  decide: (command: UserCommand, state) => {
    switch (command.type) {
      case 'Register':
        return register(command, state);
      case 'Rename':
        return rename(command, state);
      case 'SetBirthDate':
        if (!state.isKnown) throw new UnknownUserError(command.id);
        return state.birthDate === command.birthDate ? [] : [{ type: 'BirthDateSet', data: { birthDate: command.birthDate } }];
    }
  },
});

function register({ name, surname }: UserCommand & { type: 'Register' }, state: User): readonly UserUpdate[] {
  if (!state.isKnown) return [{ type: 'Registered', data: { name, surname } }];
  // The same request again, after its Idempotency-Key has been forgotten: its effect is there.
  if (state.name === name && state.surname === surname) return [];
  throw new AlreadyRegisteredError();
}

function rename({ id, name, surname }: UserCommand & { type: 'Rename' }, state: User): readonly UserUpdate[] {
  if (!state.isKnown) throw new UnknownUserError(id);
  if (state.name === name && (surname ?? state.surname) === state.surname) return [];
  return [{ type: 'Renamed', data: { name, ...(surname !== undefined && { surname }) } }];
}

export type ActivityCommand =
  | { type: 'Comment'; object: string; text: string }
  | { type: 'React'; object: string; reaction: string }
  | { type: 'Like' | 'Unlike'; page: string };

/** Decides about what users do. Whether the user exists is another stream's knowledge: `execute` gets a guard. */
export const activity = userActivity.decider({
  initialState: (): readonly string[] => [],
  evolve: (likedPages, event): readonly string[] => {
    if (event.type !== 'PageLiked' && event.type !== 'PageUnliked') return likedPages;
    return withMember(likedPages, event.data.page, event.type === 'PageLiked');
  },
  decide: (command: ActivityCommand, likedPages) => {
    switch (command.type) {
      case 'Comment':
        return [{ type: 'Commented', data: { object: command.object, text: command.text } }];
      case 'React':
        return [{ type: 'Reacted', data: { object: command.object, reaction: command.reaction } }];
      case 'Like':
        return likedPages.includes(command.page) ? [] : [{ type: 'PageLiked', data: { page: command.page } }];
      case 'Unlike':
        return likedPages.includes(command.page) ? [{ type: 'PageUnliked', data: { page: command.page } }] : [];
    }
  },
});

export type FriendCommand = { type: 'Befriend' | 'Unfriend'; id: string; friendId: string };

/** Decides about one user's list of friends; it does not change the friend's list. */
export const friends = userFriends.decider({
  initialState: (): readonly string[] => [],
  evolve: (friendIds, event): readonly string[] => withMember(friendIds, event.data.friendId, event.type === 'FriendAdded'),
  decide: ({ type, id, friendId }: FriendCommand, friendIds) => {
    if (friendId === id) throw new OwnFriendError();
    const isFriend = friendIds.includes(friendId);
    if (type === 'Befriend') return isFriend ? [] : [{ type: 'FriendAdded', data: { friendId } }];
    return isFriend ? [{ type: 'FriendRemoved', data: { friendId } }] : [];
  },
});

/** The list with one member more or less, in the order in which they came; the same list where nothing changes. */
export function withMember(list: readonly string[], member: string, isIn: boolean): readonly string[] {
  if (list.includes(member) === isIn) return list;
  return isIn ? [...list, member] : list.filter((each) => each !== member);
}
