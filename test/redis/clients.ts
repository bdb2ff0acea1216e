// Every way to a port: by URL with either library, and over callers' own clients of each version that is accepted, with RESP2 and RESP3.
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis-5';
import { Redis as Redis54 } from 'ioredis-5-4';
import { createClient as createClient5 } from 'redis-client-5';
import { createClient as createClient50 } from 'redis-client-5-0';
import { openPort } from '../../src/redis/client.ts';
import type { IoredisClient } from '../../src/redis/ioredis.ts';
import type { NodeRedisClient } from '../../src/redis/node-redis.ts';
import { PortError, type RedisPort } from '../../src/redis/port.ts';

/** For one server. */
export type ServerClient = NodeRedisClient | IoredisClient;

export interface Way {
  readonly name: string;
  /** The client sends what was in flight again by itself when the connection broke. */
  readonly resends: boolean;
  /** Opens a port; `client` is the caller's own, if there is one. */
  open(url: string, timeoutMs?: number): Promise<OpenWay>;
}

export interface OpenWay extends AsyncDisposable {
  readonly port: RedisPort;
  readonly client: ServerClient | undefined;
}

function byUrl(library: 'node-redis' | 'ioredis'): Way {
  return {
    name: `by URL through ${library}`,
    resends: false,
    async open(url, timeoutMs = 5_000) {
      const port = await openPort({ url, library, timeoutMs });
      return { port, client: undefined, [Symbol.asyncDispose]: () => port.close() };
    },
  };
}

function own(name: string, resends: boolean, make: (url: string) => ServerClient): Way {
  return {
    name: `over a client of ${name}`,
    resends,
    async open(url, timeoutMs = 5_000) {
      const client = make(url);
      client.on('error', () => {}); // as the libraries ask of their users
      const port = await openPort({ client, timeoutMs });
      return { port, client, [Symbol.asyncDispose]: () => port.close().finally(() => end(client)) };
    },
  };
}

/** Ends a client as its owner would. */
export function end(client: ServerClient): void {
  if ('isOpen' in client) {
    if (client.isOpen) client.destroy();
  } else {
    client.disconnect();
  }
}

export const ways: readonly Way[] = [
  byUrl('node-redis'),
  byUrl('ioredis'),
  own('@redis/client 6', false, (url) => createClient({ url })),
  own('@redis/client 6 with RESP2', false, (url) => createClient({ url, RESP: 2 })),
  own('@redis/client 6 with type mapping', false, (url) =>
    createClient({ url, commandOptions: { timeout: 1_000, typeMapping: { 36: Buffer, 37: Map } } }),
  ),
  own('@redis/client 5', false, (url) => createClient5({ url })),
  own('@redis/client 5 with RESP3', false, (url) => createClient5({ url, RESP: 3 })),
  own('@redis/client 5.0', false, (url) => createClient50({ url })),
  own('ioredis 6', true, (url) => new Redis(url)),
  own('ioredis 6 with RESP2', true, (url) => new Redis(url, { protocol: 2, lazyConnect: true })),
  own('ioredis 6 with auto-pipelining', true, (url) => new Redis(url, { enableAutoPipelining: true })),
  own('ioredis 6 that does not resend', false, (url) => new Redis(url, { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: null })),
  own('ioredis 5', true, (url) => new Redis5(url)),
  own('ioredis 5.4', true, (url) => new Redis54(url)),
];

/** The PortError that a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<PortError> {
  const outcome = await call.catch((reason: unknown) => reason);
  if (!(outcome instanceof PortError)) throw new Error('expected a PortError', { cause: outcome });
  return outcome;
}
