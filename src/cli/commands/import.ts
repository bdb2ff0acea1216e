// `millrace import`: brings an export into a store, each event once; doing it again finishes what was broken off.
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { type ExportHeader, importEvents, readEvents } from '../../transfer/index.ts';
import type { Cli } from '../cli.ts';
import { countText } from '../events.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly check?: boolean;
  readonly dryRun?: boolean;
  readonly allowIncomplete?: boolean;
}

export function registerImport(program: Command, cli: Cli): void {
  program
    .command('import')
    .description('append the events of an export, with their versions, ids and times; what is there already, and the same, is passed over')
    .argument('<file>', 'an export, compressed or not; - is stdin')
    .option('--check', 'only check the file: its lines, count and digest')
    .option('--dry-run', 'only tell what would be written')
    .option('--allow-incomplete', 'also take a file without its end')
    .action(async (file: string, options: Options, command: Command) => {
      // A torn or changed file is refused before anything is written; what comes by stdin can only be told at its end.
      const total = file === '-' && options.check !== true ? undefined : await check(cli, file, options);
      if (options.check === true) return tellChecked(cli, file, total);
      const ifMissing = options.dryRun === true ? 'refuse' : 'create';
      await withStore(cli, command, async ({ store }) => await importInto(cli, store, { file, total }, options), ifMissing);
    });
}

interface Checked {
  readonly events: number;
  readonly header: ExportHeader | undefined;
}

async function check(cli: Cli, file: string, { allowIncomplete = false }: Options): Promise<Checked> {
  let header: ExportHeader | undefined;
  let events = 0;
  for await (const _ of readEvents(sourceOf(cli, file), { allowIncomplete, onHeader: (found) => (header = found) })) {
    cli.signal.throwIfAborted();
    events += 1;
  }
  return { events, header };
}

function tellChecked(cli: Cli, file: string, checked: Checked | undefined): void {
  if (cli.json) cli.printJson({ file, events: checked?.events, header: checked?.header });
  else
    cli.print(
      `${file} is whole: ${countText(checked?.events ?? 0)} events of ${checked?.header?.namespace ?? '?'}, exported ${checked?.header?.exportedAt ?? '?'}.`,
    );
}

async function importInto(
  cli: Cli,
  store: object,
  { file, total }: { readonly file: string; readonly total: Checked | undefined },
  options: Options,
): Promise<void> {
  const { dryRun = false, allowIncomplete = false } = options;
  const bar = cli.progress('import', total?.events ?? 0);
  try {
    const imported = await importEvents(store, readEvents(sourceOf(cli, file), { allowIncomplete }), {
      dryRun,
      signal: cli.signal,
      onProgress: (done) => bar.update(done),
    });
    bar.stop();
    if (cli.json) return cli.printJson({ file, dryRun, ...imported });
    const { appended, alreadyThere } = imported;
    cli.print(
      `${countText(appended)} events ${dryRun ? 'would be' : 'were'} appended; ${countText(alreadyThere)} ${dryRun ? 'are' : 'were'} there already.`,
    );
  } finally {
    bar.stop();
  }
}

function sourceOf(cli: Cli, file: string): Readable {
  return file === '-' ? (cli.streams.stdin as Readable) : createReadStream(file);
}
