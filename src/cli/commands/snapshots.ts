// `millrace snapshots`: the documents of projections, as they are stored, fresh, or as they were at a time.
import type { Command } from 'commander';
import type { GetOptions, Position, ProcessorFacts } from '../../index.ts';
import { projectionOf } from '../app.ts';
import { place, positiveNumber } from '../arguments.ts';
import { type Cli, plain } from '../cli.ts';
import { countText, durationText, jsonLines } from '../events.ts';
import { NotFoundError, UsageError } from '../failure.ts';
import { type Session, withStore } from '../session.ts';
import { targetAmong, titleOf } from '../targets.ts';

interface Options {
  readonly at?: string;
  readonly fresh?: boolean;
  readonly limit?: number;
  readonly startsWith?: string;
}

const LIMIT = 50;

export function registerSnapshots(program: Command, cli: Cli): void {
  program
    .command('snapshots')
    .description('projections with documents; the keys of one; or one document')
    .argument('[projection]', 'a name, or name@version; without a version the one that serves')
    .argument('[key]', 'whose document')
    .option('--at <place>', 'as it was then: a time, or a position (needs --app)')
    .option('--fresh', 'with the events that are not folded yet (needs --app; for projections keyed by stream)')
    .option('--limit <n>', `of keys, how many at most (default: ${LIMIT})`, positiveNumber)
    .option('--starts-with <text>', 'of keys, those that begin so')
    .action(async (projection: string | undefined, key: string | undefined, options: Options, command: Command) => {
      const { at, fresh = false } = options;
      if (at !== undefined && fresh) throw new UsageError('Expected --at or --fresh, found both: what is fresh is as it is now.');
      if ((at !== undefined || fresh) && key === undefined) throw new UsageError('Expected a key with --at or --fresh, found none.');
      await withStore(cli, command, async (session) => {
        if (projection === undefined) showProjections(cli, await session.facts.processors());
        else if (key === undefined) await showKeys(cli, session, projection, options);
        else if (at !== undefined || fresh) await showFolded(cli, session, { projection, key, options });
        else await showStored(cli, session, projection, key);
      });
    });
}

function showProjections(cli: Cli, all: readonly ProcessorFacts[]): void {
  const projections = all.filter(({ kind }) => kind === 'projection');
  if (cli.json) {
    return cli.printJson(
      projections.map(({ name, version, categories, isServing, isBuilt, lagEvents }) => ({
        name,
        version,
        categories,
        isServing,
        isBuilt,
        lagEvents,
      })),
    );
  }
  if (projections.length === 0) return cli.note('No projection is known here: a StreamProcessor tells what it runs when it starts.');
  cli.printTable(
    ['projection', 'from', { head: 'events behind', align: 'right' }, 'state'],
    projections.map((each) => [plain(titleOf(each)), plain(each.categories.join(', ')), countText(each.lagEvents), stateOf(each)]),
  );
}

function stateOf({ isServing, isBuilt }: ProcessorFacts): string {
  return [isServing ? 'serves' : 'beside', ...(isBuilt ? [] : ['not caught up yet'])].join(', ');
}

/** Without a version, the one that serves. */
async function projectionNamed({ facts }: Session, text: string): Promise<ProcessorFacts> {
  const all = await facts.processors();
  const serving = all.filter(({ kind, name, isServing }) => kind === 'projection' && name === text && isServing);
  return serving[0] ?? targetAmong(all, text, ['projection']);
}

async function showKeys(cli: Cli, session: Session, name: string, { limit = LIMIT, startsWith = '' }: Options): Promise<void> {
  const projection = await projectionNamed(session, name);
  const keys: string[] = [];
  for await (const key of session.facts.documentKeys(projection, { startsWith, limit: limit + 1, signal: cli.signal })) keys.push(key);
  for (const key of keys.slice(0, limit)) {
    if (cli.json) await cli.printJsonLine({ key });
    else cli.print(plain(key));
  }
  if (keys.length === 0) cli.note(`${titleOf(projection)} has no documents${startsWith === '' ? '' : ' that begin so'}.`);
  if (keys.length > limit) cli.note(`There are more than ${limit}: --limit and --starts-with show others.`);
}

async function showStored(cli: Cli, session: Session, name: string, key: string): Promise<void> {
  const projection = await projectionNamed(session, name);
  const found = await session.facts.document(projection, key);
  if (!found) throw noDocument(projection, key);
  if (cli.json) return cli.printJson({ projection: titleOf(projection), ...found });
  for (const line of jsonLines(found.state)) cli.print(line);
  const partition = projection.partitions.find((each) => each.partition === found.partition);
  if (partition && partition.lagEvents > 0)
    cli.note(
      `It may be behind: ${titleOf(projection)} has yet to fold ${countText(partition.lagEvents)} events here, the first of them ${durationText(partition.lagMs)} old.`,
    );
}

async function showFolded(
  cli: Cli,
  { app, control, snapshots }: Session,
  { projection: name, key, options: { at } }: { readonly projection: string; readonly key: string; readonly options: Options },
): Promise<void> {
  const projection = await projectionOf(app, control, name);
  const options: GetOptions = at === undefined ? { fresh: true } : { at: momentOf(at) };
  const state = await snapshots.get(projection, key, { ...options, signal: cli.signal });
  if (state === undefined) throw noDocument(projection, key, at);
  if (cli.json) return cli.printJson({ projection: titleOf(projection), key, state });
  for (const line of jsonLines(state)) cli.print(line);
}

/** A time or a position. */
export function momentOf(text: string): Date | Position {
  const moment = place(text);
  if (moment instanceof Date) return moment;
  if (/^\d{13,}-\d+(@\d+)?$/.test(moment)) return moment as Position;
  throw new UsageError(`Expected a time like 2026-01-31T12:00:00Z or 10m (ago), or a position; found ${JSON.stringify(text)}.`);
}

function noDocument(projection: { readonly name: string; readonly version: number }, key: string, at?: string): NotFoundError {
  const then = at === undefined ? '' : ` at ${at}`;
  return new NotFoundError(
    `Expected a document ${JSON.stringify(key)} of ${titleOf(projection)}${then}, found none. \`millrace snapshots ${projection.name}\` lists the keys that there are.`,
  );
}
