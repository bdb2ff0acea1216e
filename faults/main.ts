// The command: runs a history under faults for a given time, prints what was found, and exits with 1 where a promise was broken.
import { whyNoEngine } from '../test/support/engine.ts';
import { type Options, optionsOf, USAGE } from './options.ts';
import { run } from './run.ts';

function optionsOrUsage(): Options | undefined {
  try {
    const options = optionsOf(process.argv.slice(2));
    const why = whyNoEngine();
    if (why !== undefined) throw new Error(`${why}.`);
    return options;
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return undefined;
  }
}

/** Numbers that others may act on: 0 nothing was violated, 1 something was, 2 it could not be run. */
async function exitCodeOf(options: Options | undefined): Promise<number> {
  if (options === undefined) return 2;
  try {
    return (await run(options, (line) => console.log(line))) ? 0 : 1;
  } catch (error) {
    console.error('the run could not be ended:', error);
    return 2;
  }
}

// Ended from outside: what is left of the run goes with the process's own end.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(2));
process.exitCode = await exitCodeOf(optionsOrUsage());
