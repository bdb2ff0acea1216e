// Tests that a store which is larger than the memory that is given is exported, imported and verified all the same.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { category, type Event } from 'millrace';
import { expect, test } from 'vitest';
import { reaching, runBinary } from '../cli/run-cli.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { isEmbedded } from '../support/size.ts';
import { openStore } from '../support/store.ts';

/** So many in the full check; each takes about 1 KiB decoded and more, so that they do not fit into the heap below. */
const EVENTS = Number(process.env['MILLRACE_TRANSFER_EVENTS'] ?? (isEmbedded ? 5_000 : 50_000));
const AT_ONCE = 1_000;
const HEAP = { NODE_OPTIONS: '--max-old-space-size=48' };

test('in a heap of 48 MiB', { timeout: 300_000 }, async () => {
  const things = category<Event<'Happened', { readonly n: number; readonly text: string }>>('things');
  const [namespace, other] = [uniqueNamespace(), uniqueNamespace()];
  await using store = await openStore({ namespace });
  const text = 'x'.repeat(500);
  for (let from = 0; from < EVENTS; from += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, EVENTS - from) }, (_, index) => from + index);
    await Promise.all(numbers.map((n) => store.append(things.stream(`s${n % 997}`), { type: 'Happened', data: { n, text } })));
  }
  const folder = await mkdtemp(join(tmpdir(), 'millrace-large-'));
  const file = join(folder, 'events.jsonl');
  const count = EVENTS.toLocaleString('en-US');
  expect(await runBinary([...reaching(namespace), 'export', file], { env: HEAP })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`${count} events are in`),
  });
  await using _ = await openStore({ namespace: other });
  expect(await runBinary([...reaching(other), 'import', file], { env: HEAP })).toMatchObject({
    code: 0,
    stdout: `${count} events were appended; 0 were there already.\n`,
  });
  expect(await runBinary([...reaching(other), 'verify', '--all'], { env: HEAP })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`${count} events, 997 streams`),
  });
  await rm(folder, { recursive: true });
});
