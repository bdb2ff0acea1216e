// Worker processes for the crash tests: started, killed, paused, and told apart by the leases that they hold.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WorkerSettings } from '../workers/processor.ts';
import type { ManagerWorkerSettings } from '../workers/manager.ts';
import type { ReactorWorkerSettings } from '../workers/reactor.ts';
import type { RawClient } from './clients.ts';
import { until } from './processors.ts';

/** A program of test/workers. */
export function programOf(name: string): string {
  const program = fileURLToPath(new URL(`../../build/workers/${name}.js`, import.meta.url));
  if (!existsSync(program)) throw new Error(`${program} is missing: run npm run build first, as npm test does`);
  return program;
}

/** A lease that a worker holds at this moment. */
export interface HeldLease {
  readonly key: string;
  readonly owner: string;
  readonly worker: ChildProcess;
}

/** So many processes that run the same processor. */
export class WorkerPool implements AsyncDisposable {
  /** Some kept running: those that ended by themselves before they were told to. */
  readonly unexpectedEnds: string[] = [];
  readonly #raw: RawClient;
  readonly #program: string;
  readonly #settings: WorkerSettings | ReactorWorkerSettings | ManagerWorkerSettings;
  readonly #leaseKeys: readonly string[];
  readonly #workers = new Set<ChildProcess>();

  /** `leaseKeys` are the hashes in which the workers' leases stand. */
  constructor(raw: RawClient, settings: WorkerSettings | ReactorWorkerSettings | ManagerWorkerSettings, leaseKeys: readonly string[]) {
    this.#program = programOf('runs' in settings ? settings.runs : 'effectsKey' in settings ? 'reactor' : 'processor');
    this.#raw = raw;
    this.#settings = settings;
    this.#leaseKeys = leaseKeys;
  }

  async start(count = 1): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#startOne()));
  }

  async #startOne(): Promise<void> {
    const worker = fork(this.#program, [], {
      env: { ...process.env, MILLRACE_WORKER: JSON.stringify(this.#settings), NODE_OPTIONS: '' },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    worker.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    this.#workers.add(worker);
    worker.once('exit', (code, signal) => {
      if (this.#workers.delete(worker)) this.unexpectedEnds.push(`a worker ended with ${signal ?? code}: ${said}`);
    });
    await Promise.race([once(worker, 'message'), once(worker, 'exit')]);
  }

  /** The leases that are held now, by workers of this pool, with time left. */
  async held(): Promise<HeldLease[]> {
    const leases = await this.owners();
    return leases.flatMap(({ key, owner }) => {
      const worker = [...this.#workers].find(({ pid }) => owner.split('/')[1] === String(pid));
      return worker ? [{ key, owner, worker }] : [];
    });
  }

  /** Who holds each lease now; those that are free or have run out are left out. */
  async owners(): Promise<{ readonly key: string; readonly owner: string }[]> {
    const now = await this.#serverTime();
    const stored = (await Promise.all(this.#leaseKeys.map((key) => this.#raw.send('HMGET', key, 'owner', 'deadline')))) as (string | null)[][];
    return stored.flatMap(([owner, deadline], index) => (owner && Number(deadline) > now ? [{ key: this.#leaseKeys[index] ?? '', owner }] : []));
  }

  async #serverTime(): Promise<number> {
    const [seconds, micros] = (await this.#raw.send('TIME')) as string[];
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  }

  /** Kills one at once. Resolves when it is gone. */
  async kill(worker: ChildProcess): Promise<void> {
    this.#workers.delete(worker);
    worker.kill('SIGKILL');
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
  }

  /** Waits until leases have another owner than this one; how long each took, in milliseconds. */
  async takenOver(leases: readonly HeldLease[], timeoutMs: number): Promise<number[]> {
    const startedAt = performance.now();
    const left = new Map(leases.map(({ key, owner }) => [key, owner]));
    const took: number[] = [];
    await until(
      'another process has taken over',
      async () => {
        for (const { key, owner } of await this.owners()) {
          if (!left.has(key) || left.get(key) === owner) continue;
          left.delete(key);
          took.push(performance.now() - startedAt);
        }
        return left.size === 0;
      },
      timeoutMs,
    );
    return took;
  }

  /** Asks all to stop. Their exit codes: 0 for one that ended by itself once it had stopped. */
  async stop(): Promise<(number | null)[]> {
    const workers = [...this.#workers];
    this.#workers.clear();
    const exits = workers.map((worker) => once(worker, 'exit') as Promise<[number | null]>);
    for (const worker of workers) worker.kill('SIGTERM');
    return (await Promise.all(exits)).map(([code]) => code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => this.kill(worker)));
  }
}

/** The median and the largest of some times, in words. */
export function summaryOf(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  return `median ${Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0)} ms, max ${Math.round(sorted.at(-1) ?? 0)} ms`;
}
