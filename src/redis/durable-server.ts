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

/** Asks for what decides whether the server answers only after the disk has it. */
export const SETTINGS: readonly string[] = ['CONFIG', 'GET', 'appendonly', 'appendfsync', 'no-appendfsync-on-rewrite'];

/** With no-appendfsync-on-rewrite even `always` does not, while a child process saves. */
export function isAlways(reply: Reply | undefined): boolean {
  const settings = settingsOf(reply);
  return settings.get('appendonly') === 'yes' && settings.get('appendfsync') === 'always' && settings.get('no-appendfsync-on-rewrite') === 'no';
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
  if (durability !== 'fsync') {
    await probe(port, key, { command: 'WAIT', args: ['0', '1'], durability });
    return 'wait';
  }
  if (info.get('aof_enabled') !== '1')
    throw unsuitable(durability, 'appendonly yes', 'a server that keeps no append-only file', `Run CONFIG SET appendonly yes (${AND_IN_FILE}).`);
  return await proofOfFsync(port, key);
}

const AND_IN_FILE = 'and set it in redis.conf';

async function proofOfFsync(port: RedisPort, key: string): Promise<Proof> {
  const settings = await readSettings(port, key);
  if (!(settings instanceof PortError) && isAlways(settings)) return 'always';
  const policy = settings instanceof PortError ? undefined : settingsOf(settings).get('appendfsync');
  if (policy === 'no')
    throw unsuitable(
      'fsync',
      'appendfsync always or everysec',
      'no: the disk is left to the system',
      `Run CONFIG SET appendfsync always (${AND_IN_FILE}).`,
    );
  const refusal = await refusalOf(port, key, ['WAITAOF', '0', '0', '1']);
  if (refusal === undefined) return 'wait';
  if (!isUnknownCommand(refusal)) throw notAllowed('fsync', 'WAITAOF', refusal);
  const found = settings instanceof PortError ? `none of both: this user may not read the settings (${settings.message})` : (policy ?? 'nothing');
  throw unsuitable(
    'fsync',
    'WAITAOF (Redis 7.2, Valkey 7.2), or appendfsync always without no-appendfsync-on-rewrite',
    `a server without WAITAOF, and of appendfsync ${found}`,
    settings instanceof PortError
      ? 'Let the ACL user run CONFIG GET (+config|get), or update the server.'
      : `Run CONFIG SET appendfsync always (${AND_IN_FILE}), or update the server.`,
  );
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

async function probe(
  port: RedisPort,
  key: string,
  { command, args, durability }: { readonly command: string; readonly args: readonly string[]; readonly durability: WaitedDurability },
): Promise<void> {
  const refusal = await refusalOf(port, key, [command, ...args]);
  if (refusal) throw notAllowed(durability, command, refusal);
}

async function refusalOf(port: RedisPort, key: string, args: readonly string[]): Promise<PortError | undefined> {
  try {
    await port.send(key, args);
    return undefined;
  } catch (error) {
    if (error instanceof PortError && error.kind === 'refused') return error;
    throw error;
  }
}

function isUnknownCommand({ message }: PortError): boolean {
  return /unknown command/i.test(message);
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
