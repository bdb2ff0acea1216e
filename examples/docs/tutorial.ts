// The tutorial's program: a profile from three Redis Streams that others fill, and commands beside them.
// #region imports
import { category, type Event, EventStore, projection, SnapshotStore, type SourceEntry, source, StreamProcessor } from 'millrace';
// #endregion

// #region events
type UserUpdate = Event<'Registered', { name: string; surname: string }> | Event<'Renamed', { name: string }>;
type UserActivity = Event<'Reacted', { reaction: string; object: string }> | Event<'PageLiked', { page: string }>;
type UserFriend = Event<'FriendAdded' | 'FriendRemoved', { friendId: string }>;

const userUpdates = category<UserUpdate>('user_updates');
const userActivity = category<UserActivity>('user_activity');
const userFriends = category<UserFriend>('user_friends');
// #endregion

// #region sources
const updates = source({
  key: 'user_updates',
  into: userUpdates,
  decode: (entry) => {
    if (entry.fields['command'] !== 'register') return undefined; // passed over
    return { id: field(entry, 'user_id'), event: { type: 'Registered', data: { name: field(entry, 'name'), surname: field(entry, 'surename') } } };
  },
});

const activity = source({
  key: 'user_activity',
  into: userActivity,
  decode: (entry) => {
    const [reaction, object] = [field(entry, 'command'), field(entry, 'object')];
    return { id: field(entry, 'user_id'), event: { type: 'Reacted', data: { reaction, object } } };
  },
});

const friends = source({
  key: 'user_friends',
  into: userFriends,
  decode: (entry) => {
    const type = field(entry, 'command') === 'add' ? 'FriendAdded' : 'FriendRemoved';
    return { id: field(entry, 'user_id'), event: { type, data: { friendId: field(entry, 'friend_id') } } };
  },
});

function field({ fields }: SourceEntry, name: string): string {
  const value = fields[name];
  if (value === undefined) throw new Error(`the field ${name} is missing`); // stops this import, and says at which entry
  return value;
}
// #endregion

// #region projection
const profiles = projection({
  name: 'profiles',
  categories: [userUpdates, userActivity, userFriends],
  initialState: () => ({ name: '', surname: '', likedPages: [] as string[], friendIds: [] as string[] }),
  evolve: (profile, event) => {
    switch (event.type) {
      case 'Registered':
      case 'Renamed':
        return { ...profile, ...event.data };
      case 'PageLiked':
        return { ...profile, likedPages: [...profile.likedPages, event.data.page] };
      case 'FriendAdded':
        return { ...profile, friendIds: [...profile.friendIds, event.data.friendId] };
      case 'FriendRemoved':
        return { ...profile, friendIds: profile.friendIds.filter((id) => id !== event.data.friendId) };
      default:
        return profile;
    }
  },
});
// #endregion

// #region process
const store = await EventStore.connect(process.env['REDIS_URL'] ?? 'redis://localhost:6379', { namespace: 'tutorial' });
const snapshots = new SnapshotStore(store);

const processor = new StreamProcessor(store, {
  sources: [updates, activity, friends],
  projections: [profiles],
  leaseMs: 1_000, // killed, it is missed for so long by the next one
});
processor.start();
await processor.runUntilCaughtUp();

console.log(await snapshots.get(profiles, '1')); // { name: 'Duffy', surname: 'Duck', likedPages: [], friendIds: [ '2' ] }
// #endregion

// #region history
let registeredAt = new Date();
for await (const event of store.readStream(userUpdates.stream('1'), { limit: 1 })) {
  console.log(event.streamVersion, event.type, event.data);
  registeredAt = event.recordedAt; // when XADD was typed
}
// #endregion

// #region decider
const user = userUpdates.decider({
  initialState: () => ({ name: '' }),
  evolve: (state, event) => ({ ...state, name: event.data.name }),
  decide: (command: { type: 'Rename'; name: string }, state) => {
    if (state.name === '') throw new Error('There is no such user.'); // rejects the command; execute throws this very error
    return state.name === command.name ? [] : [{ type: 'Renamed', data: { name: command.name } }];
  },
});
// #endregion

// #region command
const { token } = await store.execute(user, '1', { type: 'Rename', name: 'Daffy' });
console.log(await snapshots.get(profiles, '1', { atLeast: token })); // { name: 'Daffy', … }
// #endregion

// #region then
console.log(await snapshots.get(profiles, '1', { at: registeredAt })); // { name: 'Duffy', …, friendIds: [] }
// #endregion

// #region names
const profile = await snapshots.get(profiles, '1');
const known = await snapshots.getMany(profiles, profile?.friendIds ?? []);
console.log([...known.values()].map(({ name, surname }) => `${name} ${surname}`)); // [ 'Bugs Bunny' ]
// #endregion

// #region end
await processor.stop();
await store.close();
// #endregion
