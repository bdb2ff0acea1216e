#!/usr/bin/env node
// The binary `millrace`: runs one command with the process's own streams, and ends with its exit code.
import { exitCodes } from './failure.ts';
import { runCommandLine } from './run.ts';

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
process.exitCode = await runCommandLine(process.argv.slice(2), { stdout, stderr, stdin, env, signal: interrupted.signal });
