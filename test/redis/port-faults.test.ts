// What the port promises when the connection breaks, with the same sentences for every way to it.
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { describe, expect, it, vi } from 'vitest';
import { ClientPort } from '../../src/redis/client-port.ts';
import { ioredisWire } from '../../src/redis/ioredis.ts';
import { nodeRedisWire } from '../../src/redis/node-redis.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startProxy } from '../support/proxy.ts';
import { end, failureOf, ways } from './clients.ts';

const incrementing = (args: readonly string[]): boolean => args[0]?.toUpperCase() === 'INCR';

describe.each(ways)('the port $name', (way) => {
  it('comes back by itself when the server kills its connection, and counts that', async () => {
    await using raw = await connectRaw(testUrl());
    await using open = await way.open(testUrl());
    const id = await open.port.send(undefined, ['CLIENT', 'ID']);
    expect(open.port.epoch).toBe(1);
    await raw.send('CLIENT', 'KILL', 'ID', String(id));
    await vi.waitFor(() => expect(open.port.epoch).toBe(2));
    expect(await open.port.send(undefined, ['CLIENT', 'ID'])).not.toBe(id);
  });

  it('says unknown when a reply was lost, unless the client sends again by itself', async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    const key = uniqueNamespace();
    const lost = proxy.loseReplyOf(incrementing);
    const call = open.port.send(key, ['INCR', key]);
    await lost;
    if (way.resends) expect(await call).toBe(2);
    else expect(await failureOf(call)).toMatchObject({ kind: 'unknown', reply: '' });
    expect(await open.port.send(key, ['GET', key])).toBe(way.resends ? '2' : '1');
    expect(open.port.epoch).toBe(2);
  });

  it('does not call it refused when the refusal answers a second sending', async () => {
    await using raw = await connectRaw(testUrl());
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    const key = uniqueNamespace();
    const lost = proxy.loseReplyOf(incrementing, { whileCut: () => raw.send('SET', key, 'no number') });
    const failure = await failureOf(open.port.send(key, ['INCR', key]));
    await lost;
    expect(failure).toMatchObject({ kind: 'unknown', reply: way.resends ? 'ERR' : '' });
  });

  it('keeps calls that find no connection, and sends them in their order when there is one', async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url, 10_000);
    const key = uniqueNamespace();
    await goOffline(proxy, open.port);
    const calls = Array.from({ length: 100 }, (_, n) => open.port.send(key, ['RPUSH', key, String(n)]));
    await proxy.accept();
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    expect(await open.port.send(key, ['LINDEX', key, '99'])).toBe('99');
  });

  it('gives such a call up in time, and then never sends it', async () => {
    await using raw = await connectRaw(testUrl());
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url, 300);
    const key = uniqueNamespace();
    await goOffline(proxy, open.port);
    const start = performance.now();
    expect(await failureOf(open.port.send(key, ['INCR', key]))).toMatchObject({ kind: 'not-sent', reply: '' });
    expect(performance.now() - start).toBeLessThan(1_500);
    await proxy.accept();
    await vi.waitFor(() => expect(open.port.epoch).toBe(2), 5_000);
    expect(await open.port.send(undefined, ['PING'])).toBe('PONG');
    expect(await raw.send('GET', key)).toBeNull();
  });

  it('gives a call up in time that was under way when the connection broke for long', async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url, 300);
    const key = uniqueNamespace();
    let givenUp = (): void => {};
    const untilGivenUp = new Promise<void>((resolve) => (givenUp = resolve));
    const lost = proxy.loseReplyOf(incrementing, { whileCut: () => untilGivenUp });
    const start = performance.now();
    expect((await failureOf(open.port.send(key, ['INCR', key]))).kind).toBe('unknown');
    expect(performance.now() - start).toBeLessThan(1_500);
    givenUp();
    await lost;
  });

  it('fails a blocked read when its connection breaks, and reads on over the next one', async () => {
    await using raw = await connectRaw(testUrl());
    await using open = await way.open(testUrl());
    const key = uniqueNamespace();
    const reader = await open.port.dedicated();
    const id = String(await reader.send(undefined, ['CLIENT', 'ID']));
    const read = failureOf(reader.send(key, ['XREAD', 'BLOCK', '60000', 'STREAMS', key, '$']));
    await vi.waitFor(async () => expect(await raw.send('CLIENT', 'LIST', 'ID', id)).toMatch(/ cmd=xread /));
    await raw.send('CLIENT', 'KILL', 'ID', id);
    expect((await read).kind).toBe('unknown');
    await raw.send('XADD', key, '1-1', 'f', 'v');
    expect(await reader.send(key, ['XREAD', 'BLOCK', '20000', 'STREAMS', key, '0'])).toEqual([[key, [['1-1', ['f', 'v']]]]]);
  });

  it('hears again after its connection broke', async () => {
    await using raw = await connectRaw(testUrl());
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    const channel = uniqueNamespace();
    const heard: string[] = [];
    await open.port.listen(channel, (message) => heard.push(message));
    proxy.cut();
    await vi.waitFor(async () => {
      await raw.send('PUBLISH', channel, 'again');
      expect(heard).toContain('again');
    }, 5_000);
  });

  it('fails what waits when it is closed, and closes also while there is no connection', async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    await goOffline(proxy, open.port);
    const call = failureOf(open.port.send(undefined, ['PING']));
    await open.port.close();
    expect((await call).kind).toBe('not-sent');
  });

  it('can run a script after the server forgot it', async () => {
    await using open = await way.open(testUrl());
    const source = `return '${randomUUID()}'`;
    const script = { name: 'test', source, sha: createHash('sha1').update(source).digest('hex') };
    const answer = await open.port.run(script, [], []);
    // What SCRIPT FLUSH does, for this script alone: a SHA that the server never saw.
    expect(await open.port.run({ ...script, sha: script.sha.replace(/./g, '0') }, [], []).catch((error: unknown) => error)).toBe(answer);
  });
});

describe.each(ways.filter(({ name }) => name.startsWith('over')))('the port $name', (way) => {
  it('fails calls at once as not sent when its owner has closed the client', async () => {
    await using open = await way.open(testUrl());
    if (open.client) end(open.client);
    await vi.waitFor(async () => expect(await failureOf(open.port.send(undefined, ['PING']))).toMatchObject({ kind: 'not-sent' }));
  });
});

describe.each(['node-redis', 'ioredis'] as const)('a connection of %s that went silent', (library) => {
  it('is given up and made anew', async () => {
    await using proxy = await startProxy(testUrl());
    const { hostname: host, port } = new URL(proxy.url);
    const wire =
      library === 'ioredis'
        ? ioredisWire(new Redis({ host, port: Number(port), lazyConnect: true, autoResendUnfulfilledCommands: false }), true, [])
        : nodeRedisWire(createClient({ socket: { host, port: Number(port) } }), true, []);
    const silent = new ClientPort(wire, { timeoutMs: 2_000, silenceMs: 300 });
    await silent.connect();
    proxy.freeze('replies');
    expect((await failureOf(silent.send(undefined, ['PING']))).kind).toBe('unknown');
    proxy.thaw();
    await vi.waitFor(() => expect(silent.epoch).toBe(2), 5_000);
    expect(await silent.send(undefined, ['ECHO', 'back'])).toBe('back');
    await silent.close();
  });
});

/** Cuts the connection for good, and waits until the client has noticed. */
async function goOffline(
  proxy: Awaited<ReturnType<typeof startProxy>>,
  port: { send(key: undefined, args: string[]): Promise<unknown> },
): Promise<void> {
  proxy.refuse();
  proxy.cut();
  // A call made before the client has noticed is under way, not held.
  await Promise.race([port.send(undefined, ['PING']).catch(() => {}), wait(100)]);
}
