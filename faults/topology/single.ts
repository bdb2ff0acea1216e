// One server behind a proxy, with a clock that can be shifted and a network that can be cut.
import { startEngine } from '../../test/support/engine.ts';
import { startProxy } from '../../test/support/proxy.ts';
import { clockIn } from '../inject/clock.ts';
import { networkFaults } from '../inject/network.ts';
import { openNamespace } from '../inject/partition.ts';
import { serverFaults } from '../inject/server.ts';
import type { Topology } from './topology.ts';

/** Each command is on the disk before it is answered: else a kill may lose what was acknowledged. */
export const DURABLE: readonly string[] = ['--appendfsync', 'always'];

export async function startSingle(folder: string): Promise<Topology> {
  const [clock, namespace] = await Promise.all([clockIn(folder), openNamespace()]);
  const isThere = 'host' in namespace;
  const bind = ['--bind', '127.0.0.1', ...(isThere ? [namespace.host] : []), '--protected-mode', 'no'];
  const engine = await startEngine({ prefix: clock.prefix, args: [...DURABLE, ...bind] });
  const proxy = await startProxy(engine.url);
  return {
    description: 'one server (appendfsync always) behind a proxy',
    target: proxy.url,
    direct: engine.url,
    partitions: 4,
    elsewhere: isThere ? { prefix: namespace.prefix, target: `redis://${namespace.host}:${engine.port}` } : undefined,
    faults: [...networkFaults(proxy), ...serverFaults(() => engine), ...clock.faults, ...(isThere ? namespace.faults : [])],
    unavailable: [...clock.unavailable, ...(isThere ? [] : [namespace]), { kind: 'failover', why: 'there is one server; use --topology replica' }],
    failovers: 0,
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await engine.stop();
      if (isThere) await namespace[Symbol.asyncDispose]();
    },
  };
}
