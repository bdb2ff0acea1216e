// Asks before something is destroyed.
import { createInterface } from 'node:readline/promises';
import type { Cli } from './cli.ts';
import { UsageError } from './failure.ts';

/** Goes on where `--yes` was given or a person says so; otherwise throws UsageError. `what` says what would be done, without a full stop. */
export async function confirm(cli: Cli, what: string, isSure: boolean): Promise<void> {
  if (isSure) return;
  const { stdin, stderr } = cli.streams;
  if (!('isTTY' in stdin && stdin.isTTY)) throw new UsageError(`${what}. Nothing was done: say that you mean it with --yes.`);
  const prompt = createInterface({ input: stdin, output: stderr });
  // A prompt keeps Ctrl-C to itself: hand it on, to what ends every command.
  prompt.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    // Ctrl-D is no yes.
    const answer = await prompt.question(`${what}. Go on? [y/N] `, { signal: cli.signal }).catch((error: unknown) => {
      if (cli.signal.aborted) throw error;
      return '';
    });
    if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('Nothing was done.');
  } finally {
    prompt.close();
  }
}
