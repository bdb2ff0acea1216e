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
  readonly #gone: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#gone = once(child, 'exit').then(() => {
      throw new Error('A process that projects has ended.');
    });
    this.#gone.catch(() => {}); // in the end it is told to
  }

  static async start(): Promise<Projector> {
    const child = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new Projector(child);
  }

  /** Tells it what to do, and waits until it has. One at a time. */
  async tell(command: WorkerCommand): Promise<WorkerReply> {
    const replied = new Promise<WorkerReply>((resolve) => {
      this.#child.once('message', resolve);
    });
    this.#child.send(command);
    const reply = await inTime(Promise.race([replied, this.#gone]), () => `a process has not yet done "${command.run}"`);
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#gone.catch(() => {});
  }
}

export async function startProjectors(count: number): Promise<Projector[]> {
  return await Promise.all(Array.from({ length: count }, () => Projector.start()));
}

export async function endAll(projectors: readonly Projector[]): Promise<void> {
  await Promise.all(projectors.map((projector) => projector[Symbol.asyncDispose]()));
}

/** All of them build a version together; what each has folded of it. */
export async function projectBy(projectors: readonly Projector[], at: WorkerStore, version: number): Promise<WorkerReply[]> {
  return await Promise.all(projectors.map((each) => each.tell({ run: 'project', at, version })));
}

/** Partitions go from one process to another while they work: how that came out. */
export function sharesOf(replies: readonly WorkerReply[]): string {
  const sum = replies.reduce((all, { events }) => all + events, 0);
  return `the processes folded ${replies.map(({ events }) => `${Math.round((100 * events) / sum)}%`).join(', ')} in the last round`;
}

/** Where a process finds a namespace of this engine. */
export function storeOn({ url }: BenchEngine, namespace: string): WorkerStore {
  return { urls: [url], isCluster: false, namespace };
}

/** What something took, and of how many cores. */
export interface Cores {
  readonly ms: number;
  readonly engine: number;
  readonly node: number;
}

/** How many of the cores the engines used, and how many processes of Node, while something ran. */
export async function coresOf(
  engines: readonly { readonly url: string }[],
  nodeCpuMs: () => Promise<number>,
  work: () => Promise<unknown>,
): Promise<Cores> {
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
