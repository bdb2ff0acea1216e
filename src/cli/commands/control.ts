// `millrace pause`, `resume`, `rewind`, `flip` and `drop`: acts on what runs, in every process.
import type { Command } from 'commander';
import type { ProcessorFacts, StartFrom } from '../../index.ts';
import { place, positiveNumber } from '../arguments.ts';
import { type Cli, plain } from '../cli.ts';
import { confirm } from '../confirm.ts';
import { countText } from '../events.ts';
import { UsageError } from '../failure.ts';
import { type Session, withStore } from '../session.ts';
import { findTarget, type Kind, kindText, titleOf } from '../targets.ts';

const RUN: readonly Kind[] = ['projection', 'reactor', 'process-manager'];

export function registerPause(program: Command, cli: Cli): void {
  on(program, 'pause', 'keep every process from running it, until resume: over restarts too').action(
    async (name: string, _: object, command: Command) => {
      await act(cli, command, name, async ({ control }, target) => {
        cli.note(`Waiting until nobody runs ${plain(titleOf(target))} any more. Ctrl-C leaves it paused.`);
        await control.pause(target, { signal: cli.signal });
        tell(cli, target, 'is paused');
      });
    },
  );
}

export function registerResume(program: Command, cli: Cli): void {
  on(program, 'resume', 'let processors run it again: it goes on where it was').action(async (name: string, _: object, command: Command) => {
    await act(cli, command, name, async ({ control }, target) => {
      await control.resume(target);
      tell(cli, target, 'goes on: processors see it within a second');
    });
  });
}

export function registerRewind(program: Command, cli: Cli): void {
  on(program, 'rewind', 'let it begin again: a projection at the first event, a reactor at any place')
    .option('--to <place>', 'of a reactor: start (default), now, a time, a position or a cursor')
    .option('--yes', 'do not ask')
    .action(async (name: string, { to, yes = false }: { to?: string; yes?: boolean }, command: Command) => {
      const begin = to === undefined ? 'start' : (place(to) as StartFrom);
      await act(cli, command, name, async ({ control }, target) => {
        await confirm(cli, rewindText(target, to ?? 'start'), yes);
        await control.rewind(target, { to: begin, signal: cli.signal });
        tell(cli, target, `begins again at ${to ?? 'start'}, when a processor runs it`);
      });
    });
}

function rewindText({ kind, name, version, eventsDone, deadLetters }: ProcessorFacts, to: string): string {
  const what = `${kindText(kind)} ${name}@${version}`;
  if (kind === 'projection')
    return `The ${what} would lose its documents, which come back one by one while ${countText(eventsDone)} events are folded again; readers of this version get NotCaughtUpError until then`;
  const letters = deadLetters === 0 ? '' : `, and its dead letters behind that place (${countText(deadLetters)} in all) would be forgotten`;
  return `The ${what} would begin again at ${to}: what its handlers did for events behind that is done again${letters}`;
}

interface FlipOptions {
  readonly evenIfBehind?: boolean;
  readonly wait?: number;
}

export function registerFlip(program: Command, cli: Cli): void {
  program
    .command('flip')
    .description('let readers that follow a projection (serving) read this version from now on')
    .argument('<name@version>', 'which one')
    .option('--even-if-behind', 'also where it has yet to fold what is there')
    .option('--wait <ms>', 'how long to wait for it to have caught up (default: 5000)', positiveNumber)
    .action(async (name: string, { evenIfBehind = false, wait }: FlipOptions, command: Command) => {
      if (!/@\d+$/.test(name))
        throw new UsageError(`Expected name@version, like profiles@2; found ${JSON.stringify(name)}: which version is to serve?`);
      await withStore(cli, command, async ({ control, facts }) => {
        const target = await findTarget(facts, name, ['projection']);
        const before = await control.serve(target, { evenIfBehind, signal: cli.signal, ...(wait === undefined ? {} : { timeoutMs: wait }) });
        if (cli.json) return cli.printJson({ name: target.name, version: target.version, before });
        cli.print(`${plain(titleOf(target))} serves, in every process within a second.`);
        if (before === target.version) cli.print('It did so before.');
        else if (before !== undefined) cli.print(`Back: millrace flip ${plain(target.name)}@${before}`);
      });
    });
}

export function registerDrop(program: Command, cli: Cli): void {
  on(program, 'drop', 'remove a version for good: documents, dead letters, states and checkpoint; never events')
    .option('--yes', 'do not ask')
    .action(async (name: string, { yes = false }: { yes?: boolean }, command: Command) => {
      await act(cli, command, name, async ({ control }, target) => {
        const letters = target.deadLetters === 0 ? '' : `, ${countText(target.deadLetters)} dead letters`;
        const what = target.kind === 'projection' ? 'documents' : `checkpoint${letters}`;
        await confirm(cli, `The ${what} of ${kindText(target.kind)} ${titleOf(target)} would be removed for good`, yes);
        await control.drop(target, { signal: cli.signal });
        tell(cli, target, 'is gone');
      });
    });
}

function on(program: Command, verb: string, description: string): Command {
  return program.command(verb).description(description).argument('<name>', 'a projection, reactor or process manager; or name@version');
}

async function act(cli: Cli, command: Command, name: string, deed: (session: Session, target: ProcessorFacts) => Promise<void>): Promise<void> {
  await withStore(cli, command, async (session) => await deed(session, await findTarget(session.facts, name, RUN)));
}

function tell(cli: Cli, target: ProcessorFacts, what: string): void {
  if (cli.json) cli.printJson({ kind: target.kind, name: target.name, version: target.version });
  else cli.print(`${plain(titleOf(target))} ${what}.`);
}
