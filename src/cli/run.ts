// Runs one command line, and tells what the process is to end with.
import { CommanderError, InvalidArgumentError } from 'commander';
import { Cli, type CliStreams } from './cli.ts';
import { exitCodeOf, exitCodes, tellFailure } from './failure.ts';
import { buildProgram } from './program.ts';

/** `args` are those behind the binary's name. Never throws: what goes wrong is told on stderr, and by the exit code. */
export async function runCommandLine(args: readonly string[], streams: CliStreams): Promise<number> {
  const cli = new Cli(streams);
  cli.json = args.includes('--json'); // also where the arguments cannot be parsed
  try {
    await buildProgram(cli).parseAsync(args, { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    if (streams.signal.aborted && cli.endsWell) return exitCodes.fine;
    // It has told people what is wrong already, or printed the help that was asked for.
    if (error instanceof CommanderError && !(error instanceof InvalidArgumentError)) {
      if (error.exitCode === 0) return exitCodes.fine;
      if (cli.json) tellFailure(cli, error);
      return exitCodes.wrongUsage;
    }
    tellFailure(cli, error);
    return exitCodeOf(error, streams.signal);
  } finally {
    cli.end();
  }
}
