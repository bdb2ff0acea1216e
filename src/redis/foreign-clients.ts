// A caller's own cluster client, or Sentinel client of @redis/client: where its nodes are, and connections of ours with its settings.
import { InvalidInputError } from '../errors.ts';
import { ClusterTopology } from './cluster-topology.ts';
import { type IoredisClient, ioredisWire } from './ioredis.ts';
import { nodeRedisWire, type NodeRedisClient } from './node-redis.ts';
import type { RedisPort } from './port.ts';
import { secretsOf } from './secrets.ts';
import { assertPrimary, mapTo } from './sentinel-topology.ts';
import { nodeName, type NodeName, partsOfName, type SlotMap } from './slot-map.ts';
import { ASK_MS, inMs, type Topology } from './topology.ts';
import type { Wire } from './wire.ts';

/** A node as `@redis/client` knows it. */
interface NodeRedisNode {
  readonly host: string;
  readonly port: number;
}

/** The part of `createCluster` of `@redis/client` that is used; versions 5 and 6 fit. */
export interface NodeRedisCluster {
  readonly isOpen: boolean;
  readonly masters: readonly NodeRedisNode[];
  readonly replicas: readonly NodeRedisNode[];
  readonly nodeByAddress: { get(address: string): NodeRedisNode | undefined };
  connect(): Promise<unknown>;
  nodeClient(node: object): unknown;
}

/** The part of `createSentinel` of `@redis/client` that is used; versions 5 and 6 fit. */
export interface NodeRedisSentinel {
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  /** Lends the client of the primary. */
  _execute<T>(isReadonly: boolean | undefined, borrow: (client: object) => Promise<T>): Promise<T>;
}

/** The part of ioredis's `Cluster` that is used; versions 5.4 to 6 fit. */
export interface IoredisCluster {
  readonly isCluster: boolean;
  readonly status: string;
  readonly options: object;
  connect(): Promise<unknown>;
  nodes(role?: 'all' | 'master' | 'slave'): readonly IoredisClient[];
  once(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}

export function isNodeRedisCluster(client: object): client is NodeRedisCluster {
  return 'masters' in client && 'nodeClient' in client && 'isOpen' in client;
}

export function isNodeRedisSentinel(client: object): client is NodeRedisSentinel {
  return '_execute' in client && 'isOpen' in client && 'getSentinelNode' in client;
}

export function isIoredisCluster(client: object): client is IoredisCluster {
  return 'isCluster' in client && client.isCluster === true && 'nodes' in client;
}

/** Connects the client if it is not, and learns its nodes from it. From then on the nodes themselves are asked. */
export async function nodeRedisClusterTopology(cluster: NodeRedisCluster, timeoutMs: number): Promise<Topology> {
  if (!cluster.isOpen) await cluster.connect();
  const [first] = cluster.masters;
  if (first === undefined) throw new Error('the cluster client knows no node');
  const template = (await cluster.nodeClient(first)) as NodeRedisClient;
  refusePrefix(template.options);
  refusePrefix('_options' in cluster ? (cluster._options as object) : undefined);
  const secrets = secretsOf(template.options);
  return new ClusterTopology({
    // Read now: the client forgets its nodes when it is closed.
    seeds: [...cluster.masters, ...cluster.replicas].map(({ host, port }) => nodeName(host, port)),
    secrets,
    timeoutMs,
    wireTo: (node) => nodeRedisWireTo(template, node, secrets),
    translated: (node) => {
      const known = cluster.nodeByAddress.get(node);
      return known === undefined ? node : nodeName(known.host, known.port);
    },
  });
}

/** Of one server's client, for another server. */
function nodeRedisWireTo(template: NodeRedisClient, node: NodeName, secrets: readonly string[]): Wire {
  return nodeRedisWire(template, true, secrets).duplicate(partsOfName(node));
}

export async function ioredisClusterTopology(cluster: IoredisCluster, timeoutMs: number): Promise<Topology> {
  const options = cluster.options as { readonly keyPrefix?: unknown; readonly natMap?: NatMap; readonly redisOptions?: object };
  refusePrefix(options);
  refusePrefix(options.redisOptions);
  await untilReady(cluster, timeoutMs);
  const [template] = cluster.nodes('master');
  if (template === undefined) throw new Error('the cluster client knows no node');
  const secrets = secretsOf(template.options);
  return new ClusterTopology({
    seeds: cluster.nodes('all').map(({ options: node }) => nodeName((node as NodeRedisNode).host, (node as NodeRedisNode).port)),
    secrets,
    timeoutMs,
    wireTo: (node) => ioredisWire(template, true, secrets).duplicate(partsOfName(node)),
    translated: (node) => natted(options.natMap, node),
  });
}

type NatMap = Readonly<Record<string, NodeRedisNode>> | ((address: string) => NodeRedisNode | null);

function natted(map: NatMap | undefined, node: NodeName): NodeName {
  const found = typeof map === 'function' ? map(node) : map?.[node];
  return found ? nodeName(found.host, found.port) : node;
}

/** Its events are not told to those who come late. */
async function untilReady(cluster: IoredisCluster, timeoutMs: number): Promise<void> {
  if (cluster.status === 'ready') return;
  if (cluster.status === 'wait' || cluster.status === 'end') {
    await cluster.connect();
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const onReady = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      cluster.off('ready', onReady);
      reject(new Error(`the cluster client was not ready within ${timeoutMs} ms`));
    }, timeoutMs);
    cluster.once('ready', onReady);
  });
}

/** The client follows the failovers, and lends the connection to the primary: we make our own to the same place. */
export class NodeRedisSentinelTopology implements Topology {
  readonly where: string = 'the primary of the sentinels';
  readonly isCluster = false;
  readonly refreshMs: number = 2_000;
  secrets: readonly string[] = [];
  readonly #sentinel: NodeRedisSentinel;
  readonly #askMs: number;
  #template: NodeRedisClient | undefined;

  constructor(sentinel: NodeRedisSentinel, timeoutMs: number) {
    this.#sentinel = sentinel;
    this.#askMs = Math.min(ASK_MS, timeoutMs);
    if ('_keyPrefix' in sentinel && sentinel._keyPrefix) refusePrefix({ keyPrefix: sentinel._keyPrefix });
  }

  async discover(): Promise<SlotMap> {
    const { lent } = await inMs(this.#askMs, this.#borrow());
    this.#template = lent;
    this.secrets = secretsOf(lent.options);
    const { socket } = (lent.options ?? {}) as { readonly socket?: NodeRedisNode };
    return mapTo(nodeName(socket?.host ?? 'localhost', socket?.port ?? 6379));
  }

  async #borrow(): Promise<{ readonly lent: NodeRedisClient }> {
    if (!this.#sentinel.isOpen) await this.#sentinel.connect();
    return await this.#sentinel._execute(false, (lent) => Promise.resolve({ lent: lent as NodeRedisClient }));
  }

  wireTo(node: NodeName): Wire {
    if (this.#template === undefined) throw new Error('the primary is not known yet');
    return nodeRedisWireTo(this.#template, node, this.secrets);
  }

  translated(node: NodeName): NodeName {
    return node;
  }

  check(port: RedisPort): Promise<void> {
    return assertPrimary(port);
  }

  async close(): Promise<void> {}
}

function refusePrefix(options: object | undefined): void {
  if (options !== undefined && 'keyPrefix' in options && options.keyPrefix)
    throw new InvalidInputError('client', 'one without keyPrefix (give the store a namespace instead)', 'a client with keyPrefix');
}
