// How a command fails: what is told, in which form, and which exit code it has.
import { isMillraceError } from '../index.ts';
import type { Cli } from './cli.ts';

/** What the process ends with. */
export const exitCodes = {
  fine: 0,
  /** Something failed, or was found wrong. */
  failed: 1,
  /** Wrong options, arguments or input: nothing was done. */
  wrongUsage: 2,
  /** No server that can be used. */
  noServer: 3,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** What a person gave on the command line cannot be used. */
export class UsageError extends Error {
  readonly code = 'wrong-usage';

  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Something that was asked for is not there. */
export class NotFoundError extends Error {
  readonly code = 'not-found';

  constructor(message: string) {
    super(message);
    this.name = 'NotFoundError';
  }
}

const NO_SERVER = ['connection-failed', 'unsuitable-server', 'store-mismatch', 'server-refused'];
const WRONG_INPUT = ['invalid-input', 'wrong-usage', 'partition-mismatch', 'commander.invalidArgument'];

export function exitCodeOf(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) return exitCodes.interrupted;
  const code = codeOf(error);
  if (code !== undefined && NO_SERVER.includes(code)) return exitCodes.noServer;
  if (code !== undefined && WRONG_INPUT.includes(code)) return exitCodes.wrongUsage;
  return exitCodes.failed;
}

/** On stderr; with `--json` as `{"error":{name,code,message}}`. A bug of ours comes with its stack. */
export function tellFailure(cli: Cli, error: unknown): void {
  if (cli.signal.aborted) return;
  const code = codeOf(error);
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  if (cli.json) return cli.note(JSON.stringify({ error: { name, code, message } }));
  if (code !== undefined || !(error instanceof Error)) cli.note(`${cli.colours.red('error')} ${message}`);
  else cli.note(error.stack ?? message);
}

function codeOf(error: unknown): string | undefined {
  if (isMillraceError(error) || error instanceof UsageError || error instanceof NotFoundError) return error.code;
  // Of Node: ENOENT, EACCES, EADDRINUSE. Their messages say what.
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
