// Raw connections for tests, which know nothing of the library, and names that no other test uses.
import { randomBytes } from 'node:crypto';
import { createClient } from '@redis/client';

export type RawReply = string | number | null | RawReply[];

/** One connection for arbitrary commands. Replies are RESP2's, untouched. */
export interface RawClient extends AsyncDisposable {
  send(...args: string[]): Promise<RawReply>;
  close(): void;
}

/** Connects to `url`; without one, to the engine that all tests share. It does not reconnect: a test shall notice. */
export async function connectRaw(url: string = testUrl()): Promise<RawClient> {
  const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false, connectTimeout: 5_000 } });
  client.on('error', () => {}); // the pending command rejects with it
  await client.connect();
  const close = (): void => client.destroy();
  return { send: (...args) => client.sendCommand(args), close, [Symbol.asyncDispose]: async () => close() };
}

/** The engine that all tests share: read and write it, never flush, fill or restart it. */
export function testUrl(): string {
  const url = process.env['MILLRACE_TEST_URL'];
  if (url === undefined) throw new Error('MILLRACE_TEST_URL is not set: run the tests with vitest, whose global setup finds an engine');
  return url;
}

/** The client library that this run tests. */
export function testClient(): 'node-redis' | 'ioredis' {
  return process.env['MILLRACE_TEST_CLIENT'] === 'ioredis' ? 'ioredis' : 'node-redis';
}

/** A store's name that nothing else on the engine has. */
export function uniqueNamespace(prefix = 'test'): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}
