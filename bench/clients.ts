// The bare client of `@redis/client` that figures compare with.
import { createClient } from '@redis/client';

export type BareClient = Awaited<ReturnType<typeof connectBare>>;

/** Connected; RESP2, in which raw replies of streams are the same for every version. */
export async function connectBare(url: string) {
  const client = createClient({ url, RESP: 2 });
  client.on('error', () => {}); // what is under way rejects with it
  await client.connect();
  return client;
}
