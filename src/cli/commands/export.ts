// `millrace export`: all events, or some, as JSON lines in a file, compressed or not; one that was broken off goes on.
import { createWriteStream } from 'node:fs';
import { access, stat, truncate } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Command } from 'commander';
import { exportEvents, type ExportHeader, type ExportOptions, readBroken, type Written } from '../../transfer/index.ts';
import { time } from '../arguments.ts';
import type { Cli } from '../cli.ts';
import { bytesText, countText } from '../events.ts';
import { UsageError } from '../failure.ts';
import { type Session, withStore } from '../session.ts';

interface Options {
  readonly category?: readonly string[];
  readonly from?: Date;
  readonly until?: Date;
  readonly gzip?: boolean;
  readonly resume?: boolean;
  readonly force?: boolean;
}

export function registerExport(program: Command, cli: Cli): void {
  program
    .command('export')
    .description('write events as JSON lines, with count and digest: all that the log holds at the beginning, while appends go on')
    .argument('<file>', 'where to; - is stdout')
    .option('--category <name...>', 'only these')
    .option('--from <time>', 'recorded at or after it', time)
    .option('--until <time>', 'recorded at or before it', time)
    .option('--gzip', 'compressed')
    .option('--resume', 'go on with a file that was broken off')
    .option('--force', 'write over a file that is there')
    .action(async (file: string, options: Options, command: Command) => {
      checkOptions(file, options);
      await withStore(cli, command, async (session) => await exportTo(cli, session, file, options));
    });
}

function checkOptions(file: string, { gzip = false, resume = false, force = false }: Options): void {
  if (resume && gzip)
    throw new UsageError('Expected --resume or --gzip, found both: what is compressed cannot be continued. Begin it again with --force.');
  if (resume && file === '-') throw new UsageError('Expected a file with --resume, found stdout.');
  if (resume && force) throw new UsageError('Expected --resume or --force, found both: go on with the file, or begin it again?');
}

async function exportTo(cli: Cli, session: Session, file: string, options: Options): Promise<void> {
  const { gzip = false, resume = false, force = false } = options;
  if (file !== '-' && !resume && !force && (await isThere(file)))
    throw new UsageError(`${file} is there already. Go on with it by --resume, write over it by --force, or name another one.`);
  const broken = resume ? await brokenAt(cli, session, file, options) : undefined;
  if (broken === 'whole') return;
  const bar = cli.progress('export', 0);
  let events = 0;
  const asked: ExportOptions = {
    ...(options.category ? { categories: options.category } : {}),
    ...(options.from ? { from: options.from } : {}),
    ...(options.until ? { until: options.until } : {}),
    signal: cli.signal,
    onProgress: (done, about) => {
      events = done;
      bar.update(done, about);
    },
  };
  const text = Readable.from(exportEvents(session.store, asked, broken), { objectMode: false });
  const into = file === '-' ? cli.streams.stdout : createWriteStream(file, { flags: resume ? 'a' : 'w' });
  const through = gzip ? [createGzip()] : [];
  try {
    await pipeline([text, ...through, into], { signal: cli.signal, end: file !== '-' });
  } finally {
    bar.stop();
  }
  if (file === '-') return;
  const { size } = await stat(file);
  if (cli.json) cli.printJson({ file, events, bytes: size });
  else cli.print(`${countText(events)} events are in ${file}, ${bytesText(size)}.`);
}

async function isThere(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}

/** Cuts a torn line off; 'whole' where nothing is to be done. */
async function brokenAt(cli: Cli, { facts }: Session, file: string, options: Options): Promise<Written | 'whole'> {
  const broken = await readBroken(file);
  if (!broken) {
    cli.note(`${file} is whole: there is nothing to go on with.`);
    return 'whole';
  }
  const { storeId } = await facts.store();
  if (broken.header.storeId !== storeId)
    throw new UsageError(
      `Expected an export of this store in ${file}, found one of another (${broken.header.namespace}). Name the right file, or the right store.`,
    );
  const differs = selectionOf(broken.header) !== selectionOf({ ...(options.category ? { categories: options.category } : {}), ...timesOf(options) });
  if (differs) throw new UsageError(`Expected the options with which ${file} was begun (${selectionOf(broken.header)}), found others.`);
  await truncate(file, broken.bytes);
  return broken.written;
}

function timesOf({ from, until }: Options): { readonly from?: string; readonly until?: string } {
  return { ...(from ? { from: from.toISOString() } : {}), ...(until ? { until: until.toISOString() } : {}) };
}

function selectionOf({ categories, from, until }: Pick<ExportHeader, 'categories' | 'from' | 'until'>): string {
  return `categories: ${categories?.join(', ') ?? 'all'}; from: ${from ?? 'start'}; until: ${until ?? 'end'}`;
}
