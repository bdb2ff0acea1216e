// Tests what all commands share, with the built binary in processes of its own: help, exit codes, output for people and programs, Ctrl-C.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { openStore, someNotes, notes } from '../support/store.ts';
import { engineUrl, reaching, runBinary, runHere } from './run-cli.ts';

const BINARY = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe('the binary', () => {
  test('tells its version and its commands, and ends well', async () => {
    const [version, help] = await Promise.all([runBinary(['--version']), runBinary(['--help'])]);
    expect(version).toMatchObject({ code: 0, stderr: '' });
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(help.code).toBe(0);
    for (const word of ['streams', 'dead-letters', '--namespace', 'REDIS_URL', 'Exit codes']) expect(help.stdout).toContain(word);
  });

  test('ends with 2 for what it does not know, and 3 where there is no server, on stderr', async () => {
    const [unknown, nobody, wrong] = await Promise.all([
      runBinary(['nothing']),
      runBinary(['streams', '-u', 'redis://127.0.0.1:1', '--timeout', '200']),
      runBinary(['streams', '-u', 'http://127.0.0.1:6379']),
    ]);
    expect(unknown).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining("unknown command 'nothing'") });
    expect(nobody).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('nothing listens there') });
    expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Invalid Redis URL') });
  });

  test('takes the server from REDIS_URL, and the namespace from MILLRACE_NAMESPACE', async () => {
    const namespace = uniqueNamespace();
    const env = { REDIS_URL: engineUrl(), MILLRACE_NAMESPACE: namespace };
    expect(await runBinary(['append', 'notes:1', 'Noted', '{"n":1}'], { env })).toMatchObject({ code: 0 });
    await using store = await openStore({ url: engineUrl(), namespace });
    for await (const event of store.readAll()) expect(event.data).toEqual({ n: 1 });
  });

  test('ends in order by Ctrl-C', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await store.append(notes.stream('1'), someNotes(1));
    const at = reaching(namespace);
    expect(await runBinary([...at, 'read', 'notes', '--follow'], { interruptWhen: (stdout) => stdout.includes('notes:1@1') })).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  test('stops where whoever reads has enough', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await store.append(notes.stream('1'), someNotes(900));
    const child = spawn('/bin/sh', ['-c', `"$@" | head -n 2`, 'sh', process.execPath, BINARY, ...reaching(namespace), 'read', '--all']);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    await once(child, 'close');
    expect(stdout.trim().split('\n')).toHaveLength(2);
    expect(stderr).toBe('');
  });
});

describe('what goes wrong', () => {
  test('shows no password', async () => {
    const secret = 'hunter2hunter2';
    for (const url of [`redis://user:${secret}@127.0.0.1:1`, `redis://user:${secret}@`, `radis://user:${secret}@host`]) {
      const { code, stdout, stderr } = await runHere(['streams', '-u', url, '--timeout', '100']);
      expect(code).toBeGreaterThan(1);
      expect(stdout + stderr).not.toContain(secret);
    }
  });

  test('is JSON for programs, with a code', async () => {
    const failed = await runHere(['streams', '--json', '-u', 'redis://127.0.0.1:1', '--timeout', '100']);
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { name: 'ConnectionFailedError', code: 'connection-failed' } });
    expect(failed).toMatchObject({ code: 3, stdout: '' });
  });

  test('names an empty URL, and an option that needs a number', async () => {
    expect(await runHere(['streams', '-u', ' , '])).toMatchObject({ code: 2, stderr: expect.stringContaining('found an empty one') });
    expect(await runHere(['streams', '--timeout', 'long'])).toMatchObject({ code: 2, stderr: expect.stringContaining('whole number') });
  });
});

describe('colours', () => {
  const namespace = uniqueNamespace();
  const args = [...reaching(namespace), 'streams'];

  test('are for terminals, unless NO_COLOR says no, or FORCE_COLOR yes', async () => {
    await using store = await openStore({ namespace });
    await store.append(notes.stream('1'), someNotes(1));
    const isColoured = async (columns: number | undefined, env: Record<string, string>): Promise<boolean> =>
      (await runHere(args, { env, ...(columns === undefined ? {} : { columns }) })).stdout.includes('\u001b[');
    expect(await isColoured(undefined, {})).toBe(false);
    expect(await isColoured(80, {})).toBe(true);
    expect(await isColoured(80, { NO_COLOR: '1' })).toBe(false);
    expect(await isColoured(80, { TERM: 'dumb' })).toBe(false);
    expect(await isColoured(undefined, { FORCE_COLOR: '1' })).toBe(true);
    expect((await runHere([...args, '--json'], { columns: 80 })).stdout).not.toContain('\u001b[');
  });
});
