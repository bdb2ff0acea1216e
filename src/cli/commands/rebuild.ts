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
  const { run = false, compare = false, flip = false } = options;
  const code = run || compare ? await projectionOf(session.app, session.control, name) : undefined;
  const target = run && code ? code : await findTarget(session.facts, name, ['projection']);
  const progress = run && code ? await runHere(cli, session, code, options) : await watchProgress(cli, session, target);
  const differences = compare && code ? await compareWithServing(cli, session, code) : undefined;
  const isFlipped = flip && (differences === undefined || differences === 0);
  if (isFlipped) await session.control.serve(target, { signal: cli.signal });
  if (cli.json) return cli.printJson({ name: target.name, version: target.version, eventsFolded: progress.eventsFolded, differences, isFlipped });
  if (isFlipped) cli.print(`${plain(titleOf(target))} serves, in every process within a second.`);
  else if (flip) cli.print(`Readers were not flipped, because documents differ. If that is as it should be: millrace flip ${plain(titleOf(target))}`);
  if (flip && !isFlipped) cli.exitCode = 1;
}

/** Until it has caught up, whoever folds it; or Ctrl-C. */
async function watchProgress(cli: Cli, { control }: Session, target: Parameters<Session['control']['progress']>[0]): Promise<OverallProgress> {
  let progress = await control.progress(target);
  const bar = cli.progress(`${target.name}@${target.version}`, progress.eventsTotal);
  try {
    while (progress.lagEvents > 0) {
      await delay(LOOK_MS, undefined, { signal: cli.signal });
      progress = await control.progress(target);
      bar.update(progress.eventsFolded, progress.eventsTotal);
      if (progress.isPaused)
        throw new UsageError(`${target.name}@${target.version} is paused, so it does not catch up: millrace resume ${target.name}@${target.version}`);
    }
  } finally {
    bar.stop();
  }
  if (!cli.json)
    cli.print(`${plain(titleOf(target))} has folded ${countText(progress.eventsFolded)} events${speedText(progress)}: it has caught up.`);
  return progress;
}

function speedText({ eventsPerSecond = 0, timeLeftMs = 0 }: OverallProgress): string {
  const left = timeLeftMs === 0 ? '' : `, ${durationText(timeLeftMs)} left`;
  return eventsPerSecond === 0 ? left : `, lately ${countText(eventsPerSecond)} a second${left}`;
}

async function runHere(cli: Cli, session: Session, projection: AnyProjection, { eventsPerSecond }: Options): Promise<OverallProgress> {
  const throttle = eventsPerSecond === undefined ? {} : { eventsPerSecond };
  const processor = new StreamProcessor(session.store, { projections: [projection], deliverScheduled: false, ...throttle });
  try {
    const caughtUp = processor.runUntilCaughtUp({ signal: cli.signal });
    const [progress] = await Promise.all([watchProgress(cli, session, projection), caughtUp]);
    return progress;
  } finally {
    await processor.stop();
  }
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
