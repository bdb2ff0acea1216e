// Starts an engine for one test alone, which it may restart, pause, fill, flush and kill.
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, startProcess, type EngineProcess } from '../../examples/engine-process.ts';

export interface EngineOptions {
  /** More arguments for the server; they come last, and win. */
  readonly args?: readonly string[];
  /** What comes before the program, and becomes it: `env NAME=value`, say. */
  readonly prefix?: readonly string[];
}

export interface TestEngine extends AsyncDisposable {
  /** Stays the same over restarts. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it in good order if it still runs, and starts it again on what it has kept: an append-only file, written with each command. */
  restart(): Promise<void>;
  /** Ends it in good order. `restart` starts it again. */
  shutDown(): Promise<void>;
  /** SIGSTOP: connections stay, and nothing is answered. */
  pause(): void;
  resume(): void;
  /** SIGKILL. `restart` starts it again. */
  kill(): Promise<void>;
  /** Ends it for good, and removes what it has kept. */
  stop(): Promise<void>;
}

/** Why no engine can be started here, for `skip(reason)`; undefined where one can. */
export function whyNoEngine(): string | undefined {
  if (engineCommand()) return undefined;
  return 'there is no engine to start: set MILLRACE_ENGINE_FOLDER to what tools/get-engine unpacked, or put redis-server or valkey-server on the PATH';
}

/** Starts one on a free port with a folder of its own, `appendonly yes`. Fails where `whyNoEngine` has an answer. */
export async function startEngine({ args = [], prefix = [] }: EngineOptions = {}): Promise<TestEngine> {
  const command = engineCommand();
  if (!command) throw new Error(whyNoEngine());
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-engine-'));
  const keeping = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '', '--maxmemory-policy', 'noeviction'];
  const program = { command: [...prefix, ...command], folder, port: await freePort(), args: [...keeping, ...args] };
  return new OwnEngine(await startProcess(program), folder, () => startProcess(program));
}

class OwnEngine implements TestEngine {
  #process: EngineProcess;
  readonly #folder: string;
  readonly #start: () => Promise<EngineProcess>;

  constructor(process: EngineProcess, folder: string, start: () => Promise<EngineProcess>) {
    this.#process = process;
    this.#folder = folder;
    this.#start = start;
  }

  get url(): string {
    return this.#process.url;
  }

  get port(): number {
    return this.#process.port;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async restart(): Promise<void> {
    await this.shutDown();
    this.#process = await this.#start();
  }

  async shutDown(): Promise<void> {
    this.#signal('SIGCONT'); // one that is paused would never get the request
    await this.#process.stop({ keepFolder: true });
  }

  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#process.stop({ keepFolder: true });
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Only while the guard stands, which has not yet reaped the engine: its number is nobody else's. */
  #signal(signal: NodeJS.Signals): void {
    if (this.#process.running) process.kill(this.#process.pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** What starts one, without its arguments; it becomes the engine itself. */
export function engineCommand(): string[] | undefined {
  const folder = process.env['MILLRACE_ENGINE_FOLDER'];
  if (folder) return [runEngine(), resolve(folder), 'server'];
  const onPath = ['redis-server', 'valkey-server'].flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((path) => join(path, name)));
  const program = onPath.find((path) => existsSync(path));
  return program === undefined ? undefined : [program];
}

/** This file is also compiled into build/, a folder deeper. */
function runEngine(): string {
  const [source = '', built = ''] = ['../../tools/run-engine', '../../../tools/run-engine'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return existsSync(source) ? source : built;
}
