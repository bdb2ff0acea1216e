// The documents' code about replay: a new version of a projection beside the old one.
import { type EventStore, projection, SnapshotStore, StreamProcessor } from 'millrace';
import { profiles, userFriends, userUpdates } from './users.ts';

// #region next
export const profilesNext = projection({
  name: 'profiles',
  version: 2, // documents and checkpoint of its own: folded from the first event on
  categories: [userUpdates, userFriends],
  initialState: () => ({ fullName: '' }),
  evolve: (profile, event) => (event.type === 'Registered' ? { fullName: `${event.data.name} ${event.data.surname}` } : profile),
});
// #endregion

export async function build(store: EventStore) {
  // #region build
  const processor = new StreamProcessor(store, { projections: [profiles, profilesNext] }); // the old one goes on serving
  await processor.runUntilCaughtUp();
  const profile = await new SnapshotStore(store).get(profilesNext, '1'); // a reader of version 2 gets version 2's type
  // #endregion
  return profile;
}

export async function compare(store: EventStore, signal: AbortSignal) {
  const differing: string[] = [];
  const snapshots = new SnapshotStore(store);
  // #region check
  for await (const id of snapshots.keys(profiles, { signal })) {
    const [stored, folded] = [await snapshots.get(profiles, id), await snapshots.get(profiles, id, { at: new Date() })];
    if (JSON.stringify(stored) !== JSON.stringify(folded)) differing.push(id);
  }
  // #endregion
  return differing;
}
