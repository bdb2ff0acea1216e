// The documents' code about imports: a Redis Stream that others fill becomes events.
import { type EventStore, source, StreamProcessor } from 'millrace';
import { profiles, userUpdates } from './users.ts';

// #region source
export const legacyUpdates = source({
  key: 'user_updates', // XADD user_updates * user_id 1 command register name Duffy surename Duck
  into: userUpdates,
  decode: ({ fields }) => {
    const { user_id: id, command, name, surename: surname } = fields;
    if (id === undefined || name === undefined) throw new Error('user_id or name is missing');
    if (command === 'rename') return { id, event: { type: 'Renamed', data: { name } } };
    if (command !== 'register' || surname === undefined) return undefined; // none of ours: passed over
    return { id, event: { type: 'Registered', data: { name, surname } } };
  },
});
// #endregion

export async function runImport(store: EventStore) {
  // #region run
  const processor = new StreamProcessor(store, { sources: [legacyUpdates], projections: [profiles] });
  await processor.runUntilCaughtUp();
  const { sources } = await processor.progress(); // the last entry taken; how many were skipped
  // #endregion
  return sources;
}
