// `millrace try`: an engine inside this process, people who do something, and the page to watch them: all in one command.
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { dashboard } from '../../dashboard/index.ts';
import { startEmbedded } from '../../embedded/index.ts';
import { EventStore, inspect, StreamProcessor, streamName } from '../../index.ts';
import { wholeNumber } from '../arguments.ts';
import type { Cli } from '../cli.ts';
import { UsageError } from '../failure.ts';
import { type ServedPage, servePage } from '../serve-page.ts';
import { greeter, pages, profiles, sources, userActivity, userFriends, userUpdates, welcomeMails } from '../try/domain.ts';
import { fetchPeers, missingPeers } from '../try/peers.ts';
import { happening } from '../try/people.ts';
import { producePast } from '../try/producers.ts';
import { PORT } from './ui.ts';

interface Options {
  readonly port?: number;
  readonly install: boolean;
}

const LIVE_EVERY_MS = 700;
const PORTS_TRIED = 20;
const LOOK_MS = 5;

export function registerTry(program: Command, cli: Cli): void {
  program
    .command('try')
    .description('see it work: an engine inside this process, live events, and the page; nothing is kept')
    .option('--port <n>', `which port for the page; 0 for any that is free (default: ${PORT}, or the next free one)`, wholeNumber)
    .option('--no-install', 'do not fetch what it needs and is not installed')
    .action(async (options: Options) => {
      cli.endsWell = true;
      const missing = missingPeers();
      if (missing.length > 0) cli.exitCode = await fetchPeers(cli, missing, options.install);
      else await tryOut(cli, options);
    });
}

async function tryOut(cli: Cli, options: Options): Promise<void> {
  await using engine = await startEmbedded();
  await using store = await EventStore.connect(engine.url);
  const page = dashboard(store, { projections: [profiles, pages], allowWrites: true });
  await using served = await serveNearby(page, options);
  await using processor = new StreamProcessor(store, { projections: [profiles, pages], reactors: [welcomeMails, greeter], sources });
  processor.on('failed', ({ error }) => cli.note(String(error)));
  processor.start();
  const names = [userUpdates, userActivity, userFriends].map(({ name }) => `try:${name}`);
  await producePast(engine.url, async (count) => await until(cli, async () => (await countImported(store, names)) >= count));
  tell(cli, served, engine.url);
  await live(cli, store);
}

/** On the usual port, or the next that is free; one that was asked for, or none. */
async function serveNearby(page: ReturnType<typeof dashboard>, { port }: Options): Promise<ServedPage> {
  if (port !== undefined) return await servePage(page, { port, host: '127.0.0.1' });
  for (let next = PORT; ; next += 1) {
    try {
      return await servePage(page, { port: next, host: '127.0.0.1' });
    } catch (error) {
      if (!(error instanceof UsageError) || next >= PORT + PORTS_TRIED) throw error;
    }
  }
}

function tell(cli: Cli, { url }: ServedPage, engineUrl: string): void {
  if (cli.json) return cli.printJson({ url, engineUrl });
  const { bold, dim } = cli.colours;
  cli.print(`${bold('The page:')} ${url}`);
  cli.print('  Now            events come in, about three in two seconds; processors keep up');
  cli.print('  Documents      profiles, daffy: move the slider through three weeks, and see what each event changed');
  cli.print('  Events         of user_friends: each friend causes a greeting, which its event links to');
  cli.print('  Dead letters   one of welcome-mails, which goes through when it is tried again');
  cli.print(`\n${bold('The command line,')} on the same store, in another terminal:`);
  for (const command of ['processors', 'read user_activity --follow', 'snapshots profiles daffy', 'dead-letters list welcome-mails'])
    cli.print(`  npx millrace ${command} -u ${engineUrl}`);
  cli.print(dim('\nNothing is kept. Ctrl-C ends it.'));
}

async function countImported(store: EventStore, names: readonly string[]): Promise<number> {
  const found = await inspect(store).processors();
  return found.filter(({ kind, name }) => kind === 'source' && names.includes(name)).reduce((sum, { eventsDone }) => sum + eventsDone, 0);
}

async function until(cli: Cli, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(LOOK_MS, undefined, { signal: cli.signal });
}

async function live(cli: Cli, store: EventStore): Promise<void> {
  for (let turn = 1_000; !cli.signal.aborted; turn += 1) {
    const { category, id, type, data } = happening(turn);
    await store.append(streamName(`${category}:${id}`), { type, data });
    await delay(LIVE_EVERY_MS, undefined, { signal: cli.signal }).catch(() => undefined);
  }
}
