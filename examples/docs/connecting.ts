// The documents' code about connections: by URL, with TLS, as an ACL user, over a client of your own.
import { readFileSync } from 'node:fs';
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { EventStore } from 'millrace';

export async function byUrl() {
  // #region url
  const store = await EventStore.connect('redis://localhost:6379', { namespace: 'shop', timeoutMs: 2_000 });
  // #endregion
  return store;
}

export async function withTls(password: string) {
  // #region tls
  const store = await EventStore.connect('rediss://redis.example.com:6380', {
    username: 'shop',
    password,
    tls: { ca: readFileSync('ca.pem') }, // anything that node:tls takes: cert, key, servername …
  });
  // #endregion
  return store;
}

export async function overNodeRedis(url: string, namespace: string) {
  // #region node-redis
  const client = createClient({ url });
  client.on('error', (error) => console.error(error.message));
  await client.connect();

  const store = await EventStore.connect({ client, namespace });
  // … and at the end, for the store does not close what it did not open:
  await store.close();
  await client.close();
  // #endregion
}

export async function overIoredis(url: string, namespace: string) {
  // #region ioredis
  const client = new Redis(url);
  client.on('error', (error) => console.error(error.message));

  const store = await EventStore.connect({ client, namespace });
  await store.close();
  await client.quit();
  // #endregion
}
