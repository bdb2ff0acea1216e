// Tests `millrace try` as a newcomer sees it: live events, a document and its past, and a dead letter that goes through when it is tried again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeadLettersReply, HistoryReply, NowReply, StepReply } from '../../src/dashboard/api.ts';
import { until } from '../support/processors.ts';
import { runBinary, runHere } from './run-cli.ts';

const BINARY = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** The page of a `millrace try` that runs. */
class Tried {
  readonly #origin: string;
  readonly #cookie: string;

  constructor(origin: string, cookie: string) {
    this.#origin = origin;
    this.#cookie = cookie;
  }

  async get<Reply>(path: string): Promise<Reply> {
    return (await (await fetch(`${this.#origin}/api/${path}`, { headers: { cookie: this.#cookie } })).json()) as Reply;
  }

  async post(path: string, body: object): Promise<number> {
    const headers = { cookie: this.#cookie, 'content-type': 'application/json', 'x-millrace': 'page' };
    return (await fetch(`${this.#origin}/api/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
  }
}

describe('millrace try', () => {
  const child = spawn(process.execPath, [BINARY, 'try', '--port', '0', '--json']);
  let tried: Tried;
  let url = '';
  let engineUrl = '';

  beforeAll(async () => {
    let told = '';
    for await (const text of child.stdout.setEncoding('utf8')) {
      told += text;
      if (told.trimEnd().endsWith('}')) break;
    }
    ({ url, engineUrl } = JSON.parse(told) as { url: string; engineUrl: string });
    const entered = await fetch(url, { redirect: 'manual' });
    tried = new Tried(new URL(url).origin, (entered.headers.get('set-cookie') ?? '').split(';')[0] ?? '');
  }, 60_000);

  afterAll(() => child.kill('SIGKILL'));

  test('shows events as they come, and processors that keep up', async () => {
    const first = await tried.get<NowReply>('now');
    expect(first.processors.map(({ name }) => name)).toEqual(expect.arrayContaining(['profiles', 'pages', 'welcome-mails', 'greeter']));
    await until('more events came', async () => (await tried.get<NowReply>('now')).store.events > first.store.events);
  });

  test('shows a profile, and how it became so over three weeks, in the order of time', async () => {
    const { steps, total } = await tried.get<HistoryReply>('history?projection=profiles@1&key=daffy');
    expect(total).toBeGreaterThan(20);
    expect(new Date(steps[0]?.recordedAt ?? '').getTime()).toBeLessThan(Date.now() - 20 * 86_400_000);
    const renamed = steps.find(({ type }) => type === 'Renamed');
    const step = await tried.get<StepReply>(`step?projection=profiles@1&key=daffy&step=${renamed?.step}`);
    expect(step.changes).toContainEqual({ kind: 'changed', path: 'name', before: 'Duffy', after: 'Daffy' });
  });

  test('has a dead letter, with events that wait behind it, which goes through when it is tried again', async () => {
    const letters = async (): Promise<DeadLettersReply> => await tried.get<DeadLettersReply>('dead-letters?reactor=welcome-mails@1');
    expect((await letters()).letters).toMatchObject([{ event: { data: { name: 'Gyro' } }, attempts: 1 }]);
    expect(await tried.post('retry', { reactor: 'welcome-mails@1', ids: 'all' })).toBe(200);
    await until('it went through', async () => (await letters()).count === 0);
  });

  test('lets the command line look at the same store', async () => {
    const { stdout, code } = await runHere(['snapshots', 'profiles', 'daffy', '-u', engineUrl]);
    expect(code).toBe(0);
    expect(stdout).toContain('"Daffy"');
  });

  test('says so where its port is taken, and ends in order by Ctrl-C', async () => {
    const taken = await runBinary(['try', '--port', new URL(url).port]);
    expect(taken).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('is taken by another program') });
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
  });
});
