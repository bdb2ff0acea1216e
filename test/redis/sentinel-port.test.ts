// What the port promises over a primary that sentinels watch: it finds it, and goes on at the one that takes over.
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { whyNoEngine } from '../support/engine.ts';
import { startSentinels, type TestSentinels } from '../support/sentinel.ts';
import { waysToSentinels } from './cluster-ways.ts';

const access = { password: 'pass/w@rd-5ecret', sentinelPassword: 'sent!nel' };
const LONG_MS = 90_000;
const why = whyNoEngine();

beforeEach(({ skip }) => {
  if (why !== undefined) skip(why);
});

let setUp: TestSentinels;

beforeEach(async () => {
  if (why === undefined) setUp = await startSentinels(access);
}, LONG_MS);

afterEach(async () => {
  await setUp?.stop();
}, LONG_MS);

describe('the port to what sentinels watch over', { timeout: LONG_MS }, () => {
  it('goes on at the replica that took over, with calls, blocking reads and channels; one sentinel less does not matter', async () => {
    const opened = await Promise.all(waysToSentinels.map((way) => way.open(setUp, access, 30_000)));
    const key = uniqueNamespace();
    const heard = new Set<number>();
    const readers = await Promise.all(opened.map(({ port }) => port.dedicated(key)));
    await Promise.all(opened.map(({ port }, n) => port.listen(key, () => heard.add(n))));
    const epochs = opened.map(({ port }) => port.epoch);
    for (const [n, { port }] of opened.entries()) expect(await port.send(key, ['SET', `${key}:${n}`, 'before'])).toBe('OK');
    expect(opened.map(({ port }) => port.isCluster)).toEqual(opened.map(() => false));

    await setUp.killSentinel(0);
    const before = await setUp.primary();
    const next = await setUp.failover();
    expect(next).not.toBe(before);
    for (const [n, { port }] of opened.entries()) {
      const set = async (): Promise<unknown> => await port.send(key, ['SET', `${key}:${n}`, 'after']).catch((error: unknown) => error);
      await expect.poll(set, { timeout: 30_000, message: waysToSentinels[n]?.name ?? '' }).toBe('OK');
      expect(port.epoch).toBeGreaterThan(epochs[n] ?? 0);
      expect(await setUp.send(next, 'GET', `${key}:${n}`)).toBe('after');
      const get = async (): Promise<unknown> => await readers[n]?.send(key, ['GET', `${key}:${n}`]).catch((error: unknown) => error);
      await expect.poll(get, { timeout: 30_000 }).toBe('after');
    }
    const tell = async (): Promise<number> => {
      await opened[0]?.port.send(undefined, ['PUBLISH', key, 'x']);
      await delay(100);
      return heard.size;
    };
    await expect.poll(tell, { timeout: 30_000 }).toBe(opened.length);
    for (const each of opened) await each[Symbol.asyncDispose]();
  });

  it('leaves a primary that became a replica, and waits where there is none for a while', async () => {
    const opened = await Promise.all(waysToSentinels.slice(0, 3).map((way) => way.open(setUp, access, 40_000)));
    const key = uniqueNamespace();
    const primary = await setUp.primary();
    await setUp.kill(primary);
    // Nobody is the primary yet: these wait for the one that will be, or were on their way to the dead one.
    const outcomes = await Promise.all(
      opened.map(async ({ port }) => {
        await port.send(key, ['INCR', key]).catch(() => undefined);
        return await port.send(key, ['INCR', key]).catch((error: unknown) => error);
      }),
    );
    for (const outcome of outcomes) expect(outcome).toBeTypeOf('number');
    await setUp.restart(primary);
    expect(await setUp.primary()).not.toBe(primary);
    for (const each of opened) await each[Symbol.asyncDispose]();
  });
});
