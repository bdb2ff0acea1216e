// `millrace ui`: serves the page to look at the store, and to act on it where that is allowed.
import { once } from 'node:events';
import type { Command } from 'commander';
import { dashboard } from '../../dashboard/index.ts';
import { wholeNumber } from '../arguments.ts';
import type { Cli } from '../cli.ts';
import { servePage } from '../serve-page.ts';
import { type Session, withStore } from '../session.ts';

interface Options {
  readonly port: number;
  readonly host: string;
  readonly allowWrites?: boolean;
  readonly allowedHost?: readonly string[];
  readonly token?: string;
}

export const PORT = 4680;
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1', 'localhost'];

export function registerUi(program: Command, cli: Cli): void {
  program
    .command('ui')
    .description('serve the page: what happens now, events, documents with their past, processors and dead letters')
    .option('--port <n>', 'which port; 0 for any that is free', wholeNumber, PORT)
    .option('--host <address>', 'which address to listen on', '127.0.0.1')
    .option('--allow-writes', 'let it act: pause, rewind, flip, drop, retry, discard')
    .option('--allowed-host <name...>', 'other names than localhost by which it is reached')
    .option('--token <token>', 'what the first request has to bring along (default: a random one)')
    .action(async (options: Options, command: Command) => {
      cli.endsWell = true;
      await withStore(cli, command, async (session) => await serve(cli, session, options));
    });
}

async function serve(cli: Cli, { store, app }: Session, options: Options): Promise<void> {
  const { port, host, allowWrites = false, allowedHost, token } = options;
  const page = dashboard(store, {
    allowWrites,
    projections: app.projections,
    ...(token === undefined ? {} : { access: token }),
    ...hostsOf(host, allowedHost),
  });
  await using served = await servePage(page, { port, host });
  if (cli.json) cli.printJson({ url: served.url, allowWrites });
  else
    cli.print(
      `The page is at ${served.url}\n${allowWrites ? 'It may act on the store' : 'It may only look (--allow-writes lets it act)'}. Ctrl-C ends it.`,
    );
  if (!LOOPBACK.includes(host)) cli.note('Others can reach it, and what goes over the network is not encrypted: put it behind a proxy with TLS.');
  if (app.projections.length === 0) cli.note('Without --app it shows documents as they are, and not how they became so.');
  if (!cli.signal.aborted) await once(cli.signal, 'abort');
}

/** An address that was given is a name by which it is reached. */
function hostsOf(host: string, allowed: readonly string[] = []): { readonly allowedHosts?: readonly string[] } {
  if (LOOPBACK.includes(host) && allowed.length === 0) return {};
  return { allowedHosts: ['localhost', '127.0.0.1', '[::1]', host.includes(':') ? `[${host}]` : host, ...allowed] };
}
