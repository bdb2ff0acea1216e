// Every way to a cluster and to what sentinels watch over: by options with either library, and over callers' own clients of each version that is accepted.
import { createCluster, createSentinel } from '@redis/client';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import { Cluster as Cluster54, Redis as Redis54 } from 'ioredis-5-4';
import { createCluster as createCluster5, createSentinel as createSentinel5 } from 'redis-client-5';
import { createCluster as createCluster50, createSentinel as createSentinel50 } from 'redis-client-5-0';
import { openPort, type RedisClient } from '../../src/redis/client.ts';
import type { RedisPort } from '../../src/redis/port.ts';
import type { TestCluster } from '../support/cluster.ts';
import type { TestSentinels } from '../support/sentinel.ts';

/** What a set-up asks for. */
export interface Access {
  readonly password?: string;
  readonly sentinelPassword?: string;
}

/** A client of the caller's own, and how its owner ends it. */
export interface ForeignClient {
  readonly client: RedisClient;
  end(): void;
}

export interface Way<SetUp> {
  readonly name: string;
  open(setUp: SetUp, access: Access, timeoutMs?: number): Promise<AsyncDisposable & { readonly port: RedisPort; readonly foreign?: ForeignClient }>;
}

interface Ending {
  on(event: 'error', listener: () => void): unknown;
}

function ending<C extends RedisClient & Ending & ({ readonly isOpen: boolean; destroy(): void } | { disconnect(): void })>(client: C): ForeignClient {
  client.on('error', () => {}); // as the libraries ask of their users
  return { client, end: () => ('destroy' in client ? client.isOpen && client.destroy() : client.disconnect()) };
}

function own<SetUp>(name: string, make: (setUp: SetUp, access: Access) => ForeignClient): Way<SetUp> {
  return {
    name: `over a client of ${name}`,
    async open(setUp, access, timeoutMs = 10_000) {
      const foreign = make(setUp, access);
      const port = await openPort({ client: foreign.client, timeoutMs });
      return { port, foreign, [Symbol.asyncDispose]: () => port.close().finally(() => foreign.end()) };
    },
  };
}

function byNodes(library: 'node-redis' | 'ioredis'): Way<TestCluster> {
  return {
    name: `by its nodes through ${library}`,
    async open({ urls }, _access, timeoutMs = 10_000) {
      const port = await openPort({ nodes: urls.slice(0, 2), library, timeoutMs });
      return { port, [Symbol.asyncDispose]: () => port.close() };
    },
  };
}

function bySentinels(library: 'node-redis' | 'ioredis'): Way<TestSentinels> {
  return {
    name: `by sentinels through ${library}`,
    async open({ sentinels, name }, access, timeoutMs = 10_000) {
      const port = await openPort({ sentinels, name, ...access, library, timeoutMs });
      return { port, [Symbol.asyncDispose]: () => port.close() };
    },
  };
}

const addresses = (urls: readonly string[]): { host: string; port: number }[] =>
  urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }));
const rootNodes = ({ urls }: TestCluster): { url: string }[] => urls.slice(0, 2).map((url) => ({ url }));
const defaults = ({ password }: Access): { password?: string } => (password === undefined ? {} : { password });

export const waysToCluster: readonly Way<TestCluster>[] = [
  byNodes('node-redis'),
  byNodes('ioredis'),
  own('@redis/client 6', (cluster, access) => ending(createCluster({ rootNodes: rootNodes(cluster), defaults: defaults(access) }))),
  own('@redis/client 5', (cluster, access) => ending(createCluster5({ rootNodes: rootNodes(cluster), defaults: defaults(access) }))),
  own('@redis/client 5.0', (cluster, access) => ending(createCluster50({ rootNodes: rootNodes(cluster), defaults: defaults(access) }))),
  own('ioredis 6', ({ urls }, access) => ending(new Cluster([...urls], { redisOptions: access }))),
  own('ioredis 6 that connects later', ({ urls }, access) => ending(new Cluster([...urls], { redisOptions: access, lazyConnect: true }))),
  own('ioredis 5', ({ urls }, access) => ending(new Cluster5([...urls], { redisOptions: access }))),
  own('ioredis 5.4', ({ urls }, access) => ending(new Cluster54([...urls], { redisOptions: access }))),
];

/** As `createSentinel` of each version takes them. */
function sentinelOptions({ sentinels, name }: TestSentinels, { password, sentinelPassword }: Access) {
  return {
    name,
    sentinelRootNodes: addresses(sentinels),
    nodeClientOptions: password === undefined ? {} : { password },
    sentinelClientOptions: sentinelPassword === undefined ? {} : { password: sentinelPassword },
  };
}

export const waysToSentinels: readonly Way<TestSentinels>[] = [
  bySentinels('node-redis'),
  bySentinels('ioredis'),
  own('@redis/client 6', (setUp, access) => ending(createSentinel(sentinelOptions(setUp, access)))),
  own('@redis/client 5', (setUp, access) => ending(createSentinel5(sentinelOptions(setUp, access)))),
  own('@redis/client 5.0', (setUp, access) => ending(createSentinel50(sentinelOptions(setUp, access)))),
  own('ioredis 6', ({ sentinels, name }, access) => ending(new Redis({ sentinels: addresses(sentinels), name, ...access }))),
  own('ioredis 5', ({ sentinels, name }, access) => ending(new Redis5({ sentinels: addresses(sentinels), name, ...access }))),
  own('ioredis 5.4', ({ sentinels, name }, access) => ending(new Redis54({ sentinels: addresses(sentinels), name, ...access }))),
];
