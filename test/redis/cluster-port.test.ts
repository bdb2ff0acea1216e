// What the port promises over a cluster: calls find their node, follow it when a slot moves, and go on after a failover.
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RedisPort, Script } from '../../src/redis/port.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { type ClusterNode, slotOf, startCluster, type TestCluster } from '../support/cluster.ts';
import { whyNoEngine } from '../support/engine.ts';
import { failureOf } from './clients.ts';
import { waysToCluster } from './cluster-ways.ts';

const access = { password: 'pass/w@rd-5ecret' };
const LONG_MS = 60_000;
const why = whyNoEngine();

beforeEach(({ skip }) => {
  if (why !== undefined) skip(why);
});

let cluster: TestCluster;

beforeAll(async () => {
  if (why === undefined) cluster = await startCluster(access);
}, LONG_MS);

afterAll(async () => {
  await cluster?.stop();
}, LONG_MS);

/** A script that no server knows yet. */
function newScript(source: string): Script {
  const whole = `#!lua\n-- ${randomUUID()}\n${source}`;
  return { name: 'test', source: whole, sha: createHash('sha1').update(whole).digest('hex') };
}

/** One key on each primary. */
function keysEverywhere(): string[] {
  const name = uniqueNamespace();
  const wanted = [0, 1, 2];
  return wanted.map((third) => {
    for (let n = 0; ; n += 1) if (Math.floor((slotOf(`${name}:${n}`) * 3) / 16_384) === third) return `${name}:${n}`;
  });
}

/** A primary that does not serve the key. */
async function otherThan(owner: ClusterNode): Promise<ClusterNode> {
  return (await cluster.primaries()).find((node) => node !== owner) ?? expect.fail('expected another primary');
}

describe.each(waysToCluster)('the port to a cluster $name', (way) => {
  it('finds the node of each key, and runs scripts and what is asked of every primary there', async () => {
    await using open = await way.open(cluster, access);
    const { port } = open;
    const keys = keysEverywhere();
    expect(port.isCluster).toBe(true);
    await Promise.all(keys.map((key, n) => port.send(key, ['SET', key, String(n)])));
    const script = newScript("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    expect(await Promise.all(keys.map((key) => port.run(script, [key], ['10'])))).toEqual([10, 11, 12]);
    for (const [n, key] of keys.entries()) expect(await cluster.send(await cluster.ownerOf(key), 'GET', key)).toBe(String(10 + n));
    expect(await port.sendEach(['ECHO', 'here'])).toEqual(['here', 'here', 'here']);
    expect(await port.send(undefined, ['PING'])).toBe('PONG');
    expect(await failureOf(port.send(keys[0], ['LPUSH', keys[0] ?? '', 'x']))).toMatchObject({ kind: 'refused', reply: 'WRONGTYPE' });
  });

  it('runs what is called in one turn in the order of the calls, for each key', async () => {
    await using open = await way.open(cluster, access);
    const keys = keysEverywhere();
    await Promise.all(Array.from({ length: 600 }, (_, n) => open.port.send(keys[n % 3], ['RPUSH', keys[n % 3] ?? '', String(n)])));
    for (const [third, key] of keys.entries()) {
      const expected = Array.from({ length: 200 }, (_, n) => String(3 * n + third));
      expect(await open.port.send(key, ['LRANGE', key, '0', '-1'])).toEqual(expected);
    }
  });

  it('follows a slot that moves, waits while it stands half here and half there, and tells the change by its epoch', async () => {
    await using open = await way.open(cluster, access);
    const { port } = open;
    const tag = `{${uniqueNamespace()}}`;
    const keys = ['a', 'b', 'c', 'd', 'e'].map((name) => `${tag}:${name}`);
    for (const key of keys) await port.send(key, ['SET', key, key]);
    const before = port.epoch;
    const get = newScript("return redis.call('GET', KEYS[1])");
    let all: Promise<unknown> = Promise.resolve();
    let isAnswered = false;
    await cluster.moveSlot(slotOf(tag), await otherThan(await cluster.ownerOf(tag)), async () => {
      // Each of them stands somewhere.
      expect(await Promise.all(keys.map((key) => port.send(key, ['GET', key])))).toEqual(keys);
      expect(await Promise.all(keys.map((key) => port.run(get, [key], [])))).toEqual(keys);
      all = port.send(tag, ['MGET', ...keys]).finally(() => {
        isAnswered = true;
      });
      await delay(200);
      expect(isAnswered).toBe(false);
    });
    expect(await all).toEqual(keys);
    expect(port.epoch).toBeGreaterThan(before);
    expect(await port.send(tag, ['MGET', ...keys])).toEqual(keys);
  });

  it('reads on a dedicated connection at the node of a key, also when that is another one', async () => {
    await using open = await way.open(cluster, access);
    const tag = `{${uniqueNamespace()}}`;
    const reader = await open.port.dedicated(tag);
    const waiting = reader.send(tag, ['BLPOP', `${tag}:list`, '10']);
    await open.port.send(tag, ['RPUSH', `${tag}:list`, 'first']);
    expect(await waiting).toEqual([`${tag}:list`, 'first']);
    await cluster.moveSlot(slotOf(tag), await otherThan(await cluster.ownerOf(tag)));
    const next = reader.send(tag, ['BLPOP', `${tag}:list`, '10']);
    await open.port.send(tag, ['RPUSH', `${tag}:list`, 'second']);
    expect(await next).toEqual([`${tag}:list`, 'second']);
    await reader.close();
    expect(await open.port.send(tag, ['EXISTS', `${tag}:list`])).toBe(0);
  });

  it('hears a channel, wherever it is told', async () => {
    await using open = await way.open(cluster, access);
    const heard: string[] = [];
    const channel = uniqueNamespace();
    const stop = await open.port.listen(channel, (message) => heard.push(message));
    for (const node of await cluster.primaries()) await cluster.send(node, 'PUBLISH', channel, 'told');
    await expect.poll(() => heard).toEqual(['told', 'told', 'told']);
    await stop();
    await cluster.send(await cluster.ownerOf(channel), 'PUBLISH', channel, 'again');
    await open.port.send(undefined, ['PING']);
    expect(heard).toHaveLength(3);
  });

  it("refuses calls after it was closed, and leaves a caller's client as it was", async () => {
    const open = await way.open(cluster, access);
    await open.port.close();
    expect(await failureOf(open.port.send('a', ['GET', 'a']))).toMatchObject({ kind: 'not-sent' });
    const client = open.foreign?.client;
    if (client !== undefined && 'isOpen' in client) expect(client.isOpen).toBe(true);
    if (client !== undefined && 'status' in client) expect(client.status).toBe('ready');
    open.foreign?.end();
  });
});

/** Sets the key again and again until it works. */
async function untilItCanSet(port: RedisPort, key: string): Promise<void> {
  await expect.poll(async () => await port.send(key, ['SET', key, 'after']).catch(() => 'not yet'), { timeout: 20_000 }).toBe('OK');
}

describe.each(waysToCluster.slice(0, 6))('after a failover the port to a cluster $name', { timeout: LONG_MS }, (way) => {
  it('goes on at the replica that took over: with calls, blocking reads and channels', async () => {
    await using open = await way.open(cluster, access, 20_000);
    const { port } = open;
    const key = uniqueNamespace();
    const owner = await cluster.ownerOf(key);
    await port.send(key, ['SET', key, 'before']);
    const heard: string[] = [];
    // Many, so that some lie on the node that dies.
    const others = await Promise.all(Array.from({ length: 6 }, () => way.open(cluster, access, 20_000)));
    const channel = uniqueNamespace();
    for (const { port: other } of others) await other.listen(channel, () => heard.push('told'));
    const reader = await port.dedicated(key);
    const before = port.epoch;

    await cluster.kill(owner);
    // The client has not heard of it yet: what is sent now is lost, or waits for the replica.
    const outcome = await port.send(key, ['SET', key, 'during']).catch((error: unknown) => error);
    expect(['OK', 'unknown']).toContain(outcome === 'OK' ? 'OK' : (outcome as { kind: string }).kind);
    await untilItCanSet(port, key);
    expect(port.epoch).toBeGreaterThan(before);
    // The node that is asked may hear of it a moment later.
    await expect.poll(async () => (await cluster.ownerOf(key)) === owner, { timeout: 10_000 }).toBe(false);
    await expect.poll(async () => await reader.send(key, ['GET', key]).catch(() => 'not yet'), { timeout: 20_000 }).toBe('after');
    await expect
      .poll(
        async () => {
          heard.length = 0;
          await port.send(undefined, ['PUBLISH', channel, 'x']);
          await delay(100);
          return heard.length;
        },
        { timeout: 20_000 },
      )
      .toBe(others.length);
    for (const other of others) await other[Symbol.asyncDispose]();
    await cluster.restart(owner);
  });
});
