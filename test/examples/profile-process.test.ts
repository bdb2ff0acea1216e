// `npm start`, as a process: it starts, feeds, survives what it is run on, and ends in good order.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { startEmbedded } from 'millrace/embedded';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connectRaw } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';
import { type Api, apiAt, startTestService } from './client.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = `${ROOT}/build/examples/profile-service/main.js`;

beforeAll(() => {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'pipe' });
}, 120_000);

interface Program {
  readonly child: ChildProcess;
  output(): string;
  /** Waits until it has printed something. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** The exit code, or the name of the signal. */
  readonly ended: Promise<number | string>;
}

const programs: Program[] = [];

afterEach(() => {
  for (const { child } of programs.splice(0)) child.kill('SIGKILL');
});

/** Without `REDIS_URL` and with nothing on the PATH it takes the embedded engine. */
function start(env: Record<string, string> = {}): Program {
  const child = spawn(process.execPath, [MAIN], { env: { PATH: '/nowhere', PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const printed = async (pattern: RegExp): Promise<RegExpExecArray> => {
    await expect.poll(() => output, { timeout: 20_000, interval: 10 }).toMatch(pattern);
    return pattern.exec(output) as RegExpExecArray;
  };
  const program = { child, output: () => output, printed, ended };
  programs.push(program);
  return program;
}

async function apiOf(program: Program): Promise<Api> {
  const [, url = ''] = await program.printed(/answers at (\S+)\. /);
  return apiAt(url);
}

const WITHIN_A_SECOND = { timeout: 1_000, interval: 20 };

test('it needs no engine of its own, answers within seconds, feeds itself, and ends at Ctrl-C with 0', async () => {
  const startedAt = performance.now();
  const program = start();
  const api = await apiOf(program);
  expect((await api.get('/progress')).status).toBe(200);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect(program.output()).toMatch(/^Engine: embedded Valkey \S+ .*it keeps nothing when it stops\.$/m);
  await program.printed(/^Fed \d,\d{3} events in /m);
  const [, at = ''] = await program.printed(/profile\?at=(\S+)'/);
  await expect
    .poll(async () => (await api.get('/users/duffy/profile')).body, WITHIN_A_SECOND)
    .toMatchObject({
      name: 'Duffy',
      surname: 'Duck',
      birthDate: '1937-04-17',
      likedPages: ['Looney Tunes'],
      friends: [{ id: 'bugs', name: 'Bugs', surname: 'Bunny' }],
    });
  expect((await api.get(`/users/duffy/profile?at=${at}`)).body).toMatchObject({ name: 'Duffy', birthDate: null, friends: [] });
  // npm hands on the signal that the terminal has sent already.
  program.child.kill('SIGINT');
  program.child.kill('SIGINT');
  expect(await program.ended).toBe(0);
  expect(program.output()).not.toMatch(/error|warning/i);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s while it is feeding ends it just as well', async (signal) => {
  const program = start();
  await apiOf(program);
  program.child.kill(signal);
  expect(await program.ended).toBe(0);
});

test('a request that hangs holds up Ctrl-C for a few seconds at most', async () => {
  const program = start();
  const [, port = ''] = await program.printed(/answers at http:\/\/localhost:(\d+)\. /);
  const body = new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from('{')) });
  const hanging = fetch(`http://localhost:${port}/users`, {
    method: 'POST',
    body,
    duplex: 'half',
    headers: { 'content-type': 'application/json' },
  } as RequestInit).catch(() => 'cut');
  await program.printed(/^Fed /m);
  program.child.kill('SIGINT');
  expect(await program.ended).toBe(0);
  expect(await hanging).toBe('cut');
});

test('a port that is taken is said clearly, and nothing is left running', async () => {
  await using engine = await startEmbedded();
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const program = start({ PORT: String(port), REDIS_URL: engine.url });
  expect(await program.ended).toBe(1);
  expect(program.output()).toMatch(`Port ${port} is taken by another program. Choose another one: PORT=${port + 1} npm start`);
  expect(program.output()).not.toMatch(/^\s+at /m);
  await using client = await connectRaw(engine.url);
  await expect
    .poll(async () =>
      String(await client.send('CLIENT', 'LIST'))
        .trim()
        .split('\n'),
    )
    .toHaveLength(1);
  other.close();
});

test.each(['http', '70000', '-1', '3e3'])('PORT=%s is refused', async (port) => {
  const program = start({ PORT: port });
  expect(await program.ended).toBe(1);
  expect(program.output()).toMatch(`PORT must be a number from 0 (any free one) to 65535, found "${port}".`);
});

test('a REDIS_URL that leads nowhere is said clearly', async () => {
  const program = start({ REDIS_URL: 'redis://:hush-hush@127.0.0.1:1' });
  expect(await program.ended).toBe(1);
  expect(program.output()).toMatch(/REDIS_URL leads to no engine at 127\.0\.0\.1:1/);
  expect(program.output()).not.toMatch(/hush|^\s+at /m);
});

describe('on an engine that outlives it', () => {
  test('nothing is fed twice, and the lines of the article show up once, whenever it is killed', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using engine = await startEngine();
    await using redis = await connectRaw(engine.url);
    const env = { REDIS_URL: engine.url };

    const first = start(env);
    const [api] = [await apiOf(first)];
    await first.printed(/^Fed \d,\d{3} events/m);
    await redis.send('XADD', 'user_updates', '*', 'user_id', '1', 'command', 'register', 'name', 'Duffy', 'surename', 'Duck');
    await redis.send('XADD', 'user_activity', '*', 'user_id', '1', 'command', 'dislike', 'object', 'Bugs face');
    await redis.send('XADD', 'user_activity', '*', 'user_id', '1', 'command', 'fly');
    await expect.poll(async () => (await api.get('/users/1/history')).body['events'], WITHIN_A_SECOND).toHaveLength(2);
    await first.printed(/^user_activity: entry \d+-\d+ was skipped: nothing is known of the command "fly"/m);
    first.child.kill('SIGKILL');
    await first.ended;

    await redis.send('XADD', 'user_updates', '*', 'user_id', '2', 'command', 'register', 'name', 'Bugs', 'surename', 'Bunny');
    const second = start(env);
    const again = await apiOf(second);
    await second.printed(/^Fed 0 events in .*: all of them were there\.$/m);
    await redis.send('XADD', 'user_friends', '*', 'user_id', '1', 'command', 'add', 'friend_id', '2');
    await expect
      .poll(async () => (await again.get('/users/1/profile')).body, WITHIN_A_SECOND)
      .toMatchObject({ name: 'Duffy', friends: [{ id: '2', name: 'Bugs' }] });
    expect((await again.get('/users/1/history')).body['events']).toHaveLength(3);
    expect((await again.get('/users/duffy/history')).body['events']).toHaveLength(8);
    expect((await again.get('/progress')).body['sources']).toContainEqual(expect.objectContaining({ sourceKey: 'user_activity', entriesSkipped: 1 }));
    expect(await again.post('/users/1/rename', { name: 'Daffy' })).toMatchObject({ status: 200, body: { streamVersion: 2 } });
    second.child.kill('SIGINT');
    expect(await second.ended).toBe(0);
  });

  test('a feed that was killed half-way is finished by the next start', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using engine = await startEngine();
    const first = start({ REDIS_URL: engine.url });
    await apiOf(first);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = start({ REDIS_URL: engine.url });
    const api = await apiOf(second);
    await second.printed(/^Fed /m);
    await expect.poll(async () => (await api.get('/users/feed-1000/profile')).body, WITHIN_A_SECOND).toMatchObject({ name: 'Juri' });
    expect((await api.get('/users/duffy/history')).body['events']).toHaveLength(8);
  });

  test('requests get a problem document while the engine is away, and answers again when it is back', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using engine = await startEngine();
    await using service = await startTestService({ url: engine.url });
    const id = await service.register('Duffy');
    await engine.shutDown();
    const answers = await Promise.all([service.post(`/users/${id}/rename`, { name: 'Daffy' }), service.get(`/users/${id}/profile`)]);
    for (const { status, headers, body } of answers) {
      expect([status, headers.get('content-type'), headers.get('retry-after')]).toEqual([503, 'application/problem+json', '1']);
      expect(body).toMatchObject({ status: 503, title: 'Service Unavailable', detail: expect.stringMatching(/\w/) });
    }
    await engine.restart();
    await expect.poll(async () => (await service.post(`/users/${id}/rename`, { name: 'Daffy' })).status, { timeout: 10_000 }).toBe(200);
    await expect.poll(async () => (await service.get(`/users/${id}/profile`)).body, { timeout: 5_000 }).toMatchObject({ name: 'Daffy' });
  });
});
