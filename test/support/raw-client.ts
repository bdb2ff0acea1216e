// One raw connection to one server, for tests.
import { createClient } from '@redis/client';

export type RawReply = string | number | null | RawReply[];

/** One connection for arbitrary commands. Replies are RESP2's, untouched. */
export interface RawClient extends AsyncDisposable {
  send(...args: string[]): Promise<RawReply>;
  close(): void;
}

/** It does not reconnect: a test shall notice. */
export async function connectRawServer(url: string): Promise<RawClient> {
  const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false, connectTimeout: 5_000 } });
  client.on('error', () => {}); // the pending command rejects with it
  await client.connect();
  const close = (): void => client.destroy();
  return { send: (...args) => client.sendCommand(args), close, [Symbol.asyncDispose]: async () => close() };
}
