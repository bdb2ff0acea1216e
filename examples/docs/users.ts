// What the documents' code is about: users, what can happen to them, and who decides.
import { category, type Event, projection } from 'millrace';

// #region events
export type UserUpdate =
  | Event<'Registered', { name: string; surname: string }>
  | Event<'Renamed', { name: string }>
  | Event<'Deleted', Record<string, never>>;
export type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;

export const userUpdates = category<UserUpdate>('user_updates');
export const userFriends = category<UserFriend>('user_friends');
// #endregion

// #region projection
export const profiles = projection({
  name: 'profiles',
  categories: [userUpdates, userFriends], // one document for each id, folded from both streams
  initialState: () => ({ name: '', surname: '', friendIds: [] as string[] }),
  evolve: (profile, event) => {
    switch (event.type) {
      case 'Registered':
      case 'Renamed':
        return { ...profile, ...event.data };
      case 'FriendAdded':
        return { ...profile, friendIds: [...profile.friendIds, event.data.friendId] };
      case 'FriendRemoved':
        return { ...profile, friendIds: profile.friendIds.filter((id) => id !== event.data.friendId) };
      case 'Deleted':
        return null; // deletes the document
      default:
        return profile; // a type that another version of the program appends
    }
  },
});
// #endregion

// #region decider
type UserCommand = { type: 'Register'; name: string; surname: string } | { type: 'Rename'; name: string };

export class UserRejected extends Error {}

export const user = userUpdates.decider({
  initialState: () => ({ isKnown: false, name: '' }),
  evolve: (state, event) => {
    switch (event.type) {
      case 'Registered':
        return { isKnown: true, name: event.data.name };
      case 'Renamed':
        return { ...state, name: event.data.name };
      default:
        return state;
    }
  },
  decide: (command: UserCommand, state) => {
    switch (command.type) {
      case 'Register':
        if (state.isKnown) throw new UserRejected('is registered already');
        return [{ type: 'Registered', data: { name: command.name, surname: command.surname } }];
      case 'Rename':
        if (!state.isKnown) throw new UserRejected('is not registered');
        return state.name === command.name ? [] : [{ type: 'Renamed', data: { name: command.name } }];
    }
  },
});
// #endregion
