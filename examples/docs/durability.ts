// The documents' code about durability: waiting for the disk, over a client of your own.
import { createClient } from '@redis/client';
import { EventStore } from 'millrace';
import { userUpdates } from './users.ts';

export async function appendDurably(url: string, namespace: string) {
  // #region waitaof
  // A client for this alone: what waits for the disk holds up everything behind it on its connection.
  const client = createClient({ url });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  const store = await EventStore.connect({ client, namespace });

  const { position } = await store.append(userUpdates.stream('1'), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } });
  const [disks, replicas] = (await client.sendCommand(['WAITAOF', '1', '0', '2000'])) as [number, number];
  if (disks < 1) throw new Error(`The event at ${position} is appended, but it is not known to be on the disk.`); // WAITAOF does not fail by itself
  // #endregion
  await store.close();
  await client.close();
  return { disks, replicas };
}
