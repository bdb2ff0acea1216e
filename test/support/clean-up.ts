// Removes what the tests of a file have stored once they are done: what walks a whole keyspace shall not walk the keys of all other tests.
import { afterAll } from 'vitest';
import { connectRaw, namesGiven, type RawClient, testSetUp, testUrl } from './clients.ts';

const KEYS_AT_ONCE = 500;
const TIMEOUT_MS = 60_000;

afterAll(async () => {
  if (namesGiven.size === 0) return;
  await using shared = await connectRaw();
  await removeKeys(shared);
  if (testSetUp().kind === 'server') return;
  await using beside = await connectRaw(testUrl());
  await removeKeys(beside);
}, TIMEOUT_MS);

/** Those of the stores that were opened under the names that this file was given, and those that have such a name themselves. */
async function removeKeys(raw: RawClient): Promise<void> {
  const keys = ((await raw.send('KEYS', '*')) as string[]).filter((key) => namesGiven.has(/^\{?([^:}]*)/.exec(key)?.[1] ?? ''));
  for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) await raw.send('DEL', ...keys.slice(from, from + KEYS_AT_ONCE));
}
