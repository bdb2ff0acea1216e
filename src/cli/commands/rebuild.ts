// `millrace rebuild`: shows a new version being built beside the one that serves, builds it here if asked to, compares and flips.
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { type AnyProjection, type OverallProgress, StreamProcessor } from '../../index.ts';
import { projectionOf } from '../app.ts';
import { positiveNumber } from '../arguments.ts';
import { changesBetween } from '../../dashboard/changes.ts';
import { changeLine } from '../changes.ts';
import { type Cli, plain } from '../cli.ts';
import { countText, durationText } from '../events.ts';
import { UsageError } from '../failure.ts';
import { type Session, withStore } from '../session.ts';
import { findTarget, titleOf } from '../targets.ts';

interface Options {
  readonly run?: boolean;
  readonly eventsPerSecond?: number;
  readonly compare?: boolean;
  readonly flip?: boolean;
}

const LOOK_MS = 250;
const DIFFERENCES_SHOWN = 10;

export function registerRebuild(program: Command, cli: Cli): void {
  program
    .command('rebuild')
    .description('wait, with progress, until a new version of a projection has caught up beside the one that serves')
    .argument('<name@version>', 'the new version')
    .option('--run', 'fold it in this process too, until it has caught up (needs --app)')
    .option('--events-per-second <n>', 'with --run: how many events to read a second, at most', positiveNumber)
    .option('--compare', 'then compare its documents with those of the version that serves (needs --app with both)')
    .option('--flip', 'then let readers read it; with --compare only where nothing differs')
    .action(async (name: string, options: Options, command: Command) => {
      if (!/@\d+$/.test(name))
        throw new UsageError(`Expected name@version, like profiles@2; found ${JSON.stringify(name)}: which version is to be built?`);
      await withStore(cli, command, async (session) => await rebuild(cli, session, name, options));
    });
}

async function rebuild(cli: Cli, session: Session, name: string, options: Options): Promise<void> {
  const { run = false, compare = false } = options;
  const code = run || compare ? await projectionOf(session.app, session.control, name) : undefined;
  if (!run || !code) return await finish(cli, session, await watchOthers(cli, session, name), code, options);
  // It goes on until readers are flipped: with appends that go on, a version that nobody runs is behind again at once.
  const processor = startHere(session, code, options);
  try {
    await finish(cli, session, await runHere(cli, session, processor, code), code, options);
  } finally {
    await processor.stop();
  }
}

/** Compares and flips, as far as that was asked for, and tells what came of it. */
async function finish(cli: Cli, session: Session, progress: OverallProgress, code: AnyProjection | undefined, options: Options): Promise<void> {
  const { compare = false, flip = false } = options;
  const { name, version, eventsFolded } = progress;
  const differences = compare && code ? await compareWithServing(cli, session, code) : undefined;
  const isFlipped = flip && (differences === undefined || differences === 0);
  if (isFlipped) await session.control.serve(code ?? (await findTarget(session.facts, titleOf(progress), ['projection'])), { signal: cli.signal });
  if (flip && !isFlipped) cli.exitCode = 1;
  if (cli.json) return cli.printJson({ name, version, eventsFolded, differences, isFlipped });
  if (isFlipped) cli.print(`${plain(titleOf(progress))} serves, in every process within a second.`);
  else if (flip)
    cli.print(`Readers were not flipped, because documents differ. If that is as it should be: millrace flip ${plain(titleOf(progress))}`);
}

/** Shows how others fold it. */
async function watchOthers(cli: Cli, session: Session, name: string): Promise<OverallProgress> {
  const target = await findTarget(session.facts, name, ['projection']);
  if (target.owners.length === 0 && target.lagEvents > 0 && !target.isPaused)
    cli.note(`Nobody runs ${plain(titleOf(target))} now: it catches up when a StreamProcessor does, or here with --run and --app.`);
  return await watchProgress(cli, session, target, cli.signal);
}

/**
 * Until it has caught up, whoever folds it; or `signal`. It has when it holds what was there a look before: where appends never pause,
 * one that keeps up may be an event or two behind at every look.
 */
async function watchProgress(
  cli: Cli,
  { control }: Session,
  target: Parameters<Session['control']['progress']>[0],
  signal: AbortSignal,
): Promise<OverallProgress> {
  let progress = await control.progress(target);
  let wanted = progress.eventsTotal;
  const bar = cli.progress(titleOf(target), progress.eventsTotal);
  try {
    while (progress.lagEvents > 0 && progress.eventsFolded < wanted) {
      wanted = progress.eventsTotal;
      await delay(LOOK_MS, undefined, { signal });
      progress = await control.progress(target);
      bar.update(progress.eventsFolded, progress.eventsTotal);
      if (progress.isPaused) throw new UsageError(`${titleOf(target)} is paused, so it does not catch up: millrace resume ${titleOf(target)}`);
    }
  } finally {
    bar.stop();
    if (cli.signal.aborted && !cli.json)
      cli.note(`${plain(titleOf(target))} keeps what it has folded, and goes on from there. Readers were not flipped.`);
  }
  if (!cli.json)
    cli.print(`${plain(titleOf(target))} has folded ${countText(progress.eventsFolded)} events${speedText(progress)}: it has caught up.`);
  return progress;
}

function speedText({ eventsPerSecond = 0, timeLeftMs = 0 }: OverallProgress): string {
  const left = timeLeftMs === 0 ? '' : `, ${durationText(timeLeftMs)} left`;
  return eventsPerSecond === 0 ? left : `, lately ${countText(eventsPerSecond)} a second${left}`;
}

function startHere({ store }: Session, projection: AnyProjection, { eventsPerSecond }: Options): StreamProcessor {
  const throttle = eventsPerSecond === undefined ? {} : { eventsPerSecond };
  const processor = new StreamProcessor(store, { projections: [projection], deliverScheduled: false, ...throttle });
  processor.start();
  return processor;
}

async function runHere(cli: Cli, session: Session, processor: StreamProcessor, projection: AnyProjection): Promise<OverallProgress> {
  // What it fails with ends the looking, too.
  const failed = new AbortController();
  const signal = AbortSignal.any([cli.signal, failed.signal]);
  const caughtUp = processor.runUntilCaughtUp({ signal: cli.signal }).catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  const [, progress] = await Promise.all([caughtUp, watchProgress(cli, session, projection, signal)]);
  return progress;
}

/** How many documents differ; the first of them are shown. */
async function compareWithServing(cli: Cli, { app, control }: Session, projection: AnyProjection): Promise<number> {
  const versions = app.projections.filter(({ name }) => name === projection.name).map(({ version }) => version);
  const serving = (await control.servingVersion(projection.name)) ?? Math.min(...versions);
  if (serving === projection.version) {
    cli.note(`${titleOf(projection)} serves itself: there is nothing to compare it with.`);
    return 0;
  }
  const before = await projectionOf(app, control, `${projection.name}@${serving}`);
  let count = 0;
  for await (const { key, kind, first, second } of control.compare(before, projection, { signal: cli.signal })) {
    count += 1;
    if (cli.json || count > DIFFERENCES_SHOWN) continue;
    cli.print(
      `${cli.colours.bold(plain(key))} ${{ differs: 'differs', 'only-first': `only in ${titleOf(before)}`, 'only-second': `only in ${titleOf(projection)}` }[kind]}`,
    );
    if (kind === 'differs') for (const change of changesBetween(first?.state, second?.state)) cli.print(`  ${changeLine(cli, change)}`);
  }
  if (!cli.json)
    cli.print(
      `${countText(count)} ${count === 1 ? 'document differs' : 'documents differ'} between ${plain(titleOf(projection))} and ${plain(titleOf(before))}${count > DIFFERENCES_SHOWN ? `; the first ${DIFFERENCES_SHOWN} are shown` : ''}.`,
    );
  return count;
}
