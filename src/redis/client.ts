// Opens the port to Redis: from a URL with whichever client library is installed, or over a caller's own client.
import { ConnectionFailedError, InvalidInputError } from '../errors.ts';
import { type Address, addressOf } from './address.ts';
import { ClientPort } from './client-port.ts';
import { checkIoredis, createIoredis, type IoredisClass, type IoredisClient, ioredisWire } from './ioredis.ts';
import { checkNodeRedis, createNodeRedis, type NodeRedisClient, type NodeRedisModule, nodeRedisWire } from './node-redis.ts';
import type { ConnectOptions, RedisPort } from './port.ts';
import type { Wire } from './wire.ts';

/** A caller's own client, of `@redis/client`, `redis` or `ioredis`. */
export type RedisClient = NodeRedisClient | IoredisClient;

/** `client` is connected if it is not, and never closed; blocking reads and channels use duplicates of it. */
export type PortTarget = string | (ConnectOptions & { readonly url: string }) | { readonly client: RedisClient; readonly timeoutMs?: number };

const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Resolves when the server answers.
 * Throws InvalidInputError where the URL, an option or the client cannot be used, and ConnectionFailedError within `timeoutMs` (at once
 * where waiting cannot help, as with a wrong password).
 */
export async function openPort(target: PortTarget): Promise<RedisPort> {
  const settings = typeof target === 'string' ? { url: target } : target;
  const timeoutMs = settings.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (!(timeoutMs > 0 && timeoutMs <= 2_147_483_647))
    throw new InvalidInputError('option timeoutMs', 'milliseconds, more than 0 and less than 2^31', timeoutMs);
  const wire = 'client' in settings ? wireOver(settings.client) : await wireTo(addressOf(settings.url, settings), settings.library, timeoutMs);
  const port = new ClientPort(wire, { timeoutMs });
  await port.connect();
  return port;
}

function wireOver(client: RedisClient): Wire {
  if (isNodeRedis(client)) {
    checkNodeRedis(client);
    return nodeRedisWire(client, false, secretsOf(client.options));
  }
  if (isIoredis(client)) {
    checkIoredis(client);
    return ioredisWire(client, false, secretsOf(client.options));
  }
  throw new InvalidInputError('client', 'a client for one server of @redis/client, redis or ioredis', client);
}

function isNodeRedis(client: RedisClient): client is NodeRedisClient {
  return (
    typeof client === 'object' && client !== null && 'isReady' in client && 'isOpen' in client && 'sendCommand' in client && 'duplicate' in client
  );
}

function isIoredis(client: RedisClient): client is IoredisClient {
  return (
    typeof client === 'object' &&
    client !== null &&
    'status' in client &&
    'disconnect' in client &&
    'sendCommand' in client &&
    !('isCluster' in client && client.isCluster)
  );
}

/** A caller's passwords, wherever the libraries take them. */
function secretsOf(options: object | undefined): string[] {
  const { password, sentinelPassword, url } = (options ?? {}) as {
    readonly password?: unknown;
    readonly sentinelPassword?: unknown;
    readonly url?: unknown;
  };
  const inUrl = typeof url === 'string' && URL.canParse(url) ? new URL(url).password : '';
  return [password, sentinelPassword, inUrl].flatMap(inEveryForm);
}

/** A password as it is and as a URL has it. */
function inEveryForm(password: unknown): string[] {
  if (typeof password !== 'string' || password === '') return [];
  return [...new Set([password, encodeURIComponent(password)])];
}

async function wireTo(address: Address, library: ConnectOptions['library'], timeoutMs: number): Promise<Wire> {
  const secrets = inEveryForm(address.password);
  const nodeRedis = library === 'ioredis' ? undefined : ((await load('@redis/client')) ?? (await load('redis')));
  if (nodeRedis !== undefined) return nodeRedisWire(createNodeRedis(nodeRedis as NodeRedisModule, address, timeoutMs), true, secrets);
  const ioredis = library === 'node-redis' ? undefined : await load('ioredis');
  if (ioredis !== undefined) return ioredisWire(createIoredis((ioredis as { Redis: IoredisClass }).Redis, address, timeoutMs), true, secrets);
  throw new ConnectionFailedError(
    `Could not connect to Redis at ${address.where}: no client library is installed${library === undefined ? '' : ` that is ${library}`}. ` +
      `Run npm install ${library === undefined ? '@redis/client, or npm install ioredis' : library === 'ioredis' ? 'ioredis' : '@redis/client'}.`,
  );
}

/** The module, or undefined where it is not installed. By a name in a variable: the types must not ask for a package that may be missing. */
async function load(name: string): Promise<object | undefined> {
  try {
    return (await import(name)) as object;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
