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

/** `args` are for both. */
export async function startReplicated(args: readonly string[] = []): Promise<Replicated> {
  const all = ['--repl-diskless-sync-delay', '0', ...args];
  const [primary, replica] = await Promise.all([startEngine({ args: all }), startEngine({ args: all })]);
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

/** Whether this engine has WAITAOF: Redis 7.0 has none. */
export async function hasWaitAof(raw: RawClient): Promise<boolean> {
  return ((await raw.send('COMMAND', 'INFO', 'WAITAOF')) as readonly unknown[])[0] !== null;
}
