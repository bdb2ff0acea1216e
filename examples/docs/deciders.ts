// The documents' code about commands: decide, repeat safely, handle what comes back.
import { type EventStore, isMillraceError, OutcomeUnknownError, VersionConflictError } from 'millrace';
import { user, userFriends, UserRejected, userUpdates } from './users.ts';

export async function execute(store: EventStore) {
  // #region execute
  const { events, state, streamVersion, token } = await store.execute(user, '1', { type: 'Rename', name: 'Daffy' });
  // #endregion
  return { events, state, streamVersion, token };
}

export const cachedUser = userUpdates.decider({
  ...user,
  // #region snapshot
  snapshot: { name: 'user-state', version: 1, everyEvents: 50 }, // stored in Redis every 50 events
  cachedStates: 1_000, // and so many remembered in this process
  // #endregion
});

export async function idempotent(store: EventStore, requestId: string) {
  // #region idempotent
  const command = { type: 'Register', name: 'Bugs', surname: 'Bunny' } as const;
  const first = await store.execute(user, '2', command, { idempotencyKey: requestId });
  const again = await store.execute(user, '2', command, { idempotencyKey: requestId }); // again.isRepeated, and nothing is written
  // #endregion
  return { first, again };
}

export async function ownIds(store: EventStore) {
  // #region own-ids
  const event = { type: 'Renamed', data: { name: 'Bugs' }, id: 'message-4711' } as const;
  const first = await store.append(userUpdates.stream('2'), event, { expectedVersion: 1 });
  const again = await store.append(userUpdates.stream('2'), event, { expectedVersion: 1 }); // again.isRepeated
  // #endregion
  return { first, again };
}

export async function conflict(store: EventStore) {
  const told: string[] = [];
  // #region conflict
  try {
    await store.append(userFriends.stream('2'), { type: 'FriendAdded', data: { friendId: '1' } }, { expectedVersion: 0 });
  } catch (error) {
    if (!(error instanceof VersionConflictError)) throw error;
    told.push(`${error.streamName} is at ${error.actualVersion}`);
    for (const event of error.missedEvents) told.push(JSON.stringify(event)); // what you have not seen
  }
  // #endregion
  return told;
}

export async function reject(store: EventStore) {
  // #region reject
  try {
    await store.execute(user, 'nobody', { type: 'Rename', name: 'Daffy' });
  } catch (error) {
    if (error instanceof UserRejected) return error.message; // your own error, as `decide` threw it
    if (isMillraceError(error, 'version-conflict')) return 'somebody was faster, again and again';
    throw error;
  }
  // #endregion
  return undefined;
}

// #region unknown
/** Writes once, or says that it cannot tell: the key makes the repetition safe. */
export async function rename(store: EventStore, id: string, name: string, requestId: string) {
  const send = () => store.execute(user, id, { type: 'Rename', name }, { idempotencyKey: requestId });
  try {
    return await send();
  } catch (error) {
    if (error instanceof OutcomeUnknownError) return await send();
    throw error;
  }
}
// #endregion
