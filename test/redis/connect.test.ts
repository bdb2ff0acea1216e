// What openPort promises when there is no connection to be had: a clear error, in time, without a password.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { inspect } from 'node:util';
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPort, type PortTarget } from '../../src/redis/client.ts';
import { ConnectionFailedError, InvalidInputError, type MillraceError } from '../../src/errors.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { startProxy } from '../support/proxy.ts';
import { end, failureOf } from './clients.ts';

const PASSWORD = 'pass/w@rd-5ecret';
const WRONG = 'wr0ng/p@ssword';

/** The error of opening a port, after looking for passwords in all that can be seen of it. */
async function refusalOf(target: PortTarget): Promise<MillraceError> {
  const outcome = await openPort(target).catch((error: unknown) => error);
  if (!(outcome instanceof ConnectionFailedError || outcome instanceof InvalidInputError)) throw new Error('expected a refusal', { cause: outcome });
  const seen: string[] = [];
  for (let error: unknown = outcome; error instanceof Error; error = error.cause) {
    seen.push(
      error.message,
      error.stack ?? '',
      JSON.stringify(error),
      JSON.stringify(error, Object.getOwnPropertyNames(error)),
      inspect(error, { showHidden: true, depth: 9 }),
    );
  }
  for (const password of [PASSWORD, WRONG]) {
    for (const form of [password, encodeURIComponent(password)]) expect(seen.filter((text) => text.includes(form))).toEqual([]);
  }
  return outcome;
}

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  return [await work, performance.now() - start];
}

/** A port of the loopback on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const libraries = ['node-redis', 'ioredis'] as const;

describe.each(libraries)('opening by URL through %s', (library) => {
  it('says that nothing listens, after the time that was given', async () => {
    const port = await closedPort();
    const [error, ms] = await timed(refusalOf({ url: `redis://user:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`, library, timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'connection-failed' });
    expect(error.message).toMatch(`Could not connect to Redis at 127.0.0.1:${port}: nothing listens there (connect ECONNREFUSED`);
    expect(ms).toBeGreaterThan(250);
    expect(ms).toBeLessThan(1_500);
  });

  it('connects to a server that comes up in time', async () => {
    await using proxy = await startProxy(testUrl());
    proxy.refuse();
    const opening = openPort({ url: proxy.url, library, timeoutMs: 10_000 });
    await Promise.race([opening.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 150))]);
    await proxy.accept();
    const port = await opening;
    expect(await port.send(undefined, ['PING'])).toBe('PONG');
    await port.close();
  });

  it('says that a host name is not known', async () => {
    const error = await refusalOf({ url: 'redis://no-such-host.invalid', library, timeoutMs: 400 });
    expect(error.message).toMatch(/no-such-host\.invalid:6379: this host name is not known .*(ENOTFOUND|EAI_AGAIN)/);
  });

  it('says that there was no answer from a server that takes connections and keeps silent', async () => {
    await using proxy = await startProxy(testUrl());
    proxy.freeze();
    const [error, ms] = await timed(refusalOf({ url: proxy.url, library, timeoutMs: 300 }));
    expect(error.message).toMatch(/no answer within 300 ms/);
    expect(ms).toBeLessThan(1_500);
    proxy.thaw();
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
  });

  it('says at once that something else than Redis answers', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [error, ms] = await timed(refusalOf({ url, library, timeoutMs: 5_000 }));
    expect(error.message).toMatch(/does not speak the protocol of Redis/);
    expect(ms).toBeLessThan(2_000);
    server.close();
  });

  it('fails in time with rediss:// on a server without TLS', async () => {
    const url = new URL(testUrl());
    const [error, ms] = await timed(refusalOf({ url: `rediss://:${encodeURIComponent(PASSWORD)}@${url.host}`, library, timeoutMs: 500 }));
    expect(error).toMatchObject({ code: 'connection-failed' });
    expect(ms).toBeLessThan(2_000);
  });

  it('selects the database of the URL, and says at once if there is none such', async () => {
    const url = new URL(testUrl());
    url.pathname = '/3';
    const port = await openPort({ url: url.href, library });
    expect(await port.send(undefined, ['CLIENT', 'INFO'])).toMatch(/ db=3 /);
    await port.close();
    url.pathname = '/12345';
    const [error, ms] = await timed(refusalOf({ url: url.href, library }));
    expect(error.message).toMatch(/no such database/);
    expect(ms).toBeLessThan(2_000);
  });
});

describe('opening to a server with a password', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    if (whyNoEngine()) return;
    engine = await startEngine();
    await using raw = await connectRaw(engine.url);
    // This one may not PING, which is no reason to keep it out.
    await raw.send('ACL', 'SETUSER', 'ann', 'on', `>${PASSWORD}`, '~*', '&*', '+@all', '-ping');
    await raw.send('ACL', 'SETUSER', 'default', 'resetpass', `>${PASSWORD}`);
  });
  beforeEach(({ skip }) => {
    const reason = whyNoEngine();
    if (reason) skip(reason);
  });
  afterAll(() => engine?.stop());

  it.each(libraries)('gets in through %s with the credentials of the URL, or of the options, which count more', async (library) => {
    const { host } = new URL(engine.url);
    const ways: PortTarget[] = [
      { url: `redis://:${encodeURIComponent(PASSWORD)}@${host}`, library },
      { url: `redis://ann:${encodeURIComponent(PASSWORD)}@${host}`, library },
      { url: `redis://ann:${WRONG.replace(/[/@]/g, '')}@${host}`, library, password: PASSWORD },
      { url: `redis://${host}`, library, username: 'ann', password: PASSWORD },
    ];
    for (const target of ways) {
      const port = await openPort(target);
      const reader = await port.dedicated();
      expect(await reader.send(undefined, ['ACL', 'WHOAMI'])).toMatch(/^(ann|default)$/);
      await port.close();
    }
  });

  it.each(libraries)('says at once through %s that a password is wrong', async (library) => {
    const { host } = new URL(engine.url);
    const [error, ms] = await timed(refusalOf({ url: `redis://ann:${encodeURIComponent(WRONG)}@${host}`, library }));
    expect(error).toMatchObject({ code: 'connection-failed' });
    expect(error.message).toMatch(/refused the user name or the password \(WRONGPASS/);
    expect(ms).toBeLessThan(1_500);
    expect((await refusalOf({ url: `redis://${host}`, username: 'ann', password: WRONG, library })).message).toMatch(/WRONGPASS/);
  });

  it.each(libraries)('says at once through %s that a password is missing', async (library) => {
    const [error, ms] = await timed(refusalOf({ url: engine.url, library }));
    expect(error.message).toMatch(/asks for a password and none was given \(.*NOAUTH/);
    expect(ms).toBeLessThan(1_500);
  });

  it("says at once that a caller's client has a wrong password", async () => {
    const url = engine.url.replace('//', `//ann:${encodeURIComponent(WRONG)}@`);
    for (const client of [createClient({ url }), new Redis(url, { lazyConnect: true })]) {
      const [error, ms] = await timed(refusalOf({ client }));
      expect(error.message).toMatch(/WRONGPASS/);
      expect(ms).toBeLessThan(1_500);
      await vi.waitFor(() => expect('isOpen' in client ? client.isOpen : client.status).toBeOneOf([false, 'end']));
    }
  });

  it('shows no password in what goes wrong later', async () => {
    const url = engine.url.replace('//', `//ann:${encodeURIComponent(PASSWORD)}@`);
    for (const library of libraries) {
      const port = await openPort({ url, library });
      const failure = await failureOf(port.send(undefined, ['NONSENSE', PASSWORD]));
      expect(inspect(failure, { showHidden: true, depth: 9 })).not.toContain(PASSWORD);
      expect(failure.kind).toBe('refused');
      await port.close();
    }
  });
});

describe('opening to a server that is loading', () => {
  it('says so when its time is over, and connects when the server is done in time', async ({ skip }) => {
    const reason = whyNoEngine();
    if (reason) skip(reason);
    // 3,000 keys, each delayed by a millisecond; the server looks at its clients after every few.
    await using engine = await startEngine({ args: ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024'] });
    await using raw = await connectRaw(engine.url);
    await raw.send('EVAL', "for i = 1, 3000 do redis.call('SET', 'key' .. i, 'v') end", '0');
    await raw.send('BGREWRITEAOF');
    await vi.waitFor(
      async () => expect(await raw.send('INFO', 'persistence')).toMatch(/aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/),
      10_000,
    );
    const restarted = engine.restart();
    await vi.waitFor(
      async () => expect((await refusalOf({ url: engine.url, library: 'ioredis', timeoutMs: 200 })).message).toMatch(/LOADING/),
      10_000,
    );
    await vi.waitFor(
      async () =>
        expect((await refusalOf({ url: engine.url, library: 'node-redis', timeoutMs: 400 })).message).toMatch(/not ready to answer \(.*LOADING/),
      10_000,
    );
    for (const port of await Promise.all(libraries.map((library) => openPort({ url: engine.url, library, timeoutMs: 20_000 })))) {
      expect(await port.send(undefined, ['DBSIZE'])).toBe(3_000);
      await port.close();
    }
    await restarted;
  });
});

describe('a URL or option that cannot be used', () => {
  it.each([
    '',
    'localhost:6379',
    'http://localhost',
    `redis:user:${WRONG}@localhost`,
    `redis://user:${WRONG}@local host`,
    `redis://user:${WRONG}@localhost:port`,
    `redis://user:${encodeURIComponent(WRONG)}@localhost:99999`,
    `redis://user:%zz${encodeURIComponent(WRONG)}@localhost`,
    `redis://:${WRONG}@localhost`,
    `redis://u:${encodeURIComponent(WRONG)}@localhost/x`,
    `redis://u:${encodeURIComponent(WRONG)}@localhost/-1`,
    `redis://u:${encodeURIComponent(WRONG)}@localhost?db=1`,
    `unix:///tmp/redis.sock`,
  ])('is refused at once, and not shown: %#', async (url) => {
    const error = await refusalOf(url);
    expect(error).toMatchObject({ code: 'invalid-input' });
    expect(error.message).not.toContain('wr0ng');
  });

  it.each([0, -1, Number.NaN, 2 ** 31])('is refused: timeoutMs %d', async (timeoutMs) => {
    expect((await refusalOf({ url: 'redis://localhost', timeoutMs })).message).toMatch(/timeoutMs/);
  });

  it('is refused: tls without rediss://', async () => {
    expect((await refusalOf({ url: 'redis://localhost', tls: {} })).message).toMatch(/rediss:\/\//);
  });
});

describe("a caller's client that cannot be used", () => {
  it.each([
    ['keyPrefix', () => new Redis({ keyPrefix: 'p:', lazyConnect: true })],
    ['stringNumbers', () => new Redis({ stringNumbers: true, lazyConnect: true })],
    ['replyMapping', () => new Redis({ replyMapping: 'resp3', lazyConnect: true })],
    ['keyPrefix', () => createClient({ keyPrefix: 'p:' })],
  ])('is refused: one with %s', async (setting, make) => {
    expect((await refusalOf({ client: make() as Redis })).message).toContain(setting);
  });

  it('is refused: one that is subscribed with RESP2', async () => {
    const [first, second] = [await createClient({ url: testUrl(), RESP: 2 }).connect(), new Redis(testUrl(), { protocol: 2 })];
    await Promise.all([first.subscribe(uniqueNamespace(), () => {}), second.subscribe(uniqueNamespace())]);
    for (const client of [first, second]) {
      expect((await refusalOf({ client })).message).toMatch(/subscribed/);
      end(client);
    }
  });

  it.each([[{}], [null], ['redis://localhost']])('is refused: what is no client (%#)', async (client) => {
    expect((await refusalOf({ client: client as Redis })).message).toMatch(/expected a client of @redis/);
  });
});
