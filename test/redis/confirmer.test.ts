// What is taken for confirmed where connections lead elsewhere than they did: only what was asked of the server that holds it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PreparedAppend } from '../../src/redis/batch.ts';
import { openPort } from '../../src/redis/client.ts';
import { Keys } from '../../src/redis/keys.ts';
import type { RedisPort } from '../../src/redis/port.ts';
import { Writer } from '../../src/redis/writer.ts';
import { connectRaw, testClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';
import { type Replicated, startReplicated } from '../support/replicated.ts';

const LIMIT_MS = 300;

function plain(n: number): PreparedAppend {
  return { kind: 'plain', category: 'notes', streamName: 'notes:1', expected: 'any', type: 'Noted', data: String(n), bytes: 1 };
}

/** A port like another one, but for its dedicated connections. */
function withDedicated(port: RedisPort, dedicated: RedisPort['dedicated']): RedisPort {
  return {
    isCluster: port.isCluster,
    get epoch() {
      return port.epoch;
    },
    send: (key, args) => port.send(key, args),
    sendEach: (args) => port.sendEach(args),
    run: (...args) => port.run(...args),
    listen: (...args) => port.listen(...args),
    dedicated,
    close: () => port.close(),
  };
}

/** A port whose WAIT goes out on a connection that was made behind the commands in front of it. */
async function reconnecting(port: RedisPort): Promise<RedisPort> {
  const [before, after] = await Promise.all([port.dedicated(), port.dedicated()]);
  let epoch = 1;
  return {
    ...withDedicated(before, () => before.dedicated()),
    get epoch() {
      return epoch;
    },
    send: (key, args) => {
      if (args[0] !== 'WAIT') return before.send(key, args);
      epoch += 1;
      return after.send(key, args);
    },
  };
}

describe('a batch', () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why) skip(why);
  });

  let pair: Replicated;
  let keys: Keys;
  let port: RedisPort;

  beforeAll(async () => {
    if (whyNoEngine()) return;
    pair = await startReplicated(['--appendfsync', 'always']);
    port = await openPort({ url: pair.primary.url, library: testClient() });
    keys = new Keys(uniqueNamespace(), 1);
  });

  afterAll(async () => {
    if (whyNoEngine()) return;
    await port.close();
    await pair[Symbol.asyncDispose]();
  });

  const writerOver = (over: RedisPort): Writer =>
    new Writer(over, keys, { timeoutMs: 5_000, waited: { durability: { replicas: 1, timeoutMs: LIMIT_MS }, proof: 'wait' } });

  test('is not confirmed by a wait on a connection that has written nothing', async () => {
    const writer = writerOver(withDedicated(port, async () => await reconnecting(port)));
    pair.hold();
    expect(await writer.append(0, plain(1))).toMatchObject({ kind: 'unconfirmed', shortfall: { confirmed: 0 } });
    pair.release();
    await writer.close();
  });

  test.each(['a replica', 'a server of its own'])('is confirmed in the end, once, where the connection to wait on first led to %s', async (where) => {
    await using other = await startEngine();
    const elsewhere = await openPort({ url: where === 'a replica' ? pair.replica.url : other.url, library: testClient() });
    let count = 0;
    const writer = writerOver(withDedicated(port, (key) => ((count += 1) === 1 ? elsewhere.dedicated(key) : port.dedicated(key))));
    await using raw = await connectRaw(pair.primary.url);
    const before = Number(await raw.send('LLEN', keys.stream(0, 'notes:1')));
    expect(await writer.append(0, plain(2))).toMatchObject({ kind: 'appended' });
    expect(count).toBe(2);
    expect(await raw.send('LLEN', keys.stream(0, 'notes:1'))).toBe(before + 1);
    await writer.close();
    await elsewhere.close();
  });

  test('that came before is confirmed only where it is still as it was read', async () => {
    const writer = writerOver(port);
    const key = keys.result(0, 'once');
    await port.send(key, ['SET', key, 'first']);
    expect(await writer.confirm(0, { args: ['GET', key], reply: 'first' })).toBeUndefined();
    pair.hold();
    expect(await writer.confirm(0, { args: ['GET', key], reply: 'first' })).toMatchObject({ asked: 1, confirmed: 0 });
    pair.release();
    await port.send(key, ['SET', key, 'of another server']);
    const shortfall = await writer.confirm(0, { args: ['GET', key], reply: 'first' });
    expect(shortfall).toMatchObject({ confirmed: 0, why: 'another server seems to have taken over, and does not have it' });
    await writer.close();
  });
});
