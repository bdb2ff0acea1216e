// `millrace processors`: what runs on the store: who runs it, how far it is, how fast it goes, and what stopped it.
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { Inspector, ProcessorFacts, ProcessorPartitionFacts } from '../../index.ts';
import { type Cli, type Column, plain } from '../cli.ts';
import { countText, durationText, timeText } from '../events.ts';
import { withStore } from '../session.ts';
import { kindText, targetAmong, titleOf } from '../targets.ts';

interface Options {
  readonly watch?: string | true;
}

/** The rate is told between two looks. */
const LOOK_AGAIN_MS = 500;
const WATCH_S = 2;
const KINDS = ['projection', 'reactor', 'process-manager', 'source'] as const;

export function registerProcessors(program: Command, cli: Cli): void {
  program
    .command('processors')
    .description('what runs on the store: owner, checkpoint, lag, rate, last error; with a name each of its partitions')
    .argument('[name]', 'a projection, reactor, process manager or source; or name@version')
    .option('--watch [seconds]', `look again and again, until Ctrl-C (default: every ${WATCH_S})`)
    .action(async (name: string | undefined, { watch }: Options, command: Command) => {
      const intervalMs = watch === undefined ? undefined : secondsOf(watch) * 1_000;
      await withStore(cli, command, async ({ facts }) => {
        await facts.processors();
        await delay(LOOK_AGAIN_MS, undefined, { signal: cli.signal });
        if (intervalMs === undefined) await show(cli, facts, name);
        else await watchOn(cli, facts, name, intervalMs);
      });
    });
}

function secondsOf(watch: string | true): number {
  const seconds = watch === true ? WATCH_S : Number(watch);
  if (!(seconds >= 0.2)) throw new InvalidArgumentError(`Expected seconds from 0.2 with --watch, found ${JSON.stringify(watch)}.`);
  return seconds;
}

/** Ends with Ctrl-C, as what was asked for: no failure. */
async function watchOn(cli: Cli, facts: Inspector, name: string | undefined, intervalMs: number): Promise<void> {
  cli.endsWell = true;
  while (!cli.signal.aborted) {
    if (cli.isTerminal && !cli.json) cli.streams.stdout.write('\u001b[H\u001b[2J');
    if (!cli.json) cli.print(cli.colours.dim(`${timeText(new Date())} UTC, every ${intervalMs / 1_000} s; Ctrl-C ends`));
    await show(cli, facts, name, true);
    if (!cli.isTerminal && !cli.json) cli.print();
    await delay(intervalMs, undefined, { signal: cli.signal }).catch(() => undefined);
  }
}

async function show(cli: Cli, facts: Inspector, name: string | undefined, isRepeated = false): Promise<void> {
  const all = await facts.processors();
  const shown = name === undefined ? all : [targetAmong(all, name, KINDS)];
  if (cli.json) return isRepeated ? await cli.printJsonLine(shown) : cli.printJson(shown);
  const [only] = shown;
  if (name !== undefined && only) return showOne(cli, only);
  if (all.length === 0) return cli.note('Nothing is known to run here: a StreamProcessor tells what it runs when it starts.');
  showAll(cli, all);
}

function showAll(cli: Cli, all: readonly ProcessorFacts[]): void {
  cli.printTable(
    ['kind', 'name', 'state', 'checkpoint', right('behind'), right('since'), right('events/s'), right('done'), right('dead'), 'run by'],
    all.map((each) => [
      kindText(each.kind),
      plain(titleOf(each)),
      stateText(cli, each),
      checkpointText(each),
      countText(each.lagEvents),
      each.lagMs === 0 ? '' : durationText(each.lagMs),
      each.eventsPerSecond === undefined ? '' : countText(each.eventsPerSecond),
      `${Math.floor(each.percent)} %`,
      each.deadLetters === 0 ? '' : cli.colours.yellow(countText(each.deadLetters)),
      ownersText(each),
    ]),
  );
  for (const each of all) if (each.lastFailure?.isCurrent === true) cli.print(`\n${failureText(cli, each)}`);
}

function showOne(cli: Cli, each: ProcessorFacts): void {
  showAll(cli, [each]);
  if (each.lastFailure && !each.lastFailure.isCurrent) cli.print(`\n${failureText(cli, each)}`);
  if (each.partitions.length === 0) return;
  cli.print();
  cli.printTable(
    [right('partition'), 'checkpoint', right('done'), right('behind'), right('since'), right('dead'), right('waiting'), 'run by'],
    each.partitions.map((partition) => [
      partition.partition,
      partition.position ?? '',
      countText(partition.eventsDone),
      countText(partition.lagEvents),
      partition.lagMs === 0 ? '' : durationText(partition.lagMs),
      countText(partition.deadLetters),
      countText(partition.eventsWaiting),
      holderText(partition),
    ]),
  );
}

function holderText({ owner, isPaused }: ProcessorPartitionFacts): string {
  if (owner !== undefined) return plain(shortOwner(owner));
  return isPaused ? 'nobody: it is paused' : 'nobody';
}

/** What it is at, in a word or two. */
export function stateText(cli: Cli, each: ProcessorFacts): string {
  const { red, yellow, green } = cli.colours;
  if (each.unfinished !== undefined) return yellow(`${each.unfinished} not finished`);
  if (each.isPaused) return yellow('paused');
  if (each.lastFailure?.isCurrent === true) return red('stands still');
  const serves = each.isServing ? ', serves' : '';
  if (each.owners.length === 0) return (each.lagEvents > 0 ? red : yellow)(`nobody runs it${serves}`);
  if (each.kind === 'projection' && !each.isBuilt) return yellow('building');
  return green(`running${serves}`);
}

function failureText(cli: Cli, { lastFailure: failure, ...each }: ProcessorFacts): string {
  if (!failure) return '';
  const where = failure.partition === undefined ? '' : ` in partition ${failure.partition}`;
  const how = failure.isCurrent ? 'stands still' : 'stood still, and went on since';
  return `${cli.colours.red(plain(titleOf(each)))} ${how}${where}, since ${timeText(failure.at)}, run by ${plain(shortOwner(failure.owner))}:\n  ${plain(failure.name)}: ${plain(failure.message)}`;
}

/** Of several partitions each has its own: with a name they are shown. */
function checkpointText({ partitions, kind }: ProcessorFacts): string {
  const [only, ...others] = partitions;
  if (others.length > 0) return `in ${partitions.length} partitions`;
  return kind === 'source' ? '' : (only?.position ?? 'the beginning');
}

function ownersText({ owners, partitionsRun, partitions }: ProcessorFacts): string {
  const those = owners.map(shortOwner).map(plain).join(', ');
  return partitions.length > 1 && partitionsRun > 0 ? `${those} (${partitionsRun} of ${partitions.length} partitions)` : those;
}

/** Machine and process; which processor of it says nothing to people. */
function shortOwner(owner: string): string {
  return owner.split('/').slice(0, 2).join('/');
}

function right(head: string): Column {
  return { head, align: 'right' };
}
