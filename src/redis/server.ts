// Looks at the server before a store is opened on it: whether it can keep the store's promises.
import { UnsuitableServerError } from '../errors.ts';
import type { RedisPort } from './port.ts';
import { reading } from './public-error.ts';

const VERSION_MIN = 7;

/** Throws UnsuitableServerError where a server, of a cluster any primary, is too old, a replica, a node that was not asked for as one, or evicts keys. */
export async function checkServer(port: RedisPort): Promise<void> {
  const answers = await reading('look at the server with INFO', port.sendEach(['INFO']));
  for (const answer of answers) checkFacts(factsOf(String(answer)), port.isCluster);
}

function checkFacts(info: ReadonlyMap<string, string>, isCluster: boolean): void {
  const version = info.get('redis_version') ?? 'unknown';
  if (!(Number.parseInt(version, 10) >= VERSION_MIN)) {
    throw new UnsuitableServerError(
      `Expected Redis 7.0 or newer, or Valkey 7.2 or newer, found ${version}. Nothing was written. Update the server, or connect to another one.`,
    );
  }
  const role = info.get('role');
  if (role === 'slave') {
    const primary = `${info.get('master_host') ?? 'unknown'}:${info.get('master_port') ?? ''}`;
    throw new UnsuitableServerError(`Expected a primary, found a replica of ${primary}. Nothing was written. Connect to the primary.`);
  }
  if (info.get('cluster_enabled') === '1' && !isCluster) {
    throw new UnsuitableServerError(
      'Expected a server by itself, found a node of a cluster. Nothing was written. ' +
        "Connect with EventStore.connect({ nodes: ['redis://host:port', …] }), or over a cluster client.",
    );
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    throw new UnsuitableServerError(
      `Expected maxmemory-policy noeviction, found ${policy}: when memory runs out, such a server deletes keys of the store. Nothing was written. ` +
        'Set it with CONFIG SET maxmemory-policy noeviction (and in redis.conf), or use a server of its own for the store.',
    );
  }
}

/** The facts of INFO by name. */
export function factsOf(info: string): ReadonlyMap<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':') && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
