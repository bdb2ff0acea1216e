// Processes that project, started once for all rounds of a figure: what they have compiled stays warm.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type BenchEngine, info } from './engines.ts';
import type { WorkerCommand, WorkerReply, WorkerStore } from './project-worker.ts';
import { inTime } from './workload.ts';

const PROGRAM = fileURLToPath(new URL('./project-worker.js', import.meta.url));

export class Projector implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(): Promise<Projector> {
    const child = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new Projector(child);
  }

  /** Tells it what to do, and waits until it has. One at a time. */
  async tell(command: WorkerCommand): Promise<WorkerReply> {
    const replied = once(this.#child, 'message') as Promise<[WorkerReply]>;
    this.#child.send(command);
    const gone = once(this.#child, 'exit').then(() => {
      throw new Error('A process that projects has ended.');
    });
    gone.catch(() => {}); // in the end it is told to
    const [reply] = await inTime(Promise.race([replied, gone]), () => `a process has not yet done "${command.run}"`);
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}

export async function startProjectors(count: number): Promise<Projector[]> {
  return await Promise.all(Array.from({ length: count }, () => Projector.start()));
}

export async function endAll(projectors: readonly Projector[]): Promise<void> {
  await Promise.all(projectors.map((projector) => projector[Symbol.asyncDispose]()));
}

/** Where a process finds a namespace of this engine. */
export function storeOn({ url }: BenchEngine, namespace: string): WorkerStore {
  return { urls: [url], isCluster: false, namespace };
}

/** How many of the cores the engines used, and how many the processes of Node, this one and others, while something ran. */
export async function coresOf(
  engines: readonly { readonly url: string }[],
  nodeCpuMs: () => Promise<number>,
  work: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly engine: number; readonly node: number }> {
  const engineCpuMs = async (): Promise<number> => (await Promise.all(engines.map(({ url }) => cpuMsOf(url)))).reduce((sum, ms) => sum + ms, 0);
  const [engineBefore, nodeBefore] = [await engineCpuMs(), await nodeCpuMs()];
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  return { ms, engine: ((await engineCpuMs()) - engineBefore) / ms, node: ((await nodeCpuMs()) - nodeBefore) / ms };
}

async function cpuMsOf(url: string): Promise<number> {
  const text = await info(url, 'cpu');
  const of = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1]);
  return 1_000 * (of('used_cpu_sys') + of('used_cpu_user'));
}

/** What this process has used of the cores, in milliseconds. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
