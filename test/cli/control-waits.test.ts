// Tests commands that wait: beside appends that go on, where nobody works on what they wait for, and at Ctrl-C.
import { type EventStore, StreamProcessor } from 'millrace';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { project } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { failsAt, profiles, reactors, users } from './app.ts';
import { reaching, runHere } from './run-cli.ts';

let namespace: string;
let store: EventStore;
let at: readonly string[];

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 1 });
  at = reaching(namespace);
  failsAt.clear();
  failsAt.add('Fails');
});

afterEach(async () => {
  await store.close();
});

async function register(name: string): Promise<void> {
  await store.append(users.stream('1'), { type: 'Registered', data: { name } });
}

test('a new version is built here and flipped to while appends go on', async () => {
  await register('Duffy');
  await project(store, profiles);
  let isOver = false;
  const appends = (async () => {
    while (!isOver) await register('Daffy');
  })();
  try {
    const built = await runHere([...at, '-a', 'test/cli/app.ts', 'rebuild', 'profiles@2', '--run', '--flip']);
    expect(built).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('profiles@2 serves') });
  } finally {
    isOver = true;
    await appends;
  }
});

test('who waits for a projection that nobody runs is told so, and at Ctrl-C what stays', async () => {
  await register('Duffy');
  await project(store, profiles);
  await register('Daffy');
  const waited = await runHere([...at, 'rebuild', 'profiles@1'], { interruptWhen: (_, stderr) => stderr.includes('Nobody runs profiles@1') });
  expect(waited).toMatchObject({ code: 130, stdout: '', stderr: expect.stringContaining('keeps what it has folded') });
});

test('who waits for letters of a reactor that nobody runs, or that is paused, is told so, and at Ctrl-C what stays', async () => {
  await register('Fails');
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
  const retry = [...at, 'dead-letters', 'retry', 'mails', '--all', '--wait'];
  const waited = await runHere(retry, { interruptWhen: (_, stderr) => stderr.includes('Nobody runs mails@1') });
  expect(waited).toMatchObject({ code: 130, stdout: '', stderr: expect.stringContaining('asked for stay so') });
  await runHere([...at, 'pause', 'mails']);
  const paused = await runHere(retry, { interruptWhen: (_, stderr) => stderr.includes('mails@1 is paused') });
  expect(paused).toMatchObject({ code: 130, stderr: expect.stringContaining('millrace resume mails@1') });
});
