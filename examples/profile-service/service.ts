// The parts put together: a store, a processor that imports and projects, and an HTTP server.
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { EventStore, SnapshotStore, StreamProcessor } from 'millrace';
import { profiles } from './profiles.ts';
import { createApp } from './server.ts';
import { articleKeys, articleSources, type OnSkip, type SourceKeys } from './sources.ts';

export interface ServiceOptions {
  /** Default `profile-service`. */
  readonly namespace?: string;
  /** Default: the article's. */
  readonly sourceKeys?: SourceKeys;
  /** 0 takes any that is free. Default 3,000. */
  readonly port?: number;
  /** Default: this machine alone, since nobody is asked for a password. */
  readonly host?: string;
  /** Told of entries of the sources that cannot be decoded. Default: nobody is. */
  readonly onSkip?: OnSkip;
}

export interface Service extends AsyncDisposable {
  readonly store: EventStore;
  readonly processor: StreamProcessor;
  readonly url: string;
  close(): Promise<void>;
}

/** How long a service that is started again waits for the one that was killed. Short, so that its answers are fresh within a second. */
const LEASE_MS = 500;

/** Starts the service on an engine. Rejects when its port is taken; nothing is left running then. */
export async function startService(engineUrl: string, options: ServiceOptions = {}): Promise<Service> {
  const { namespace = 'profile-service', sourceKeys = articleKeys, port = 3_000, host = '127.0.0.1', onSkip = () => {} } = options;
  const store = await EventStore.connect(engineUrl, { namespace });
  const processor = new StreamProcessor(store, { projections: [profiles], sources: articleSources(sourceKeys, onSkip), leaseMs: LEASE_MS });
  const end = async (): Promise<void> => {
    await processor.stop();
    await store.close();
  };
  try {
    const app = createApp({ store, snapshots: new SnapshotStore(store), progress: () => progressOf(processor) });
    const server = await listen(app, port, host);
    processor.start();
    const close = async (): Promise<void> => {
      await closeServer(server);
      await end();
    };
    return { store, processor, url: `http://localhost:${(server.address() as AddressInfo).port}`, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await end();
    throw error;
  }
}

/** As JSON can hold it: an error is its message. */
async function progressOf(processor: StreamProcessor): Promise<object> {
  const { projections, sources } = await processor.progress();
  const shown = <T extends { readonly error: unknown }>({ error, ...rest }: T): object => ({
    ...rest,
    error: error instanceof Error ? error.message : null,
  });
  return { projections: projections.map(shown), sources: sources.map(shown) };
}

async function listen(app: Hono, port: number, host: string): Promise<Server> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw (error as { code?: unknown }).code === 'EADDRINUSE'
      ? new Error(`Port ${port} is taken by another program. Choose another one: PORT=${port + 1} npm start`, { cause: error })
      : error;
  }
  return server;
}

/** How long requests under way may take when the service ends. */
const LAST_REQUESTS_MS_MAX = 2_000;

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const impatience = setTimeout(() => server.closeAllConnections(), LAST_REQUESTS_MS_MAX);
  await closed;
  clearTimeout(impatience);
}
