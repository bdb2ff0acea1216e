// The documents' code about a cluster and sentinels: by nodes, by sentinels, over clients of your own.
import { createCluster, createSentinel } from '@redis/client';
import { Cluster, Redis } from 'ioredis';
import { EventStore } from 'millrace';

export async function byNodes(nodes: readonly string[], password: string, namespace: string) {
  // #region nodes
  const store = await EventStore.connect({
    nodes, // ['redis://10.0.0.1:6379', 'redis://10.0.0.2:6379', 'redis://10.0.0.3:6379']
    username: 'default',
    password,
    namespace,
    partitions: 16, // for a new store: with one partition, all of it is on one node
    timeoutMs: 30_000, // longer than a failover takes
  });
  // #endregion
  return store;
}

export async function bySentinels(sentinels: readonly string[], passwords: { servers: string; sentinels: string }, namespace: string) {
  // #region sentinels
  const store = await EventStore.connect({
    sentinels, // ['redis://10.0.0.1:26379', 'redis://10.0.0.2:26379', 'redis://10.0.0.3:26379']
    name: 'mymaster',
    password: passwords.servers,
    sentinelPassword: passwords.sentinels,
    namespace,
    timeoutMs: 45_000,
  });
  // #endregion
  return store;
}

export async function overClusterOfNodeRedis(url: string, password: string, namespace: string) {
  // #region node-redis-cluster
  const cluster = createCluster({ rootNodes: [{ url }], defaults: { password } });
  cluster.on('error', (error) => console.error(error.message));

  const store = await EventStore.connect({ client: cluster, namespace, partitions: 16 });
  // … and at the end, for the store does not close what it did not open:
  await store.close();
  await cluster.close();
  // #endregion
}

export async function overClusterOfIoredis(url: string, password: string, namespace: string) {
  // #region ioredis-cluster
  const cluster = new Cluster([url], { redisOptions: { password } });
  cluster.on('error', (error) => console.error(error.message));

  const store = await EventStore.connect({ client: cluster, namespace, partitions: 16 });
  await store.close();
  await cluster.quit();
  // #endregion
}

export async function overSentinelOfNodeRedis(host: string, port: number, passwords: { servers: string; sentinels: string }, namespace: string) {
  // #region node-redis-sentinel
  const client = createSentinel({
    name: 'mymaster',
    sentinelRootNodes: [{ host, port }],
    nodeClientOptions: { password: passwords.servers },
    sentinelClientOptions: { password: passwords.sentinels },
  });
  client.on('error', (error) => console.error(error.message));

  const store = await EventStore.connect({ client, namespace });
  await store.close();
  await client.close();
  // #endregion
}

export async function overSentinelOfIoredis(host: string, port: number, passwords: { servers: string; sentinels: string }, namespace: string) {
  // #region ioredis-sentinel
  const client = new Redis({
    name: 'mymaster',
    sentinels: [{ host, port }],
    password: passwords.servers,
    sentinelPassword: passwords.sentinels,
  });
  client.on('error', (error) => console.error(error.message));

  const store = await EventStore.connect({ client, namespace });
  await store.close();
  await client.quit();
  // #endregion
}
