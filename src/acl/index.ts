// The smallest ACL rules of Redis for each role: what `millrace/acl` exports.
import { InvalidInputError } from '../errors.ts';
import { channelPatterns, keyPatterns } from '../redis/keys.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { PortError } from '../redis/port.ts';
import { reading } from '../redis/public-error.ts';
import { commandsOf, kindsOf, type Role, ROLES, writesSettings } from './roles.ts';

export { type Role, ROLES } from './roles.ts';

/** Options of `aclRules`. */
export interface AclOptions {
  /** The Redis Streams of others that sources read: of a processor, and of an operator who looks at it. */
  readonly sources?: readonly string[];
}

/**
 * The rules of a role for this store's namespace, as ACL SETUSER takes them behind a name, a password and `on`: without those. Commands that
 * this server does not know are left out. Throws InvalidInputError for what is no role.
 */
export async function aclRules(store: object, role: Role, { sources = [] }: AclOptions = {}): Promise<readonly string[]> {
  if (!ROLES.includes(role)) throw new InvalidInputError('role', ROLES.join(', '), role);
  const connection = connectionOf(store);
  const commands = await reading('ask which commands the server knows', knownCommands(connection, commandsOf[role]));
  const foreign = role === 'processor' || role === 'operator' ? sources.map((key) => `%R~${literal(key)}`) : [];
  return [
    'resetkeys',
    'resetchannels',
    '-@all',
    ...keysOf(connection, role),
    ...foreign,
    ...channelsOf(connection),
    ...commands.map((command) => `+${command}`),
  ];
}

/** One that may not ask gets all of them. */
async function knownCommands({ port }: Connection, commands: readonly string[]): Promise<readonly string[]> {
  try {
    const infos = (await port.send(undefined, ['COMMAND', 'INFO', ...commands])) as readonly unknown[];
    return commands.filter((_, index) => infos[index] !== null);
  } catch (error) {
    if (error instanceof PortError && error.reply === 'NOPERM') return commands;
    throw error;
  }
}

function keysOf({ keys: { namespace } }: Connection, role: Role): readonly string[] {
  const kinds = kindsOf[role];
  const { settings, outside, all, ofKind } = keyPatterns(namespace);
  const own = kinds === 'all' ? [`~${all}`] : [`%R~${all}`, ...kinds.map((kind) => `~${ofKind(kind)}`)];
  const around = kinds === 'all' ? [`~${outside}`] : writesSettings[role] ? [`%R~${outside}`, `~${settings}`] : [`%R~${outside}`];
  return [...around, ...own];
}

function channelsOf({ keys: { namespace } }: Connection): readonly string[] {
  return channelPatterns(namespace).map((pattern) => `&${pattern}`);
}

/** A key that is no pattern. */
function literal(key: string): string {
  return key.replace(/[\\*?[\]]/g, '\\$&');
}
