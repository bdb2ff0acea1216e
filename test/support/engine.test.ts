// An engine of a test's own keeps what it was given over restarts, and ends with the test.
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectRaw } from './clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from './engine.ts';

let engine: TestEngine | undefined;

beforeEach(async ({ skip }) => {
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  engine = await startEngine();
});

afterEach(() => engine?.stop());

const own = (): TestEngine => engine ?? expect.fail('no engine was started');

async function send(...args: string[]): Promise<unknown> {
  await using client = await connectRaw(own().url);
  return await client.send(...args);
}

test('keeps its data and its address over a restart, a shutdown and a kill', async () => {
  const { url } = own();
  await send('SET', 'kept', '1');
  await own().restart();
  expect(await send('INCR', 'kept')).toBe(2);
  await own().kill();
  await expect(send('PING')).rejects.toThrow('ECONNREFUSED');
  await own().restart();
  expect(await send('INCR', 'kept')).toBe(3);
  await own().shutDown();
  await own().restart();
  expect(await send('GET', 'kept')).toBe('3');
  expect(own().url).toBe(url);
});

test('answers nothing while it is paused', async () => {
  await using client = await connectRaw(own().url);
  own().pause();
  const call = client.send('PING');
  expect(await Promise.race([call, wait(100, 'nothing')])).toBe('nothing');
  own().resume();
  expect(await call).toBe('PONG');
});

test('is gone after stop, also when it was paused', async () => {
  own().pause();
  await own().stop();
  await expect(send('PING')).rejects.toThrow('ECONNREFUSED');
});

test('takes arguments, and says what it printed when it does not start', async () => {
  await using small = await startEngine({ args: ['--maxmemory', '5mb'] });
  await using client = await connectRaw(small.url);
  expect(await client.send('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', String(5 * 1_024 * 1_024)]);
  await expect(startEngine({ args: ['--no-such-setting', '1'] })).rejects.toThrow(/no-such-setting/);
});
