// A primary with one replica, for tests of what waits for replicas: replication can be held back and go on, and the replica can take over.
import { connectRaw, type RawClient } from './clients.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { until } from './processors.ts';
import { startProxy } from './proxy.ts';

export interface Replicated extends AsyncDisposable {
  readonly primary: TestEngine;
  readonly replica: TestEngine;
  /** From now on nothing reaches the replica. */
  hold(): void;
  /** What was held back goes on its way. */
  release(): void;
  /** The replica takes over; what was held back never comes. */
  promote(): Promise<void>;
}

/** `args` are for both; the primary may be one that was started before. */
export async function startReplicated(args: readonly string[] = [], running?: TestEngine): Promise<Replicated> {
  const all = ['--repl-diskless-sync-delay', '0', ...args];
  const [primary, replica] = await Promise.all([running ?? startEngine({ args: all }), startEngine({ args: all })]);
  const link = await startProxy(primary.url);
  await using raw = await connectRaw(replica.url);
  await raw.send('REPLICAOF', '127.0.0.1', new URL(link.url).port);
  await until('the replica follows', async () => String(await raw.send('INFO', 'replication')).includes('master_link_status:up'), 20_000);
  return {
    primary,
    replica,
    hold: () => link.freeze('replies'),
    release: () => link.thaw(),
    async promote() {
      link.refuse();
      link.cut();
      link.thaw();
      await using promoted = await connectRaw(replica.url);
      await promoted.send('REPLICAOF', 'NO', 'ONE');
    },
    async [Symbol.asyncDispose]() {
      await link.close();
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

/** Whether the WAITAOF of this engine is relied on: Redis 7.0 has none, and that of Valkey answers before the fsync. */
export async function hasWaitAof(raw: RawClient): Promise<boolean> {
  return Number(/^redis_version:(\d+)/m.exec(String(await raw.send('INFO', 'server')))?.[1]) >= 8;
}
