// `millrace diff`: a document at two times, what changed, and the events that did it.
import type { Command } from 'commander';
import { comparePositions, type DocumentStep, type Position } from '../../index.ts';
import { projectionOf } from '../app.ts';
import { type Change, changesBetween } from '../../dashboard/changes.ts';
import { changeLine } from '../changes.ts';
import { type Cli, plain } from '../cli.ts';
import { eventLine } from '../events.ts';
import { NotFoundError, UsageError } from '../failure.ts';
import { type Session, withStore } from '../session.ts';
import { titleOf } from '../targets.ts';
import { momentOf } from './snapshots.ts';

interface Options {
  readonly from: string;
  readonly until?: string;
}

export function registerDiff(program: Command, cli: Cli): void {
  program
    .command('diff')
    .description('a document at two times: what changed, and the events in between (needs --app)')
    .argument('<projection>', 'a name, or name@version')
    .argument('<key>', 'whose document')
    .requiredOption('--from <place>', 'the earlier one: a time, or a position')
    .option('--until <place>', 'the later one (default: now)')
    .action(async (projection: string, key: string, options: Options, command: Command) => {
      await withStore(cli, command, async (session) => await show(cli, session, { projection, key, options }));
    });
}

interface Asked {
  readonly projection: string;
  readonly key: string;
  readonly options: Options;
}

async function show(cli: Cli, { app, control, facts }: Session, { projection: name, key, options }: Asked): Promise<void> {
  const projection = await projectionOf(app, control, name);
  const { isBefore, isWithin } = spanOf(options);
  let before: unknown;
  let hasSteps = false;
  const between: DocumentStep[] = [];
  for await (const step of facts.history(projection, key, { signal: cli.signal })) {
    hasSteps = true;
    if (!isWithin(step)) continue;
    if (isBefore(step)) before = step.state;
    else between.push(step);
  }
  if (!hasSteps) throw new NotFoundError(`Expected events of the document ${JSON.stringify(key)} of ${titleOf(projection)}, found none.`);
  const after = between.length === 0 ? before : between.at(-1)?.state;
  const changes = changesBetween(before, after);
  const steps = stepsWithChanges(before, between);
  if (cli.json) return cli.printJson({ projection: titleOf(projection), key, before, after, changes, events: steps });
  if (changes.length === 0) cli.print(`${plain(key)} is the same at both times.`);
  for (const change of changes) cli.print(changeLine(cli, change));
  if (steps.length > 0) cli.print(`\n${cli.colours.bold(`${steps.length} ${steps.length === 1 ? 'event' : 'events'} in between`)}`);
  for (const { event, changes: changed } of steps) {
    cli.print(eventLine(cli, event));
    for (const change of changed) cli.print(`  ${changeLine(cli, change)}`);
  }
}

interface Span {
  readonly isBefore: (step: DocumentStep) => boolean;
  readonly isWithin: (step: DocumentStep) => boolean;
}

function spanOf({ from, until }: Options): Span {
  const begin = momentOf(from);
  if (until === undefined) return { isBefore: isUpTo(begin), isWithin: () => true };
  const end = momentOf(until);
  if (millisecondOf(begin) > millisecondOf(end)) throw new UsageError(`Expected --from before --until, found ${from} behind ${until}.`);
  return { isBefore: isUpTo(begin), isWithin: isUpTo(end) };
}

function millisecondOf(moment: Date | Position): number {
  return moment instanceof Date ? moment.getTime() : Number.parseInt(moment, 10);
}

function isUpTo(moment: Date | Position): (step: DocumentStep) => boolean {
  if (moment instanceof Date) return ({ event }) => event.recordedAt.getTime() <= moment.getTime();
  return ({ event }) => comparePositions(event.position, moment) <= 0;
}

type ChangingStep = Pick<DocumentStep, 'step' | 'event'> & { readonly changes: readonly Change[] };

function stepsWithChanges(before: unknown, steps: readonly DocumentStep[]): readonly ChangingStep[] {
  return steps.map(({ step, event, state }, index) => ({
    step,
    event,
    changes: changesBetween(index === 0 ? before : steps[index - 1]?.state, state),
  }));
}
