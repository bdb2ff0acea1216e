// The engines that are measured on: the one at hand, and further ones of their own where a figure needs them.
import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findEngine, serverOnPath } from '../examples/engine.ts';
import { freePort, startProcess } from '../examples/engine-process.ts';
import { type BareClient, connectBare } from './clients.ts';

export interface BenchEngine extends AsyncDisposable {
  readonly url: string;
  readonly description: string;
  readonly isEmbedded: boolean;
  /** Removes what was written under a namespace; everything, where the engine is our own. */
  clear(namespace: string): Promise<void>;
}

/** What every figure is given. */
export interface Bench {
  readonly rounds: number;
  /** By whoever runs it: then figures that take long do not have fewer. */
  readonly areRoundsGiven: boolean;
  readonly engine: BenchEngine;
  /** Another engine like `engine`: the same one where that is not ours to start. */
  another(): Promise<BenchEngine>;
  /** An engine that writes each command to the disk before it answers. */
  fsyncing(): Promise<BenchEngine>;
  /** One more server, with arguments of its own. Only where `hasServerProgram`. */
  server(...args: string[]): Promise<BenchEngine>;
  /** Whether `fsyncing` and `server` can be had. */
  readonly hasServerProgram: boolean;
}

const ROUNDS = 7;
/** It is five to ten times slower with much data, and the whole is to take less than ten minutes. */
const ROUNDS_EMBEDDED = 3;

export async function openBench(rounds: number | undefined): Promise<Bench> {
  const program = await serverProgram();
  const engine = await openEngine(program);
  return {
    rounds: rounds ?? (engine.isEmbedded ? ROUNDS_EMBEDDED : ROUNDS),
    areRoundsGiven: rounds !== undefined,
    engine,
    another: () => openEngine(program),
    fsyncing: () => startServer(program ?? [], ['--appendonly', 'yes', '--appendfsync', 'always']),
    server: (...args) => startServer(program ?? [], args),
    hasServerProgram: program !== undefined,
  };
}

/** A name under which nothing is stored yet. */
export function newNamespace(): string {
  return `bench-${randomBytes(6).toString('hex')}`;
}

/** REDIS_URL comes first, then a server program, then the embedded engine. */
async function openEngine(program: readonly string[] | undefined): Promise<BenchEngine> {
  if (!process.env['REDIS_URL'] && program !== undefined) return await startServer(program, ['--appendonly', 'no']);
  const found = await findEngine();
  const { url, description, startedHere } = found;
  return { url, description, isEmbedded: startedHere, clear: clearing(url, startedHere), [Symbol.asyncDispose]: () => found.close() };
}

async function serverProgram(): Promise<readonly string[] | undefined> {
  const folder = process.env['MILLRACE_ENGINE_FOLDER'];
  if (folder) return [fileURLToPath(new URL('../../tools/run-engine', import.meta.url)), resolve(folder), 'server'];
  const program = await serverOnPath();
  return program === undefined ? undefined : [program];
}

async function startServer(command: readonly string[], args: readonly string[]): Promise<BenchEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const common = ['--save', '', '--maxmemory-policy', 'noeviction'];
  const engine = await startProcess({ command, folder, port: await freePort(), args: [...common, ...args] });
  const { url } = engine;
  const description = `${nameIn(await info(url, 'server'))}, started here with ${args.join(' ')}`;
  return { url, description, isEmbedded: false, clear: clearing(url, true), [Symbol.asyncDispose]: () => engine.stop() };
}

export const NEEDS_SERVER_PROGRAM = 'needs a server program on the PATH (or MILLRACE_ENGINE_FOLDER): it starts servers of its own';

function nameIn(server: string): string {
  const valkey = /^valkey_version:(\S+)/m.exec(server)?.[1];
  return valkey === undefined ? `Redis ${/^redis_version:(\S+)/m.exec(server)?.[1] ?? ''}` : `Valkey ${valkey}`;
}

export async function info(url: string, section: string): Promise<string> {
  return await withClient(url, async (client) => await client.info(section));
}

function clearing(url: string, isOwn: boolean): (namespace: string) => Promise<void> {
  return (namespace) =>
    withClient(url, async (client) => {
      if (isOwn) return void (await client.sendCommand(['FLUSHALL', 'SYNC']));
      for await (const keys of client.scanIterator({ MATCH: `{${namespace}[:}]*`, COUNT: 1_000 })) if (keys.length > 0) await client.unlink(keys);
    });
}

/** Bytes, with the buffers of connections. */
export async function usedMemory(url: string): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await info(url, 'memory'))?.[1]);
}

async function withClient<T>(url: string, use: (client: BareClient) => Promise<T>): Promise<T> {
  const client = await connectBare(url);
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}
