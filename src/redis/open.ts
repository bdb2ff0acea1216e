// Opens what a store shares: checks the server, reads or writes the store's settings, and makes its keys and its writer.
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { checkedCodec, type Codec, jsonCodec } from '../codec.ts';
import { InvalidInputError, StoreClosedError, StoreMismatchError } from '../errors.ts';
import { openPort, type PortTarget, type RedisClient } from './client.ts';
import type { Connection } from './connection.ts';
import { checkedDurability, type Durability } from './durability.ts';
import { checkDurable } from './durable-server.ts';
import { assertNamespace, assertPartitions, Keys, settingsKey } from './keys.ts';
import type { ConnectOptions, RedisPort } from './port.ts';
import { publicError } from './public-error.ts';
import { openStore, readSettings, type StoredSettings } from './scripts.ts';
import { checkServer } from './server.ts';
import type { Logger, Telemetry } from '../telemetry.ts';
import { Writer } from './writer.ts';
import { InWords } from '../show.ts';

/** The layout in Redis that this version reads and writes. */
const LAYOUT = 1;

const TIMEOUT_MS = 5_000;

/** Options of `EventStore.connect`. */
export interface StoreOptions extends ConnectOptions {
  /** Where in Redis the store lies: the first part of its keys. Default `millrace`. */
  readonly namespace?: string;
  /**
   * Units of order and of parallel work. Fixed when the store is first used: given later, it has to be the same number.
   * Default: the stored one, 1 for a new store.
   */
  readonly partitions?: number;
  /** What to do where the namespace holds no store: make one, or reject with StoreMismatchError and write nothing. Default `'create'`. */
  readonly ifMissing?: 'create' | 'refuse';
  /** How event data and documents are written. Default: `jsonCodec`. */
  readonly codec?: Codec;
  /** How long the outcome of a write can be found out after its reply was lost, in milliseconds. Default 3,600,000 (1 h). */
  readonly writerTtlMs?: number;
  /**
   * What has to hold before an append resolves. `'server'`, the default: the server has run it. `'fsync'`: its disk has it; waited for up to
   * `timeoutMs`. `{ replicas, timeoutMs }`: so many replicas have it in memory. One that is not confirmed in time rejects with UnconfirmedError.
   */
  readonly durability?: Durability;
  /** Traces and metrics: `openTelemetry()` of `millrace/telemetry`. Default: none, and nothing is done for it. */
  readonly telemetry?: Telemetry;
  /** Hears what a processor does and what goes wrong; pino fits. Default: none. */
  readonly logger?: Logger;
}

/** Some nodes of a cluster: one that answers is enough, the others are learnt from it. */
export interface ClusterOptions extends StoreOptions {
  /** URLs (`redis://`, `rediss://` for TLS to every node), with the same user and password, which are those of all nodes. */
  readonly nodes: readonly string[];
}

/** Sentinels that know where the primary is. `username`, `password` and `tls` of the options are for the servers. */
export interface SentinelOptions extends StoreOptions {
  /** URLs of the sentinels (`redis://`, `rediss://` for TLS to them), with the same user and password. A number behind it is the servers' database. */
  readonly sentinels: readonly string[];
  /** What the sentinels call the primary. */
  readonly name: string;
  /** ACL user of the sentinels; overrides the URLs'. */
  readonly sentinelUsername?: string;
  /** Overrides the URLs'. Never shown in an error. */
  readonly sentinelPassword?: string;
  /** TLS settings for the sentinels, as `node:tls` takes them. */
  readonly sentinelTls?: import('node:tls').ConnectionOptions;
}

/**
 * A client of the caller's own, `@redis/client`, `redis` or `ioredis`. It is used, and never closed. Of a cluster's client, and of the
 * Sentinel client of `@redis/client`, the settings are used: the store makes connections of its own to the nodes.
 */
export interface ClientOptions extends Omit<StoreOptions, 'username' | 'password' | 'tls' | 'library'> {
  readonly client: RedisClient;
}

/** A connection, and what ends it. */
export interface OpenConnection {
  readonly connection: Connection;
  readonly close: () => Promise<void>;
}

/** What a store is opened on. */
export type ConnectTarget = string | ClientOptions | ClusterOptions | SentinelOptions;

export async function openConnection(target: ConnectTarget, options: StoreOptions): Promise<OpenConnection> {
  const given: StoreOptions = typeof target === 'string' ? options : target;
  checkOptions(target, given);
  const { namespace = 'millrace', timeoutMs = TIMEOUT_MS, writerTtlMs } = given;
  const codec = checkedCodec(given.codec === undefined ? jsonCodec : given.codec);
  const durability = checkedDurability(given.durability === undefined ? 'server' : given.durability);
  const port = await openPort(portTarget(target, options, timeoutMs));
  try {
    await checkServer(port);
    const settings = await settingsOf(port, namespace, given);
    const keys = new Keys(namespace, settings.partitions);
    const waited = await checkDurable(port, keys, durability);
    const writer = new Writer(port, keys, { timeoutMs, recordTtlMs: writerTtlMs, waited });
    const closing = new AbortController();
    setMaxListeners(0, closing.signal); // one for each reading
    const { telemetry, logger } = given;
    const connection: Connection = { port, keys, storeId: settings.id, codec, writer, timeoutMs, telemetry, logger, closed: closing.signal };
    return { connection, close: () => closeAll(port, writer, closing) };
  } catch (error) {
    await port.close();
    throw publicError('open the store', error);
  }
}

function portTarget(target: ConnectTarget, options: StoreOptions, timeoutMs: number): PortTarget {
  if (typeof target === 'string') return { ...options, url: target };
  return 'client' in target ? { client: target.client, timeoutMs } : target;
}

/** Whatever can be told before a server is asked. */
function checkOptions(target: unknown, options: StoreOptions | null | undefined): void {
  const isObject = typeof target === 'object' && target !== null;
  const isTarget = typeof target === 'string' || (isObject && ['client', 'nodes', 'sentinels'].some((name) => name in target));
  if (!isTarget) throw new InvalidInputError('argument of connect', 'a Redis URL, or options with client, nodes or sentinels', target);
  if (typeof options !== 'object' || options === null) throw new InvalidInputError('options of connect', 'an object', options);
  const {
    namespace = 'millrace',
    partitions,
    timeoutMs = TIMEOUT_MS,
    writerTtlMs = 1,
    library = 'node-redis',
    ifMissing = 'create',
    username = '',
    password = '',
  } = options;
  assertNamespace(namespace);
  if (partitions !== undefined) assertPartitions(partitions);
  if (typeof timeoutMs !== 'number') throw new InvalidInputError('option timeoutMs', 'a number of milliseconds', timeoutMs);
  if (!Number.isSafeInteger(writerTtlMs) || writerTtlMs < 1)
    throw new InvalidInputError('option writerTtlMs', 'a whole number of milliseconds from 1', writerTtlMs);
  if (ifMissing !== 'create' && ifMissing !== 'refuse') throw new InvalidInputError('option ifMissing', "'create' or 'refuse'", ifMissing);
  if (library !== 'node-redis' && library !== 'ioredis') throw new InvalidInputError('option library', "'node-redis' or 'ioredis'", library);
  if (typeof username !== 'string') throw new InvalidInputError('option username', 'a text', username);
  // Never shown, whatever it is.
  if (typeof password !== 'string') throw new InvalidInputError('option password', 'a text', new InWords(`something else (${typeof password})`));
}

async function closeAll(port: RedisPort, writer: Writer, closing: AbortController): Promise<void> {
  if (closing.signal.aborted) return;
  closing.abort(new StoreClosedError());
  await writer.close();
  await port.close();
}

async function settingsOf(
  port: RedisPort,
  namespace: string,
  { partitions, ifMissing = 'create' }: StoreOptions,
): Promise<{ id: string; partitions: number }> {
  const key = settingsKey(namespace);
  const fresh = { id: randomBytes(9).toString('base64url'), partitions, layout: LAYOUT };
  // Read first: a store that is there can be opened on a server that is out of memory, too.
  const found = await readSettings(port, key);
  if (!found && ifMissing === 'refuse') {
    throw new StoreMismatchError(
      `Expected a store in namespace ${namespace}, found none there. Nothing was written. Check the server and the namespace; the first append of a program makes a store.`,
    );
  }
  const stored = found ?? (await openStore(port, key, fresh));
  checkLayout(key, stored);
  if (partitions !== undefined && partitions !== stored.partitions) {
    throw new StoreMismatchError(
      `Expected ${partitions} partitions, found a store with ${stored.partitions} in ${key}. Nothing was written. ` +
        `The number is fixed when a store is first used: leave partitions out, give ${stored.partitions}, or use another namespace.`,
    );
  }
  return { id: stored.id, partitions: stored.partitions };
}

function checkLayout(key: string, { id, partitions, layout }: StoredSettings): void {
  if (layout > LAYOUT) {
    throw new StoreMismatchError(
      `Expected layout ${LAYOUT} in ${key}, found ${layout}: a newer version of millrace wrote this store. Nothing was written. Update millrace, or use another namespace.`,
    );
  }
  const isStore = id !== '' && layout === LAYOUT && Number.isSafeInteger(partitions) && partitions >= 1;
  if (isStore) return;
  throw new StoreMismatchError(
    `Expected the settings of a store in ${key} (id, partitions and layout), found something else there. Nothing was written. Look at it with HGETALL ${key}; use another namespace, or restore it from a backup.`,
  );
}
