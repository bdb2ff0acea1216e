// The proxy that other tests trust: it changes nothing unless told to, and each of its faults is the one it says.
import { createConnection } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from './clients.ts';
import { type Proxy, startProxy } from './proxy.ts';
import { CommandParser } from './resp.ts';

let proxy: Proxy;
let direct: RawClient;
let key: string;

beforeEach(async () => {
  direct = await connectRaw();
  proxy = await startProxy(process.env['MILLRACE_TEST_URL'] ?? '');
  key = uniqueNamespace('proxy');
});

afterEach(async () => {
  await proxy.close();
  await direct.send('DEL', key);
  direct.close();
});

const isCommand =
  (name: string) =>
  (command: readonly string[]): boolean =>
    command[0]?.toUpperCase() === name;

/** What comes of a call, so that a test can look at it later. */
const outcome = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (reply) => reply,
    (error: unknown) => error,
  );

describe('a proxy that is told nothing', () => {
  test('passes big commands and big replies as they are', async () => {
    await using client = await connectRaw(proxy.url);
    const big = 'é'.repeat(2_000_000);
    await client.send('SET', key, big);
    expect((await client.send('GET', key)) === big).toBe(true);
    expect(proxy.connections).toBe(1);
  });

  test('passes inline commands and pipelines', async () => {
    const socket = createConnection(Number(new URL(proxy.url).port), '127.0.0.1');
    socket.write('PING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nECHO  there\r\n');
    let reply = '';
    for await (const chunk of socket) if ((reply += String(chunk)).endsWith('there\r\n')) break;
    expect(reply).toBe('+PONG\r\n$2\r\nhi\r\n$5\r\nthere\r\n');
  });
});

describe('a lost reply', () => {
  test('is of a command that was run, and earlier replies of the pipeline arrive', async () => {
    await using client = await connectRaw(proxy.url);
    const lost = proxy.loseReplyOf((command) => command[0] === 'INCR' && command[1] === key);
    const earlier = client.send('ECHO', 'earlier');
    const call = outcome(client.send('INCR', key));
    const later = outcome(client.send('INCR', key));
    expect(await earlier).toBe('earlier');
    expect(await lost).toEqual(['INCR', key]);
    expect(await call).toBeInstanceOf(Error);
    expect(await later).toBeInstanceOf(Error);
    expect(await direct.send('GET', key)).toBe('1');
  });

  test('makes ioredis send the command again by itself', async () => {
    const client = new Redis(proxy.url);
    client.on('error', () => {});
    const lost = proxy.loseReplyOf(isCommand('INCR'));
    expect(await client.incr(key)).toBe(2);
    await lost;
    client.disconnect();
  });

  test('can be several, of commands in flight at the same time', async () => {
    await using client = await connectRaw(proxy.url);
    const lost = proxy.loseReplyOf(isCommand('INCR'), { count: 3 });
    const calls = await Promise.all(Array.from({ length: 5 }, () => outcome(client.send('INCR', key))));
    await lost;
    expect(calls.every((call) => call instanceof Error)).toBe(true);
    expect(await direct.send('GET', key)).toBe('3');
  });

  test('lets an action run before anybody can connect again', async () => {
    const client = createClient({ url: proxy.url, socket: { reconnectStrategy: 10 } });
    client.on('error', () => {});
    await client.connect();
    let connectedMeanwhile = true;
    const lost = proxy.loseReplyOf(isCommand('INCR'), {
      whileCut: async () => {
        await direct.send('SET', key, '100');
        connectedMeanwhile = await wait(100).then(() => proxy.connections > 0);
      },
    });
    expect(await outcome(client.incr(key))).toBeInstanceOf(Error);
    expect(await client.incr(key)).toBe(101);
    await lost;
    expect(connectedMeanwhile).toBe(false);
    client.destroy();
  });

  test('that is big, or comes in pieces, is lost whole', async () => {
    await direct.send('SET', key, 'x'.repeat(1_000_000));
    await using client = await connectRaw(proxy.url);
    proxy.shape({ chunkBytes: 7 });
    const lost = proxy.loseReplyOf(isCommand('GET'));
    const call = outcome(client.send('GET', key));
    await lost;
    expect(await call).toBeInstanceOf(Error);
  });
});

test('a lost command is not run', async () => {
  await using client = await connectRaw(proxy.url);
  const lost = proxy.loseCommand(isCommand('SET'));
  expect(await outcome(client.send('SET', key, 'never'))).toBeInstanceOf(Error);
  expect(await lost).toEqual(['SET', key, 'never']);
  expect(await direct.send('GET', key)).toBeNull();
});

test('a cut ends what is connected and welcomes what comes', async () => {
  await using client = await connectRaw(proxy.url);
  const call = outcome(client.send('BLPOP', key, '0'));
  await expect.poll(() => direct.send('INFO', 'clients')).toMatch(/blocked_clients:[1-9]/);
  proxy.cut();
  expect(await call).toBeInstanceOf(Error);
  await using next = await connectRaw(proxy.url);
  expect(await next.send('PING')).toBe('PONG');
});

test('a refusing proxy keeps its connections and takes no new ones until it accepts again', async () => {
  await using client = await connectRaw(proxy.url);
  proxy.refuse();
  await expect(connectRaw(proxy.url)).rejects.toThrow('ECONNREFUSED');
  expect(await client.send('PING')).toBe('PONG');
  await proxy.accept();
  await using next = await connectRaw(proxy.url);
  expect(await next.send('PING')).toBe('PONG');
});

test('a retargeted proxy leads who connects to the other engine, and keeps its address', async () => {
  await using other = await startProxy(proxy.url);
  await using old = await connectRaw(other.url);
  const { url } = other;
  other.retarget(process.env['MILLRACE_TEST_URL'] ?? '');
  await using client = await connectRaw(other.url);
  expect([other.url, await client.send('PING'), await old.send('PING'), proxy.connections]).toEqual([url, 'PONG', 'PONG', 1]);
});

test('a frozen proxy answers nothing, and everything after the thaw', async () => {
  await using client = await connectRaw(proxy.url);
  proxy.freeze();
  const call = client.send('SET', key, 'late');
  expect(await Promise.race([call, wait(50, 'nothing')])).toBe('nothing');
  expect(await direct.send('GET', key)).toBeNull();
  proxy.thaw();
  expect(await call).toBe('OK');
});

test('with its replies frozen, commands are run all the same', async () => {
  await using client = await connectRaw(proxy.url);
  proxy.freeze('replies');
  const call = client.send('SET', key, 'done');
  await expect.poll(() => direct.send('GET', key)).toBe('done');
  expect(await Promise.race([call, wait(50, 'nothing')])).toBe('nothing');
  proxy.thaw();
  expect(await call).toBe('OK');
});

test('packets of single bytes make the same commands and replies, and delays only make them late', async () => {
  proxy.shape({ chunkBytes: 1 });
  await using client = await connectRaw(proxy.url);
  expect(await Promise.all([client.send('ECHO', 'größe'), client.send('SET', key, '1')])).toEqual(['größe', 'OK']);
  proxy.shape({ delayMs: 30 });
  const startedMs = performance.now();
  expect(await client.send('GET', key)).toBe('1');
  expect(performance.now() - startedMs).toBeGreaterThan(59);
});

test('a command that passes can be waited for', async () => {
  await using client = await connectRaw(proxy.url);
  const seen = proxy.seen(isCommand('GET'));
  await client.send('PING');
  await client.send('GET', key);
  expect(await seen).toEqual(['GET', key]);
});

test('commands are cut out of any pieces', () => {
  const sent = [
    ['SET', 'k', 'a\r\nb'],
    ['ECHO', ''],
    ['XADD', 'k', '*', 'é', 'x'.repeat(300)],
  ];
  const bytes = Buffer.from(
    sent.map((args) => `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`).join(''),
  );
  for (const size of [1, 2, 3, 10, 1_000]) {
    const parser = new CommandParser();
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
    expect(pieces.flatMap((piece) => parser.push(piece)).map((command) => command.args())).toEqual(sent);
  }
});
