// Runs the built binary as its users do: as a process of its own.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
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
  /** Called with each piece of output so far; what it gives is sent as a signal, once. */
  readonly interruptWhen?: (stdout: string, stderr: string) => boolean;
  /** Where it is run. */
  readonly cwd?: string;
}

/** Runs `millrace` with these arguments, on the engine of the tests unless `--url` or REDIS_URL say otherwise. */
export function runCli(args: readonly string[], { input = '', env = {}, interruptWhen, cwd }: CliOptions = {}): Promise<CliResult> {
  const { NO_COLOR: _, FORCE_COLOR: __, MILLRACE_APP: ___, ...inherited } = process.env;
  const child = spawn(process.execPath, [BINARY, ...args], { env: { ...inherited, REDIS_URL: engineUrl(), ...env }, cwd });
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

/** The server that all tests share; of a cluster or sentinels the one beside it. */
export function engineUrl(): string {
  return testUrl();
}

/** Whether a test's own store and the binary can be on the same server. */
export function isOneServer(): boolean {
  return testSetUp().kind === 'server';
}

/** The JSON that a run printed; fails with what it printed where it is none, or where it failed. */
export async function cliJson<T>(args: readonly string[], options?: CliOptions): Promise<T> {
  const result = await runCli([...args, '--json'], options);
  if (result.code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
  return JSON.parse(result.stdout) as T;
}
