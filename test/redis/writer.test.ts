// What the writer promises where one batch is sent again and again while others go on beside it.
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openPort } from '../../src/redis/client.ts';
import { Keys } from '../../src/redis/keys.ts';
import { PortError, type RedisPort, type Reply, type Script } from '../../src/redis/port.ts';
import { Writer } from '../../src/redis/writer.ts';
import type { PreparedAppend } from '../../src/redis/batch.ts';
import { connectRaw, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { isAppend } from '../support/faults.ts';
import { startProxy } from '../support/proxy.ts';

/** A port whose first batch is run, its reply lost, and its next sending late. */
function losingPort(port: RedisPort, lateMs: number): RedisPort {
  let first: string | undefined;
  const run = async (script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> => {
    if (script.name !== 'append') return await port.run(script, keys, args);
    const batch = `${keys[0]} ${args[0]}`;
    if (batch === first) await wait(lateMs);
    const reply = await port.run(script, keys, args);
    if (first !== undefined) return reply;
    first = batch;
    throw new PortError('unknown', '', 'the reply was lost');
  };
  return {
    run,
    send: (key, args) => port.send(key, args),
    sendEach: (args) => port.sendEach(args),
    isCluster: false,
    epoch: 1,
    dedicated: (key) => port.dedicated(key),
    listen: (...args) => port.listen(...args),
    close: () => port.close(),
  };
}

function append(n: number): PreparedAppend {
  return { kind: 'plain', category: 'notes', streamName: 'notes:1', expected: 'any', type: 'Noted', data: String(n), bytes: 1 };
}

test('a batch in doubt is still remembered when it is sent again, however many others could have gone by', async () => {
  await using raw = await connectRaw(testUrl());
  const port = await openPort({ url: testUrl(), library: testClient() });
  const keys = new Keys(uniqueNamespace(), 1);
  const writer = new Writer(losingPort(port, 300), keys, { timeoutMs: 5_000 });
  const inDoubt = writer.append(0, append(0));
  let isSettled = false;
  void inDoubt.finally(() => (isSettled = true)).catch(() => undefined);
  let count = 1;
  for (; !isSettled; count += 1) await writer.append(0, append(count));
  expect(await inDoubt).toMatchObject({ kind: 'appended', versions: [1] });
  expect(count).toBeGreaterThan(5);
  expect(await raw.send('LLEN', keys.stream(0, 'notes:1'))).toBe(count);
  await port.close();
});

test('a batch that goes to a server which lost the last ones makes their category known there again', async () => {
  await using raw = await connectRaw(testUrl());
  await using proxy = await startProxy(testUrl());
  const port = await openPort({ url: proxy.url, library: testClient() });
  const keys = new Keys(uniqueNamespace(), 1);
  const writer = new Writer(port, keys, { timeoutMs: 5_000 });
  await writer.append(0, append(1));
  // As after a failover to a replica that got the writer's record, and not the first append to the category.
  const lose = async (): Promise<unknown> => await raw.send('DEL', keys.categories(0), keys.log(0, 'notes'), keys.stream(0, 'notes:1'));
  const lost = proxy.loseCommand(isAppend, { whileCut: lose });
  expect(await writer.append(0, append(2))).toMatchObject({ kind: 'appended', versions: [1] });
  await lost;
  expect(await raw.send('SMEMBERS', keys.categories(0))).toEqual(['notes']);
  await port.close();
});
