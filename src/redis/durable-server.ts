// Looks at a server before appends are to wait on it for more than its answer: whether it can give that, and how it is proved.
import { UnsuitableServerError } from '../errors.ts';
import type { Durability, WaitedDurability } from './durability.ts';
import type { Keys } from './keys.ts';
import { PortError, type RedisPort, type Reply } from './port.ts';
import { reading } from './public-error.ts';
import { factsOf } from './server.ts';

/**
 * How it is proved that something is on the disk or on replicas. `always`: the server itself answers after its disk has it, and that it still
 * does so is looked up behind each write. `wait`: by WAITAOF or WAIT.
 */
export type Proof = 'always' | 'wait';

const WAITAOF_TRUE_SINCE = 8;

const NEEDS_ALWAYS = 'appendfsync always without no-appendfsync-on-rewrite (before Redis 8.0, and in Valkey, WAITAOF answers before the fsync)';
const AND_IN_FILE = 'and set it in redis.conf';

/** Asks for what decides whether the server answers only after the disk has it. */
export const SETTINGS: readonly string[] = ['CONFIG', 'GET', 'appendonly', 'appendfsync', 'no-appendfsync-on-rewrite'];

/** With no-appendfsync-on-rewrite even `always` does not, while a child process saves. */
export function isAlways(reply: Reply | undefined): boolean {
  const settings = settingsOf(reply);
  return settings.get('appendonly') === 'yes' && settings.get('appendfsync') === 'always' && settings.get('no-appendfsync-on-rewrite') === 'no';
}

/**
 * Whether WAITAOF means what it says where appendfsync is everysec. Redis 7.0 has none, and that of 7.4 and of every Valkey that was tried (8.0 to 9.1) counts the disk
 * before the fsync, as the tests show with a preloaded library that notes each (redis/redis#13793). Valkey calls itself Redis 7.2.4.
 */
export function isWaitAofTrue(info: ReadonlyMap<string, string>): boolean {
  return Number.parseInt(info.get('redis_version') ?? '', 10) >= WAITAOF_TRUE_SINCE;
}

/** What a store's appends wait for, and how; undefined for 'server'. Throws UnsuitableServerError where a partition's server cannot keep it. */
export async function checkDurable(
  port: RedisPort,
  keys: Keys,
  durability: Durability,
): Promise<{ readonly durability: WaitedDurability; readonly proof: Proof } | undefined> {
  if (durability === 'server') return undefined;
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition);
  const proofs = await Promise.all(partitions.map((partition) => checkServerOf(port, keys.head(partition), durability)));
  // Where not all servers are alike, those whose settings are not `always` are asked by WAITAOF behind that.
  return { durability, proof: proofs.includes('always') ? 'always' : 'wait' };
}

/** Throws UnsuitableServerError where the server of a key cannot keep this durability. */
async function checkServerOf(port: RedisPort, key: string, durability: WaitedDurability): Promise<Proof> {
  const info = factsOf(String(await reading('look at the server with INFO', port.send(key, ['INFO']))));
  if (info.get('os')?.startsWith('wasi'))
    throw unsuitable(
      durability,
      'a disk or replicas',
      'the embedded engine, which has neither',
      'Connect to a real server, or leave durability out.',
    );
  if (durability !== 'fsync') return await probed(port, key, durability, ['WAIT', '0', '1']);
  if (info.get('aof_enabled') !== '1')
    throw unsuitable(durability, 'appendonly yes', 'a server that keeps no append-only file', `Run CONFIG SET appendonly yes (${AND_IN_FILE}).`);
  return await proofOfFsync(port, key, info);
}

async function proofOfFsync(port: RedisPort, key: string, info: ReadonlyMap<string, string>): Promise<Proof> {
  const settings = await readSettings(port, key);
  if (settings instanceof PortError) {
    if (isWaitAofTrue(info)) return await probed(port, key, 'fsync', ['WAITAOF', '0', '0', '1']);
    const found = `a user who may not read the settings (${settings.message.replace(/\.+$/, '')})`;
    throw unsuitable('fsync', NEEDS_ALWAYS, found, 'Let the ACL user run CONFIG GET (+config|get), or use Redis 8.0 or newer.');
  }
  if (isAlways(settings)) return 'always';
  const policy = settingsOf(settings).get('appendfsync') ?? 'none';
  if (policy !== 'no' && isWaitAofTrue(info)) return await probed(port, key, 'fsync', ['WAITAOF', '0', '0', '1']);
  const expected = policy === 'no' && isWaitAofTrue(info) ? 'appendfsync always or everysec' : NEEDS_ALWAYS;
  const found = policy === 'always' ? 'always, but with no-appendfsync-on-rewrite' : policy;
  throw unsuitable('fsync', expected, found, `Run CONFIG SET appendfsync always and CONFIG SET no-appendfsync-on-rewrite no (${AND_IN_FILE}).`);
}

/** Often nobody is allowed to read them; the error then. */
async function readSettings(port: RedisPort, key: string): Promise<Reply | PortError> {
  try {
    return await port.send(key, SETTINGS);
  } catch (error) {
    if (error instanceof PortError && error.kind === 'refused') return error;
    throw error;
  }
}

/** Calls what appends will wait by, so that it asks for nothing. */
async function probed(port: RedisPort, key: string, durability: WaitedDurability, args: readonly string[]): Promise<'wait'> {
  try {
    await port.send(key, args);
    return 'wait';
  } catch (error) {
    if (error instanceof PortError && error.kind === 'refused') throw notAllowed(durability, args[0] as string, error);
    throw error;
  }
}

function notAllowed(durability: WaitedDurability, command: string, refusal: PortError): UnsuitableServerError {
  return unsuitable(
    durability,
    `a server that runs ${command}`,
    refusal.message,
    `Let the ACL user run it (+${command.toLowerCase()}), or use another server.`,
  );
}

function unsuitable(durability: WaitedDurability, expected: string, found: string, next: string): UnsuitableServerError {
  return new UnsuitableServerError(
    `Durability ${shownDurability(durability)} cannot be had here: expected ${expected}, found ${found.replace(/\.+$/, '')}. Nothing was written. ${next}`,
  );
}

function shownDurability(durability: WaitedDurability): string {
  return durability === 'fsync' ? "'fsync'" : `{ replicas: ${durability.replicas} }`;
}

function settingsOf(reply: Reply | undefined): ReadonlyMap<string, string> {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : [])));
}
