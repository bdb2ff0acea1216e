// A cluster of primaries on this machine, for figures of more nodes than one.
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../examples/engine-process.ts';
import { connectBare } from './clients.ts';
import type { Bench, BenchEngine } from './engines.ts';
import { inTime } from './workload.ts';

const SLOTS = 16_384;
const LOOK_MS = 50;

export interface BenchCluster extends AsyncDisposable {
  readonly nodes: readonly BenchEngine[];
  readonly urls: readonly string[];
}

/** Without replicas, which would take cores from what is measured. */
export async function startCluster(bench: Bench, primaries: number): Promise<BenchCluster> {
  const nodes: BenchEngine[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]())));
  try {
    const buses: number[] = [];
    for (let index = 0; index < primaries; index += 1) {
      const bus = await freePort();
      buses.push(bus);
      nodes.push(await bench.server('--appendonly', 'no', '--cluster-enabled', 'yes', '--cluster-port', String(bus)));
    }
    await inTime(form(nodes, buses), () => 'the cluster is not in order');
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, urls: nodes.map(({ url }) => url), [Symbol.asyncDispose]: stop };
}

async function form(nodes: readonly BenchEngine[], buses: readonly number[]): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const [from, end] = [index, index + 1].map((share) => Math.floor((share * SLOTS) / nodes.length)) as [number, number];
    await send(node, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    await send(node, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(end - 1));
    const [first] = nodes as readonly [BenchEngine];
    if (index > 0) await send(first, 'CLUSTER', 'MEET', '127.0.0.1', new URL(node.url).port, String(buses[index]));
  }
  for (const node of nodes) while (!(await isInOrder(node, nodes.length))) await delay(LOOK_MS);
}

async function isInOrder(node: BenchEngine, count: number): Promise<boolean> {
  const text = await send(node, 'CLUSTER', 'INFO');
  return /cluster_state:ok/.test(text) && text.includes(`cluster_size:${count}\r`);
}

async function send({ url }: BenchEngine, ...command: string[]): Promise<string> {
  const client = await connectBare(url);
  try {
    return await client.sendCommand<string>(command);
  } finally {
    client.destroy();
  }
}
