// The documents' code about documents: what a processor folds, and how it is read.
import { type EventStore, projection, SnapshotStore, StreamProcessor, type Token } from 'millrace';
import { profiles, userUpdates } from './users.ts';

export async function process(store: EventStore) {
  // #region processor
  const processor = new StreamProcessor(store, { projections: [profiles] });
  await processor.runUntilCaughtUp(); // up to the log's end as it was at the call
  // #endregion
}

export async function read(store: EventStore, token: Token) {
  // #region read
  const snapshots = new SnapshotStore(store);
  const profile = await snapshots.get(profiles, '1'); // typed; undefined where there is none
  const many = await snapshots.getMany(profiles, ['1', '2']); // a Map
  // #endregion

  // #region consistency
  await snapshots.get(profiles, '1', { atLeast: token, timeoutMs: 2_000 }); // waits until it holds that append
  await snapshots.get(profiles, '1', { fresh: true }); // folds in what the processor has not folded yet
  await snapshots.get(profiles, '1', { at: new Date('2026-01-01') }); // as it was then
  // #endregion
  return { profile, many };
}

// #region key
export const surnames = projection({
  name: 'surnames',
  categories: [userUpdates],
  key: (event) => (event.type === 'Registered' ? event.data.surname : undefined), // a key, several, or none
  initialState: () => ({ users: 0 }),
  evolve: ({ users }) => ({ users: users + 1 }),
});
// #endregion

// #region live
export const historyLengths = projection({
  name: 'history-lengths',
  categories: [userUpdates],
  consistency: 'live', // folded when it is read; nothing is stored, and no processor is needed
  initialState: () => 0,
  evolve: (length) => length + 1,
});
// #endregion
