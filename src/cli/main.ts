#!/usr/bin/env node
// The binary `millrace`: runs one command, and ends with its exit code.
import { CommanderError, InvalidArgumentError } from 'commander';
import { Cli } from './cli.ts';
import { exitCodeOf, exitCodes, tellFailure } from './failure.ts';
import { buildProgram } from './program.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one does not wait for an orderly end.
    if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
    interrupted.abort(new Error(`interrupted by ${signal}`));
  });
}
// Whoever reads the output may have enough: `millrace read --all | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? exitCodes.fine : exitCodes.failed));

const { stdout, stderr, stdin, env } = process;
const cli = new Cli({ stdout, stderr, stdin, env, signal: interrupted.signal });
cli.json = process.argv.includes('--json'); // also where the arguments cannot be parsed

process.exitCode = await run();

async function run(): Promise<number> {
  try {
    await buildProgram(cli).parseAsync(process.argv);
    return interrupted.signal.aborted ? exitCodes.interrupted : cli.exitCode;
  } catch (error) {
    // It has told what is wrong already, or printed the help that was asked for.
    if (error instanceof CommanderError && !(error instanceof InvalidArgumentError))
      return error.exitCode === 0 ? exitCodes.fine : exitCodes.wrongUsage;
    tellFailure(cli, error);
    return exitCodeOf(error, interrupted.signal);
  } finally {
    cli.end();
  }
}
