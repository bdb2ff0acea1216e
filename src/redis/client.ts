// Opens the port to Redis: from a URL with whichever client library is installed, or over a caller's own client.
import { ConnectionFailedError, InvalidInputError } from '../errors.ts';
import { InWords } from '../show.ts';
import { type Address, addressAt, addressesOf, addressOf } from './address.ts';
import { ClientPort } from './client-port.ts';
import { ClusterTopology } from './cluster-topology.ts';
import { connectionFailed } from './failures.ts';
import {
  type IoredisCluster,
  ioredisClusterTopology,
  isIoredisCluster,
  isNodeRedisCluster,
  isNodeRedisSentinel,
  type NodeRedisCluster,
  nodeRedisClusterTopology,
  type NodeRedisSentinel,
  NodeRedisSentinelTopology,
} from './foreign-clients.ts';
import { checkIoredis, createIoredis, type IoredisClass, type IoredisClient, ioredisWire } from './ioredis.ts';
import { checkNodeRedis, createNodeRedis, type NodeRedisClient, type NodeRedisModule, nodeRedisWire } from './node-redis.ts';
import type { ConnectOptions, RedisPort } from './port.ts';
import { RoutedPort } from './routed-port.ts';
import { Routes } from './routes.ts';
import { inEveryForm, secretsOf } from './secrets.ts';
import { SentinelTopology } from './sentinel-topology.ts';
import { nodeName, type NodeName, partsOfName } from './slot-map.ts';
import type { Topology } from './topology.ts';
import type { Wire } from './wire.ts';

/** A caller's own client, of `@redis/client`, `redis` or `ioredis`: for one server, a cluster, or what sentinels watch over. */
export type RedisClient = NodeRedisClient | IoredisClient | NodeRedisCluster | NodeRedisSentinel | IoredisCluster;

/** Nodes of a cluster to begin with; the others are learnt from them. */
export interface ClusterTarget {
  readonly nodes: readonly string[];
}

/** Sentinels, and what they call the primary. */
export interface SentinelTarget {
  readonly sentinels: readonly string[];
  readonly name: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  readonly sentinelTls?: ConnectOptions['tls'];
}

/** `client` is connected if it is not, and never closed; blocking reads and channels use duplicates of it. */
export type PortTarget =
  | string
  | (ConnectOptions & { readonly url: string })
  | (ConnectOptions & ClusterTarget)
  | (ConnectOptions & SentinelTarget)
  | { readonly client: RedisClient; readonly timeoutMs?: number };

const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Resolves when the server answers, of a cluster every primary.
 * Throws InvalidInputError where the URL, an option or the client cannot be used, and ConnectionFailedError within `timeoutMs` (at once
 * where waiting cannot help, as with a wrong password).
 */
export async function openPort(target: PortTarget): Promise<RedisPort> {
  const settings = typeof target === 'string' ? { url: target } : target;
  const timeoutMs = settings.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (!(timeoutMs > 0 && timeoutMs <= 2_147_483_647))
    throw new InvalidInputError('option timeoutMs', 'milliseconds, more than 0 and less than 2^31', timeoutMs);
  const found = await wireOrTopology(settings, timeoutMs);
  const port = 'discover' in found ? new RoutedPort(new Routes(found), { timeoutMs }) : new ClientPort(found, { timeoutMs });
  await port.connect();
  return port;
}

async function wireOrTopology(settings: Exclude<PortTarget, string>, timeoutMs: number): Promise<Wire | Topology> {
  if ('client' in settings) return await overClient(settings.client, timeoutMs);
  if ('nodes' in settings) return await clusterTopology(settings, timeoutMs);
  if ('sentinels' in settings) return await sentinelTopology(settings, timeoutMs);
  const address = addressOf(settings.url, settings);
  return (await wireMaker(address.where, settings.library, timeoutMs))(address);
}

async function clusterTopology(settings: ConnectOptions & ClusterTarget, timeoutMs: number): Promise<Topology> {
  const addresses = addressesOf('nodes', settings.nodes, settings);
  const [first] = addresses;
  if (addresses.some(({ database }) => database !== 0))
    throw new InvalidInputError('option nodes', 'URLs without a database: a cluster has but number 0', new InWords('one with another number'));
  const seeds = addresses.map(({ host, port }) => nodeName(host, port));
  const make = await wireMaker(first.where, settings.library, timeoutMs);
  const wireTo = (node: NodeName): Wire => make(atNode(first, node));
  return new ClusterTopology({ seeds, secrets: inEveryForm(first.password), timeoutMs, wireTo });
}

async function sentinelTopology(settings: ConnectOptions & SentinelTarget, timeoutMs: number): Promise<Topology> {
  const { name, sentinelUsername, sentinelPassword, sentinelTls, username, password, tls } = settings;
  if (typeof name !== 'string' || name === '') throw new InvalidInputError('option name', 'what the sentinels call the primary, as mymaster', name);
  const access = { username: sentinelUsername, password: sentinelPassword, tls: sentinelTls };
  const addresses = addressesOf('sentinels', settings.sentinels, withoutUndefined(access));
  const [sentinel] = addresses;
  const make = await wireMaker(sentinel.where, settings.library, timeoutMs);
  const server: Address = { ...sentinel, username, password, tls };
  return new SentinelTopology({
    name,
    sentinels: addresses.map(({ host, port }) => nodeName(host, port)),
    secrets: [...inEveryForm(password), ...inEveryForm(sentinel.password)],
    timeoutMs,
    // A sentinel has no databases: the number in its URL is the servers'.
    wireToSentinel: (node) => make({ ...atNode(sentinel, node), database: 0 }),
    wireTo: (node) => make(atNode(server, node)),
  });
}

function withoutUndefined(options: { readonly [Name in keyof ConnectOptions]: ConnectOptions[Name] | undefined }): ConnectOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function atNode(address: Address, node: NodeName): Address {
  const { host, port } = partsOfName(node);
  return addressAt(address, host, port);
}

async function overClient(client: RedisClient, timeoutMs: number): Promise<Wire | Topology> {
  if (typeof client !== 'object' || client === null) throw notAClient(client);
  if (isNodeRedisCluster(client)) return await foreign('cluster', timeoutMs, nodeRedisClusterTopology(client, timeoutMs));
  if (isIoredisCluster(client)) return await foreign('cluster', timeoutMs, ioredisClusterTopology(client, timeoutMs));
  if (isNodeRedisSentinel(client)) return new NodeRedisSentinelTopology(client, timeoutMs);
  return wireOver(client);
}

/** What goes wrong in a caller's client is told as of any other connection; its passwords are not known yet. */
async function foreign(what: string, timeoutMs: number, opening: Promise<Topology>): Promise<Topology> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof InvalidInputError) throw error;
    throw connectionFailed(`the ${what} of a client`, timeoutMs, error, []);
  }
}

function notAClient(client: unknown): InvalidInputError {
  return new InvalidInputError('client', 'a client of @redis/client, redis or ioredis', client);
}

function wireOver(client: object): Wire {
  if (isNodeRedis(client)) {
    checkNodeRedis(client);
    return nodeRedisWire(client, false, secretsOf(client.options));
  }
  if (isIoredis(client)) {
    checkIoredis(client);
    return ioredisWire(client, false, secretsOf(client.options));
  }
  throw notAClient(client);
}

function isNodeRedis(client: object): client is NodeRedisClient {
  return 'isReady' in client && 'isOpen' in client && 'sendCommand' in client && 'duplicate' in client;
}

function isIoredis(client: object): client is IoredisClient {
  return 'status' in client && 'disconnect' in client && 'sendCommand' in client;
}

/** What makes a connection to an address, with the library that is asked for or installed. */
async function wireMaker(where: string, library: ConnectOptions['library'], timeoutMs: number): Promise<(address: Address) => Wire> {
  const nodeRedis = library === 'ioredis' ? undefined : ((await load('@redis/client')) ?? (await load('redis')));
  if (nodeRedis !== undefined)
    return (address) => nodeRedisWire(createNodeRedis(nodeRedis as NodeRedisModule, address, timeoutMs), true, inEveryForm(address.password));
  const ioredis = library === 'node-redis' ? undefined : await load('ioredis');
  if (ioredis !== undefined)
    return (address) =>
      ioredisWire(createIoredis((ioredis as { Redis: IoredisClass }).Redis, address, timeoutMs), true, inEveryForm(address.password));
  throw new ConnectionFailedError(
    `Could not connect to Redis at ${where}: no client library is installed${library === undefined ? '' : ` that is ${library}`}. ` +
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
