// A first program: appends two facts about a user, folds them into a document and reads it.
import { randomUUID } from 'node:crypto';
import { category, type Event, EventStore, projection, SnapshotStore, StreamProcessor } from 'millrace';

type UserUpdate = Event<'Registered', { name: string; surname: string }> | Event<'Renamed', { name: string }>;
const userUpdates = category<UserUpdate>('user_updates');

const profiles = projection({
  name: 'profiles',
  categories: [userUpdates],
  initialState: () => ({ name: '', surname: '', changes: 0 }),
  evolve: (profile, event) => ({ ...profile, ...event.data, changes: profile.changes + 1 }),
});

const store = await EventStore.connect(process.env['REDIS_URL'] ?? 'redis://localhost:6379', { namespace: 'first-program' });

const id = randomUUID();
await store.append(userUpdates.stream(id), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } }, { expectedVersion: 'no-stream' });
await store.append(userUpdates.stream(id), { type: 'Renamed', data: { name: 'Daffy' } }, { expectedVersion: 1 });

const processor = new StreamProcessor(store, { projections: [profiles] });
await processor.runUntilCaughtUp();

console.log(await new SnapshotStore(store).get(profiles, id)); // { name: 'Daffy', surname: 'Duck', changes: 2 }
await store.close();
