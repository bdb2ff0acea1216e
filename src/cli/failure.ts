// How a command fails: what is told, in which form, and which exit code it has.
import { CommanderError } from 'commander';
import { isMillraceError } from '../index.ts';
import { type Cli, plain } from './cli.ts';

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
const WRONG_INPUT = ['invalid-input', 'wrong-usage', 'partition-mismatch'];

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
  if (error instanceof CommanderError) return tellFailure(cli, new UsageError(messageOf(error)));
  const code = codeOf(error);
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  if (cli.json) return cli.note(JSON.stringify({ error: { name, code, message: withoutPasswords(message) } }));
  if (code !== undefined || !(error instanceof Error)) cli.note(`${cli.colours.red('error')} ${safe(message)}`);
  else cli.note(safe(error.stack ?? message));
}

/** What commander says, as we say it. */
function messageOf({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'Expected a command, found none. `millrace --help` lists them.';
  return message.replace(/^error: /, '');
}

/** Text without the user and password of the URLs in it, whoever wrote them where. */
export function withoutPasswords(text: string): string {
  return text.replace(/\b([a-z][a-z\d+.-]*:\/\/)\S*@/gi, '$1***@');
}

/** A message may hold names from the store: on several lines it may be, but it moves no cursor. */
function safe(message: string): string {
  return withoutPasswords(message).split('\n').map(plain).join('\n');
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof CommanderError) return 'wrong-usage';
  if (isMillraceError(error) || error instanceof UsageError || error instanceof NotFoundError) return error.code;
  // Of Node: ENOENT, EACCES, EADDRINUSE. Their messages say what.
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
