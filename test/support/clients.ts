// Raw connections for tests, which know nothing of the library, and names that no other test uses.
import { randomBytes } from 'node:crypto';
import { connectRawServer, type RawClient } from './raw-client.ts';
import { connectRawCluster } from './raw-cluster.ts';

export type { RawClient, RawReply } from './raw-client.ts';

/** Connects to `url`; without one, to what all tests share, be it a cluster. It does not reconnect: a test shall notice. */
export async function connectRaw(url?: string): Promise<RawClient> {
  const setUp = testSetUp();
  if (url === undefined && setUp.kind === 'cluster') return await connectRawCluster(setUp.nodes);
  return await connectRawServer(url ?? primaryUrl(setUp));
}

/** What the stores of all tests are on: one server, a cluster, or a server that sentinels watch over. */
export type TestSetUp =
  | { readonly kind: 'server' }
  | { readonly kind: 'cluster'; readonly nodes: readonly string[] }
  | { readonly kind: 'sentinel'; readonly sentinels: readonly string[]; readonly name: string; readonly primary: string };

/** Read and write it; never flush, fill or restart it. */
export function testSetUp(): TestSetUp {
  return JSON.parse(process.env['MILLRACE_TEST_SETUP'] ?? '{"kind":"server"}') as TestSetUp;
}

function primaryUrl(setUp: TestSetUp): string {
  return setUp.kind === 'sentinel' ? setUp.primary : testUrl();
}

/**
 * An engine by itself, for tests of one connection: the one that all tests share. Where those are about a cluster or sentinels it is another
 * one beside them. Read and write it, never flush, fill or restart it.
 */
export function testUrl(): string {
  const url = process.env['MILLRACE_TEST_URL'];
  if (url === undefined) throw new Error('MILLRACE_TEST_URL is not set: run the tests with vitest, whose global setup finds an engine');
  return url;
}

/** The client library that this run tests. */
export function testClient(): 'node-redis' | 'ioredis' {
  return process.env['MILLRACE_TEST_CLIENT'] === 'ioredis' ? 'ioredis' : 'node-redis';
}

/** By this test file: what is stored under them is removed at its end. */
export const namesGiven: Set<string> = new Set();

/** A store's name that nothing else on the engine has. */
export function uniqueNamespace(prefix = 'test'): string {
  const name = `${prefix}-${randomBytes(6).toString('hex')}`;
  namesGiven.add(name);
  return name;
}
