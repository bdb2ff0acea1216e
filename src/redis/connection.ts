// What an open store shares (port, settings, keys, codec and writer), and the only place where both sides of the library meet.
import { StoreClosedError } from '../errors.ts';
import type { Codec } from '../codec.ts';
import type { Keys } from './keys.ts';
import type { Logger, Telemetry } from '../telemetry.ts';
import type { RedisPort } from './port.ts';
import type { Writer } from './writer.ts';

export interface Connection {
  readonly port: RedisPort;
  readonly keys: Keys;
  readonly storeId: string;
  readonly codec: Codec;
  readonly writer: Writer;
  /** How long a call may wait for a connection, in milliseconds. */
  readonly timeoutMs: number;
  /** Undefined where nobody traces. */
  readonly telemetry: Telemetry | undefined;
  readonly logger: Logger | undefined;
  /** Aborted with StoreClosedError when the store is closed. */
  readonly closed: AbortSignal;
}

const connections = new WeakMap<object, Connection>();

/** Notes what a store (or what stands for one) shares, so that it need not show it to its users. */
export function shareConnection(store: object, connection: Connection): void {
  connections.set(store, connection);
}

/** What an open store shares. Throws StoreClosedError after its `close`. */
export function connectionOf(store: object): Connection {
  const connection = connections.get(store);
  if (!connection) throw new TypeError('Expected an EventStore, as EventStore.connect gives it.');
  if (connection.closed.aborted) throw new StoreClosedError();
  return connection;
}
