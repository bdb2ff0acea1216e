// The command line as a whole: its global options, and every command in the order of the help.
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { positiveNumber } from './arguments.ts';
import type { Cli } from './cli.ts';
import { registerAcl } from './commands/acl.ts';
import { registerAppend } from './commands/append.ts';
import { registerDrop, registerFlip, registerPause, registerResume, registerRewind } from './commands/control.ts';
import { registerDeadLetters } from './commands/dead-letters.ts';
import { registerDiff } from './commands/diff.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerEvent } from './commands/event.ts';
import { registerExport } from './commands/export.ts';
import { registerImport } from './commands/import.ts';
import { registerProcessors } from './commands/processors.ts';
import { registerRead } from './commands/read.ts';
import { registerRebuild } from './commands/rebuild.ts';
import { registerSnapshots } from './commands/snapshots.ts';
import { registerStreams } from './commands/streams.ts';
import { registerTry } from './commands/try.ts';
import { registerUi } from './commands/ui.ts';
import { registerVerify } from './commands/verify.ts';
import { withoutPasswords } from './failure.ts';

/** Each adds its command; the order is that of the help. */
const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  registerStreams,
  registerRead,
  registerAppend,
  registerEvent,
  registerSnapshots,
  registerDiff,
  registerProcessors,
  registerPause,
  registerResume,
  registerRewind,
  registerRebuild,
  registerFlip,
  registerDrop,
  registerDeadLetters,
  registerExport,
  registerImport,
  registerVerify,
  registerDoctor,
  registerAcl,
  registerUi,
  registerTry,
];

const EXIT_CODES = `
Exit codes: 0 fine, 1 failed or found something wrong, 2 wrong usage or input, 3 no server, 130 interrupted.
Environment: REDIS_URL, MILLRACE_NAMESPACE, MILLRACE_APP, NO_COLOR, FORCE_COLOR.`;

export function buildProgram(cli: Cli): Command {
  const program = new Command('millrace');
  program
    .description('Look into an event store on Redis or Valkey, and look after what runs on it.')
    .version(versionOfPackage(), '-V, --version')
    .option('-u, --url <url>', "Redis URL; several, with commas between, of a cluster's nodes (default: REDIS_URL, else redis://localhost:6379)")
    .option('-n, --namespace <name>', 'where in Redis the store lies (default: MILLRACE_NAMESPACE, else millrace)')
    .option('-a, --app <module>', 'module that exports your projections and reactors, for what needs their code (default: MILLRACE_APP)')
    .option('--cluster', 'the URL is of a node of a cluster')
    .option('--sentinel <name>', 'the URLs are of sentinels, which call the primary so')
    .addOption(new Option('--timeout <ms>', 'how long to wait for a connection').argParser(positiveNumber))
    .option('--json', 'print JSON, for programs: one document, or JSON lines')
    .addHelpText('after', EXIT_CODES)
    .configureOutput({ writeOut: (text) => cli.streams.stdout.write(text), writeErr: (text) => writeError(cli, text) })
    .showHelpAfterError('(millrace --help, or millrace <command> --help, tells more)')
    .exitOverride()
    .hook('preAction', (_, command) => {
      cli.json = command.optsWithGlobals<{ json?: boolean }>().json === true;
    });
  for (const register of COMMANDS) register(program, cli);
  for (const command of program.commands) inherit(program, command);
  return program;
}

/** To programs what is wrong is told as JSON, when it ends. An option with a slip in its name may hold a password. */
function writeError(cli: Cli, text: string): void {
  if (!cli.json) cli.streams.stderr.write(withoutPasswords(text));
}

/** Output and errors of subcommands go the same way. */
function inherit(program: Command, command: Command): void {
  command.copyInheritedSettings(program);
  for (const inner of command.commands) inherit(program, inner);
}

function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}
