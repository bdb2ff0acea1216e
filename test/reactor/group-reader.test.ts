// A reactor without order outlives a time in which no connection of its own can be had.
import { setTimeout as delay } from 'node:timers/promises';
import { reactor } from 'millrace';
import { expect, test } from 'vitest';
import { testUrl } from '../support/clients.ts';
import { run, until } from '../support/processors.ts';
import { startProxy } from '../support/proxy.ts';
import { note, notes, openStore } from '../support/store.ts';

const TIMEOUT_MS = 200;

test('goes on by itself when a connection for its blocking reads was refused for longer than calls may wait', async () => {
  await using proxy = await startProxy(testUrl());
  await using store = await openStore({ url: proxy.url, timeoutMs: TIMEOUT_MS });
  const handled: number[] = [];
  const collecting = reactor({ name: 'collecting', categories: [notes], order: 'none', handle: (event) => void handled.push(event.data.n) });
  proxy.refuse(); // what is connected stays
  await using running = run(store, { reactors: [collecting] });
  await delay(3 * TIMEOUT_MS);
  await proxy.accept();
  await store.append(notes.stream('1'), note(1));
  await until('it is handled', () => handled.includes(1));
  expect(running.failed).toEqual([]);
});
