// What the port promises on a sound connection, with the same sentences for every way to it.
import { createHash, randomUUID } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import type { Script } from '../../src/redis/port.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startProxy } from '../support/proxy.ts';
import { failureOf, ways } from './clients.ts';

/** A script that no server knows yet. */
function newScript(source: string): Script {
  const whole = `-- ${randomUUID()}\n${source}`;
  return { name: 'test', source: whole, sha: createHash('sha1').update(whole).digest('hex') };
}

describe.each(ways)('the port $name', (way) => {
  it('gives replies as RESP2 has them', async () => {
    await using open = await way.open(testUrl());
    const { port } = open;
    const key = uniqueNamespace();
    await port.send(key, ['HSET', `${key}:h`, '10', 'ten', '9', 'nine', '__proto__', 'p']);
    await port.send(key, ['XADD', `${key}:s`, '1-1', 'f', 'a', 'f', 'b', '2', 'c']);
    await port.send(key, ['XADD', `${key}:s`, '1-2', 'é', '€\u{1F600}']);
    await port.send(key, ['ZADD', `${key}:z`, '1.5', 'm', 'inf', 'n']);
    await port.send(key, ['SADD', `${key}:u`, 'only']);
    const entries = [
      ['1-1', ['f', 'a', 'f', 'b', '2', 'c']],
      ['1-2', ['é', '€\u{1F600}']],
    ];

    expect(await port.send(key, ['HGETALL', `${key}:h`])).toEqual(['10', 'ten', '9', 'nine', '__proto__', 'p']);
    expect(await port.send(key, ['XRANGE', `${key}:s`, '-', '+'])).toEqual(entries);
    expect(await port.send(key, ['XREAD', 'STREAMS', `${key}:s`, `${key}:none`, '0', '0'])).toEqual([[`${key}:s`, entries]]);
    expect(await port.send(key, ['XREAD', 'STREAMS', `${key}:none`, '0'])).toBeNull();
    expect(await port.send(key, ['ZRANGE', `${key}:z`, '0', '-1', 'WITHSCORES'])).toEqual(['m', '1.5', 'n', 'inf']);
    expect(await port.send(key, ['ZSCORE', `${key}:z`, 'm'])).toBe('1.5');
    expect(await port.send(key, ['SMEMBERS', `${key}:u`])).toEqual(['only']);
    expect(await port.send(key, ['SISMEMBER', `${key}:u`, 'only'])).toBe(1);
    expect(await port.send(key, ['GET', `${key}:none`])).toBeNull();
    expect(await port.send(key, ['SET', `${key}:t`, ''])).toBe('OK');
    expect(await port.send(key, ['GET', `${key}:t`])).toBe('');
    expect(await port.send(undefined, ['INFO', 'server'])).toMatch(/^# Server\r\n/);
    expect(await port.send(key, ['XINFO', 'STREAM', `${key}:s`])).toEqual(expect.arrayContaining(['length', 2, 'last-generated-id', '1-2']));
    const script = newScript("redis.setresp(3) return {true, false, 7, '7', {double = 0.5}, {map = {a = true}}}");
    expect([
      [1, null, 7, '7', '0.5', ['a', 1]],
      [1, 0, 7, '7', '0.5', ['a', 1]],
    ]).toContainEqual(await port.run(script, [], []));
  });

  it('runs what is called in one turn in the order of the calls, and fails only what the server refuses', async () => {
    await using open = await way.open(testUrl());
    const key = uniqueNamespace();
    const calls = Array.from({ length: 1_000 }, (_, n) => open.port.send(key, n === 500 ? ['HGET', key, 'f'] : ['RPUSH', key, String(n)]));
    const settled = await Promise.allSettled(calls);

    expect(settled.map(({ status }) => status).filter((status) => status === 'rejected')).toHaveLength(1);
    expect(await failureOf(calls[500] as Promise<unknown>)).toMatchObject({ kind: 'refused', reply: 'WRONGTYPE' });
    const kept = Array.from({ length: 1_000 }, (_, n) => String(n)).filter((n) => n !== '500');
    expect(await open.port.send(key, ['LRANGE', key, '0', '-1'])).toEqual(kept);
  });

  it('loads a script once that the server does not know, however many wait for it, and keeps their order', async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    const key = uniqueNamespace();
    const script = newScript("return redis.call('RPUSH', KEYS[1], ARGV[1])");
    let loads = 0;
    void proxy.seen((args) => (args[1] === 'LOAD' && args[2] === script.source ? ++loads > 1 : false));
    const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => open.port.run(script, [key], [String(n)])));

    expect(replies).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(await open.port.send(key, ['LRANGE', key, '0', '-1'])).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
    expect(loads).toBe(1);
  });

  it('takes 3,000 arguments, and gives an error that a script raises as refused', async () => {
    await using open = await way.open(testUrl());
    const args = Array.from({ length: 3_000 }, (_, n) => `${n}é`.repeat(n % 7));
    expect(await open.port.run(newScript('return {#KEYS, #ARGV, ARGV[2999]}'), ['k'], args)).toEqual([1, 3_000, args[2_998]]);
    expect(await failureOf(open.port.run(newScript("return redis.error_reply('MYCODE no')"), [], []))).toMatchObject({
      kind: 'refused',
      reply: 'MYCODE',
    });
  });

  it('stays usable after a reply with an error nested in it', async () => {
    await using open = await way.open(testUrl());
    await open.port.run(newScript("return {1, redis.pcall('NONSENSE')}"), [], []).catch(() => {});
    expect(await open.port.send(undefined, ['ECHO', 'still here'])).toBe('still here');
  });

  it('ends a blocked read at once on close, and leaves nothing of it on the server', async () => {
    await using raw = await connectRaw(testUrl());
    await using open = await way.open(testUrl());
    const key = uniqueNamespace();
    const reader = await open.port.dedicated();
    const id = await reader.send(undefined, ['CLIENT', 'ID']);
    const read = failureOf(reader.send(key, ['XREAD', 'BLOCK', '60000', 'STREAMS', key, '$']));
    await vi.waitFor(async () => expect(await raw.send('CLIENT', 'LIST', 'ID', String(id))).toMatch(/ cmd=xread /));

    await reader.close();
    expect((await read).kind).toBe('unknown');
    await vi.waitFor(async () => expect(await raw.send('CLIENT', 'LIST', 'ID', String(id))).toBe(''));
    expect((await failureOf(reader.send(key, ['PING']))).kind).toBe('not-sent');
    expect(await open.port.send(undefined, ['PING'])).toBe('PONG');
  });

  it('delivers to a blocked read, beside which other calls go on', async () => {
    await using open = await way.open(testUrl());
    const key = uniqueNamespace();
    const reader = await open.port.dedicated();
    const read = reader.send(key, ['XREAD', 'BLOCK', '20000', 'STREAMS', key, '0']);
    await open.port.send(key, ['XADD', key, '1-1', 'f', 'v']);
    expect(await read).toEqual([[key, [['1-1', ['f', 'v']]]]]);
    expect(await reader.send(key, ['XREAD', 'BLOCK', '5', 'STREAMS', key, '1-1'])).toBeNull();
  });

  it('listens until told to stop, each listener for itself', async () => {
    await using open = await way.open(testUrl());
    const channel = uniqueNamespace();
    const heard: string[] = [];
    const listener = (message: string): void => void heard.push(message);
    const stop = await open.port.listen(channel, listener);
    const stopSecond = await open.port.listen(channel, listener);
    await open.port.send(undefined, ['PUBLISH', channel, 'é1']);
    await vi.waitFor(() => expect(heard).toEqual(['é1', 'é1']));

    await stopSecond();
    await open.port.send(undefined, ['PUBLISH', channel, '2']);
    await vi.waitFor(() => expect(heard).toEqual(['é1', 'é1', '2']));
    await stop();
    expect(await open.port.send(undefined, ['PUBLISH', channel, '3'])).toBe(0);
    expect(heard).toHaveLength(3);
  });

  it("is closed with everything that it opened, twice if need be, and leaves a caller's client as it was", async () => {
    await using proxy = await startProxy(testUrl());
    await using open = await way.open(proxy.url);
    await open.port.dedicated();
    await open.port.listen(uniqueNamespace(), () => {});
    await open.port.close();
    await open.port.close();

    expect((await failureOf(open.port.send(undefined, ['PING']))).kind).toBe('not-sent');
    await vi.waitFor(() => expect(proxy.connections).toBe(open.client ? 1 : 0));
    if (open.client && 'isReady' in open.client) expect(await open.client.sendCommand(['ECHO', 'mine'], { typeMapping: {} })).toBe('mine');
    else expect(open.client?.status ?? 'ready').toBe('ready');
  });
});
