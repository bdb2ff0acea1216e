// Tests `millrace ui`: where it serves the page, whom it tells what, and how it ends.
import { createServer } from 'node:net';
import type { EventStore } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../examples/engine-process.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { openStore } from '../support/store.ts';
import { reaching, runHere } from './run-cli.ts';

let namespace: string;
let store: EventStore;
let at: readonly string[];

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace });
  at = reaching(namespace);
});

afterEach(async () => await store.close());

describe('millrace ui', () => {
  test('serves the page until Ctrl-C, also while somebody looks on', async () => {
    let visit: Promise<readonly number[]> | undefined;
    const served = await runHere([...at, '-a', 'test/cli/app.ts', 'ui', '--port', '0', '--json'], {
      interruptWhen: (stdout) => {
        if (!stdout.trimEnd().endsWith('}')) return false;
        visit ??= lookAt((JSON.parse(stdout) as { url: string }).url);
        return false;
      },
      interruptAfter: () => visit,
    });
    expect(await visit).toEqual([303, 200, 200]);
    expect(served).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(served.stdout)).toMatchObject({ allowWrites: false });
  });

  test('says where it is, what it may do, and what it lacks without the code', async () => {
    const served = await runHere([...at, 'ui', '--port', '0', '--allow-writes', '--token', 'a-token-of-my-own-choice'], {
      interruptWhen: (stdout) => stdout.includes('Ctrl-C'),
    });
    expect(served.code).toBe(0);
    expect(served.stdout).toMatch(
      /^The page is at http:\/\/127\.0\.0\.1:\d+\/\?token=a-token-of-my-own-choice\nIt may act on the store\. Ctrl-C ends it\.\n$/,
    );
    expect(served.stderr).toContain('Without --app');
  });

  test('warns where others can reach it', async () => {
    const served = await runHere([...at, 'ui', '--port', '0', '--host', '0.0.0.0'], {
      interruptWhen: (_, stderr) => stderr.includes('Without --app'),
    });
    expect(served.stderr).toContain('is not encrypted');
  });

  test('says so where the port is taken, the address is none of this machine, or the token too short', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    for (const [args, words] of [
      [['--port', String(port)], 'is taken by another program'],
      [['--port', '0', '--host', '203.0.113.7'], 'is no address of this machine'],
      [['--port', '0', '--token', 'short'], 'at least 16 characters'],
      [['--port', 'many'], 'whole number'],
    ] as const) {
      const found = await runHere([...at, 'ui', ...args]);
      expect(found.stderr, words).toContain(words);
      expect(found.code, words).toBe(2);
    }
    other.close();
  });
});

/** Enters by the token, asks, and leaves a stream of events open. */
async function lookAt(url: string): Promise<readonly number[]> {
  const entered = await fetch(url, { redirect: 'manual' });
  const headers = { cookie: (entered.headers.get('set-cookie') ?? '').split(';')[0] ?? '' };
  const { origin } = new URL(url);
  const settings = await fetch(`${origin}/api/settings`, { headers });
  const live = await fetch(`${origin}/api/live`, { headers });
  return [entered.status, settings.status, live.status];
}
