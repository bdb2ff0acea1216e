// What INFO tells of the servers of a store.
import type { Connection } from '../redis/connection.ts';
import { factsOf } from '../redis/server.ts';
import type { ServerFacts } from './facts.ts';

/** Of each primary; of a server by itself, one. */
export async function readServers({ port }: Connection): Promise<readonly ServerFacts[]> {
  const answers = await port.sendEach(['INFO']);
  return answers.map((answer) => serverFacts(factsOf(String(answer))));
}

function serverFacts(info: ReadonlyMap<string, string>): ServerFacts {
  const isValkey = info.has('valkey_version');
  const limit = numberIn(info, 'maxmemory');
  return {
    engine: isValkey ? 'valkey' : 'redis',
    version: info.get('valkey_version') ?? info.get('redis_version') ?? 'unknown',
    runId: info.get('run_id') ?? '',
    port: numberIn(info, 'tcp_port'),
    role: info.get('role') === 'slave' ? 'replica' : 'primary',
    uptimeMs: (numberIn(info, 'uptime_in_seconds') ?? 0) * 1_000,
    memoryUsedBytes: numberIn(info, 'used_memory') ?? 0,
    memoryLimitBytes: limit === 0 ? undefined : limit,
    memoryOfMachineBytes: numberIn(info, 'total_system_memory') || undefined,
    maxmemoryPolicy: info.get('maxmemory_policy'),
    clients: numberIn(info, 'connected_clients'),
    commandsPerSecond: numberIn(info, 'instantaneous_ops_per_sec'),
    replicas: numberIn(info, 'connected_slaves') ?? 0,
    isAppendOnly: info.get('aof_enabled') === '1',
    troubles: troublesOf(info),
  };
}

function numberIn(info: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = info.get(name);
  return text === undefined || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text);
}

function troublesOf(info: ReadonlyMap<string, string>): readonly string[] {
  const troubles: string[] = [];
  if (info.get('loading') === '1') troubles.push('It is loading its data, and answers nothing until that is done.');
  if (info.get('rdb_last_bgsave_status') === 'err') troubles.push('The last snapshot file could not be written (rdb_last_bgsave_status:err).');
  if (info.get('aof_last_write_status') === 'err') troubles.push('The append-only file cannot be written (aof_last_write_status:err).');
  if (info.get('aof_last_bgrewrite_status') === 'err') troubles.push('The append-only file could not be rewritten (aof_last_bgrewrite_status:err).');
  if (info.get('role') === 'slave') troubles.push('It is a replica: it takes no appends.');
  if (info.get('cluster_state') === 'fail') troubles.push('The cluster is down (cluster_state:fail).');
  return troubles;
}
