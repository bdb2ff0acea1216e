// Serves the page by a server of its own, until Ctrl-C.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dashboard } from '../dashboard/index.ts';
import { UsageError } from './failure.ts';

/** Where to listen. */
export interface ListenOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly host: string;
}

/** A page that is being served; disposing of it ends it, with the requests under way. */
export interface ServedPage extends AsyncDisposable {
  /** Where to open it, its token included. */
  readonly url: string;
}

/** Throws UsageError where the port is taken, or may not be had. */
export async function servePage(page: Dashboard, { port, host }: ListenOptions): Promise<ServedPage> {
  const server = createServer(page.node);
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, { port, host });
  }
  const { port: taken } = server.address() as AddressInfo;
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${taken}`;
  return { url: page.url(origin), [Symbol.asyncDispose]: () => closeServer(server, page) };
}

async function closeServer(server: Server, page: Dashboard): Promise<void> {
  page.close();
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

function listenError(error: unknown, { port, host }: ListenOptions): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE')
    return new UsageError(`Port ${port} of ${host} is taken by another program. Give another one with --port, or 0 for any that is free.`);
  if (code === 'EACCES') return new UsageError(`Port ${port} of ${host} may not be opened by this user. Give one from 1024 up with --port.`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new UsageError(`${JSON.stringify(host)} is no address of this machine. Give one that is with --host.`);
  return error;
}
