// Users of Redis with the rules that `millrace acl` prints, for tests that run under them.
import { EventStore } from '../../src/index.ts';
import { aclRules, type Role, ROLES } from '../../src/acl/index.ts';
import { connectRawServer } from './raw-client.ts';

const NAMESPACE = 'acl-of-the-suite';

/** One who has the rules of all roles, in every namespace, and may read every foreign Redis Stream; `name:password`. */
export async function makeRuledUser(url: string): Promise<string> {
  await using store = await EventStore.connect(url, { namespace: NAMESPACE });
  const rules = (await Promise.all(ROLES.map((role) => aclRules(store, role, { sources: [] })))).flat();
  const anywhere = rules.filter((rule) => !rule.startsWith('reset') && rule !== '-@all').map((rule) => rule.replaceAll(NAMESPACE, '*'));
  await using raw = await connectRawServer(url);
  await raw.send('ACL', 'SETUSER', 'suite', 'reset', 'on', '>suite-password', '-@all', ...new Set(anywhere), '%R~*');
  return 'suite:suite-password';
}

/** One with a role's rules; the URL by which it connects. */
export async function makeUser(store: EventStore, url: string, role: Role, sources: readonly string[] = []): Promise<string> {
  const rules = await aclRules(store, role, { sources });
  await using raw = await connectRawServer(url);
  const name = `${role}-${process.pid}-${Math.floor(performance.now())}`;
  await raw.send('ACL', 'SETUSER', name, 'reset', 'on', '>its-password', ...rules);
  return url.replace('redis://', `redis://${name}:its-password@`);
}
