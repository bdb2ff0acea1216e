// The read model: one document for each user, folded from all three categories.
import { projection } from 'millrace';
import { userActivity, userFriends, userUpdates, withMember } from './domain.ts';

export interface Profile {
  readonly name: string | null;
  readonly surname: string | null;
  readonly birthDate: string | null;
  /** Null until the first update: others may write of a user's activity before anybody registered that user. */
  readonly knownSince: string | null;
  readonly likedPages: readonly string[];
  /** Their names are in their own documents, which are joined when a profile is read. */
  readonly friendIds: readonly string[];
}

export const profiles = projection({
  name: 'profiles',
  categories: [userUpdates, userActivity, userFriends],
  initialState: (): Profile => ({ name: null, surname: null, birthDate: null, knownSince: null, likedPages: [], friendIds: [] }),
  evolve: (profile, event): Profile => {
    switch (event.type) {
      case 'Registered':
      case 'Renamed':
      case 'BirthDateSet':
        return { ...profile, ...event.data, knownSince: profile.knownSince ?? event.recordedAt.toISOString() };
      case 'PageLiked':
      case 'PageUnliked':
        return { ...profile, likedPages: withMember(profile.likedPages, event.data.page, event.type === 'PageLiked') };
      case 'FriendAdded':
      case 'FriendRemoved':
        return { ...profile, friendIds: withMember(profile.friendIds, event.data.friendId, event.type === 'FriendAdded') };
      default:
        // Comments and reactions are in the history only.
        return profile;
    }
  },
});
