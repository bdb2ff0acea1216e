// The documents' code about durability: a store whose appends wait for the disk or for replicas, and what to do where that is not confirmed.
import { EventStore, UnconfirmedError } from 'millrace';
import { userUpdates } from './users.ts';

export async function openDurably(url: string, namespace: string) {
  // #region open
  const store = await EventStore.connect(url, { namespace, durability: 'fsync' });
  // #endregion
  return store;
}

export async function openReplicated(url: string, namespace: string) {
  // #region replicas
  const store = await EventStore.connect(url, { namespace, durability: { replicas: 1, timeoutMs: 500 } });
  // #endregion
  return store;
}

// #region unconfirmed
/** Registers a user once, however often it is called with the same request; gives up when it cannot be made safe. */
export async function register(store: EventStore, id: string, requestId: string) {
  const registered = { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } } as const;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.append(userUpdates.stream(id), registered, { idempotencyKey: requestId });
    } catch (error) {
      if (!(error instanceof UnconfirmedError) || attempt === 3) throw error;
      console.warn(error.message); // it is written; asking again writes nothing, and waits once more
    }
  }
}
// #endregion
