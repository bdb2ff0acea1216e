// Opens the store that the global options name, hands it to a command, and closes it.
import type { Command } from 'commander';
import { EventStore, type Inspector, inspect, ProcessorControl, SnapshotStore } from '../index.ts';
import { type App, loadApp, NO_APP } from './app.ts';
import type { Cli } from './cli.ts';
import { UsageError } from './failure.ts';

/** What a command works with. */
export interface Session {
  readonly store: EventStore;
  readonly facts: Inspector;
  readonly control: ProcessorControl;
  readonly snapshots: SnapshotStore;
  readonly app: App;
}

/** The options that every command has. */
export interface GlobalOptions {
  readonly url?: string;
  readonly namespace?: string;
  readonly app?: string;
  readonly sentinel?: string;
  readonly cluster?: boolean;
  readonly timeout?: number;
  readonly json?: boolean;
}

const URL_DEFAULT = 'redis://localhost:6379';

/** Opens, does it, and closes, whatever comes of it. A namespace without a store is refused, lest a slip makes one. */
export async function withStore<Result>(
  cli: Cli,
  command: Command,
  work: (session: Session) => Promise<Result>,
  ifMissing: 'create' | 'refuse' = 'refuse',
): Promise<Result> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const app = await appOf(cli, options);
  const store = await openStore(cli, options, app, ifMissing);
  try {
    return await work({ store, facts: inspect(store), control: new ProcessorControl(store), snapshots: new SnapshotStore(store), app });
  } finally {
    await store.close();
  }
}

export async function appOf(cli: Cli, { app: path = cli.env['MILLRACE_APP'] }: GlobalOptions): Promise<App> {
  return path === undefined || path === '' ? NO_APP : await loadApp(path);
}

/** By `--url`, else REDIS_URL, else the usual port of this machine. Several URLs, with commas between, are of a cluster's nodes or of sentinels. */
export async function openStore(cli: Cli, options: GlobalOptions, app: App = NO_APP, ifMissing: 'create' | 'refuse' = 'refuse'): Promise<EventStore> {
  // One that is set to nothing says nothing, as with REDIS_URL.
  const { namespace = cli.env['MILLRACE_NAMESPACE'] || undefined, sentinel, timeout } = options;
  const urls = urlsOf(cli, options);
  const settings = {
    ifMissing,
    ...(namespace === undefined ? {} : { namespace }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(app.codec === undefined ? {} : { codec: app.codec }),
  };
  if (sentinel !== undefined) return await EventStore.connect({ sentinels: urls, name: sentinel, ...settings });
  if (options.cluster === true || urls.length > 1) return await EventStore.connect({ nodes: urls, ...settings });
  return await EventStore.connect(urls[0] ?? URL_DEFAULT, settings);
}

/** A URL may hold a password: it is never shown. */
export function urlsOf(cli: Cli, { url = cli.env['REDIS_URL'] }: GlobalOptions): string[] {
  if (url === undefined || url === '') return [URL_DEFAULT];
  const urls = url.split(',').map((each) => each.trim());
  if (urls.includes('')) throw new UsageError('Expected --url (or REDIS_URL) to be a Redis URL, or several with commas between; found an empty one.');
  return urls;
}
