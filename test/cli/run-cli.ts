// Runs the command line: in this process, which is quick, or as its users do, as the built binary in a process of its own.
import { spawn } from 'node:child_process';
import { PassThrough, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { runCommandLine } from '../../src/cli/run.ts';
import { testSetUp, testUrl } from '../support/clients.ts';

const BINARY = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** What a run came to. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the output so far; once it gives true, Ctrl-C is pressed. */
  readonly interruptWhen?: (stdout: string, stderr: string) => boolean;
  /** Gives what Ctrl-C is pressed after, once there is something. In this process only. */
  readonly interruptAfter?: () => Promise<unknown> | undefined;
  /** When it is killed by SIGKILL, should it run still. Of a process only. */
  readonly killAfterMs?: number;
  /** Whether it looks like a terminal to it, of so many columns. In this process only. */
  readonly columns?: number;
}

/** The server that all tests share; of a cluster or sentinels the one beside it. */
export function engineUrl(): string {
  return testUrl();
}

/** The options by which the command line gets to the store of a test. */
export function reaching(namespace: string): readonly string[] {
  const setUp = testSetUp();
  if (setUp.kind === 'cluster') return ['-n', namespace, '--cluster', '-u', setUp.nodes.join(',')];
  if (setUp.kind === 'sentinel') return ['-n', namespace, '--sentinel', setUp.name, '-u', setUp.sentinels.join(',')];
  return ['-n', namespace, '-u', testUrl()];
}

/** In this process. */
export async function runHere(
  args: readonly string[],
  { input = '', env = {}, interruptWhen, interruptAfter, columns }: CliOptions = {},
): Promise<CliResult> {
  const interrupted = new AbortController();
  const [out, err] = [new PassThrough(), new PassThrough()];
  let [stdout, stderr] = ['', ''];
  const look = (): void => {
    const press = (): void => interrupted.abort(new Error('interrupted by the test'));
    if (interruptWhen?.(stdout, stderr) === true) press();
    void interruptAfter?.()?.then(press, press);
  };
  out.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    look();
  });
  err.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    look();
  });
  const terminal = columns === undefined ? {} : { isTTY: true, columns };
  const streams = { stdout: Object.assign(out, terminal), stderr: err, stdin: Readable.from([input]), env, signal: interrupted.signal };
  const code = await runCommandLine(args, streams);
  await new Promise((resolve) => setImmediate(resolve));
  return { code, stdout, stderr };
}

/** As a process. */
export function runBinary(args: readonly string[], { input = '', env = {}, interruptWhen, killAfterMs }: CliOptions = {}): Promise<CliResult> {
  const { NO_COLOR: _, FORCE_COLOR: __, MILLRACE_APP: ___, REDIS_URL: ____, ...inherited } = process.env;
  const child = spawn(process.execPath, [BINARY, ...args], { env: { ...inherited, ...env } });
  const killing = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  child.on('close', () => clearTimeout(killing));
  child.stdin.on('error', () => {}); // it may have ended before it read that
  child.stdin.end(input);
  let [stdout, stderr, isInterrupted] = ['', '', false];
  const look = (): void => {
    if (isInterrupted || interruptWhen?.(stdout, stderr) !== true) return;
    isInterrupted = true;
    child.kill('SIGINT');
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    look();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** The one JSON document that a run printed. Throws what it told where it failed. */
export async function jsonOf<T>(args: readonly string[], options?: CliOptions): Promise<T> {
  const result = await runHere([...args, '--json'], options);
  if (result.code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
  return JSON.parse(result.stdout) as T;
}

/** The JSON lines that a run printed. */
export async function jsonLinesOf<T>(args: readonly string[], options?: CliOptions): Promise<T[]> {
  const { stdout, stderr, code } = await runHere([...args, '--json'], options);
  if (code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
}
