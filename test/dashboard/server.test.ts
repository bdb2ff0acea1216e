// Tests the page's server over real HTTP: what it answers, whom it lets in, what it refuses, and where it can be mounted.
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type EventStore, InvalidInputError, ProcessorControl, reactor, StreamProcessor } from 'millrace';
import { type Dashboard, dashboard, type DashboardOptions } from 'millrace/dashboard';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serveWithExpress } from '../../examples/docs/mount-express.ts';
import { serveWithFastify } from '../../examples/docs/mount-fastify.ts';
import { serveWithHono } from '../../examples/docs/mount-hono.ts';
import { servePage } from '../../examples/docs/mount-node.ts';
import { freePort } from '../../examples/engine-process.ts';
import type { CompareReply, DeadLettersReply, EventReply, EventsReply, HistoryReply, NowReply, StepReply } from '../../src/dashboard/api.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { lists, sums, until } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

let store: EventStore;
let page: Dashboard;
let server: Server;
let origin: string;
let cookie: string;

const failing = reactor({
  name: 'failing',
  categories: [marks],
  retry: { attempts: 1 },
  handle: ({ data }) => (data.n < 0 ? Promise.reject(new Error('no')) : undefined),
});

async function serve(options: DashboardOptions = {}): Promise<void> {
  page = dashboard(store, { projections: [sums(), sums('sums', 2), lists()], ...options });
  server = createServer(page.node).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const entered = await fetch(page.url(origin), { redirect: 'manual' });
  cookie = (entered.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
}

async function close(): Promise<void> {
  page.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

beforeEach(async () => {
  store = await openStore({ namespace: uniqueNamespace(), partitions: 1 });
  for (let n = 0; n < 3; n += 1) await store.append(notes.stream(`s${n}`), someNotes(4));
  await store.append(marks.stream('s0'), { ...note(-1), metadata: { causationId: 'notes:s0@1' } });
});

afterEach(async () => {
  await close();
  await store.close();
});

async function get<Reply>(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly body: Reply; readonly headers: Headers }> {
  const response = await fetch(`${origin}/api/${path}`, { headers: { cookie, ...headers } });
  return { status: response.status, body: (await response.json()) as Reply, headers: response.headers };
}

async function post(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly body: { error?: { code: string; message: string } } & Record<string, unknown> }> {
  const all = { cookie, 'content-type': 'application/json', 'x-millrace': 'page', ...headers };
  const response = await fetch(`${origin}/api/${path}`, {
    method: 'POST',
    headers: all,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as never };
}

describe('what it answers', () => {
  beforeEach(async () => {
    await using processor = new StreamProcessor(store, { projections: [sums(), sums('sums', 2), lists()], reactors: [failing] });
    await processor.runUntilCaughtUp();
    await serve();
  });

  test('is the store as it is now, with a past of its own, and live', async () => {
    const { body } = await get<NowReply>('now');
    expect(body.store).toMatchObject({ events: 13, partitions: 1 });
    expect(body.processors.map(({ name }) => name)).toEqual(['lists', 'sums', 'sums', 'failing']);
    expect(body.samples.length).toBeGreaterThan(0);
    expect((await get('settings')).body).toMatchObject({ partitions: 1, allowWrites: false, projections: ['sums@1', 'sums@2', 'lists@1'] });
    const live = await fetch(`${origin}/api/live`, { headers: { cookie } });
    expect(live.headers.get('content-type')).toBe('text/event-stream');
    const [first] = await eventsOf(live, 2);
    expect(first).toMatchObject({ name: 'now', data: { store: { events: 13 } } });
  });

  test('is events by stream, category, type and time, a page at a time', async () => {
    const all = await get<EventsReply>('events?limit=5');
    expect(all.body.events).toHaveLength(5);
    expect(all.body.events[0]).toMatchObject({ streamName: 'marks:s0' });
    const rest = await get<EventsReply>(`events?limit=500&from=${all.body.next}`);
    expect(rest.body.events).toHaveLength(8);
    expect(rest.body.next).toBeUndefined();
    const stream = await get<EventsReply>('events?stream=notes:s1&limit=3');
    expect(stream.body.events.map(({ streamVersion }) => streamVersion)).toEqual([4, 3, 2]);
    expect(stream.body.next).toBe('1');
    expect((await get<EventsReply>('events?stream=notes:s1&from=2&direction=forward')).body.events).toHaveLength(3);
    expect((await get<EventsReply>('events?category=marks')).body.events).toHaveLength(1);
    expect((await get<EventsReply>('events?type=Nothing')).body).toMatchObject({ events: [], isCutShort: false });
    expect((await get<EventsReply>(`events?from=2020-01-01T00:00:00Z`)).body.events).toEqual([]);
    expect((await get('categories')).body).toEqual({
      categories: [
        { category: 'marks', events: 1 },
        { category: 'notes', events: 12 },
      ],
    });
    expect((await get('streams?category=notes&startsWith=s1')).body).toMatchObject({
      streams: [{ streamName: 'notes:s1', events: 4 }],
      hasMore: false,
    });
  });

  test('is one event, with its cause and effects', async () => {
    expect((await get<EventReply>('event?stream=notes:s0&version=1')).body).toMatchObject({
      event: { id: 'notes:s0@1' },
      effects: [{ streamName: 'marks:s0' }],
    });
    expect((await get<EventReply>('event?id=marks:s0@1')).body).toMatchObject({ cause: { id: 'notes:s0@1' } });
    expect((await get('event?stream=notes:s0&version=9')).status).toBe(404);
    expect((await get('event?position=then')).status).toBe(400);
  });

  test('is a document, and how each of its events changed it', async () => {
    expect((await get('documents?projection=sums@1&startsWith=s')).body).toEqual({ keys: ['s0', 's1', 's2'], hasMore: false });
    expect((await get('document?projection=sums@1&key=s0')).body).toMatchObject({ state: { count: 4, sum: 10 } });
    const { body } = await get<HistoryReply>('history?projection=lists@1&key=s0');
    expect(body.total).toBe(5);
    expect(body.steps.map(({ streamName }) => streamName)).toEqual([...Array.from({ length: 4 }, () => 'notes:s0'), 'marks:s0']);
    expect((await get<StepReply>('step?projection=lists@1&key=s0&step=5')).body).toMatchObject({
      before: [1, 2, 3, 4],
      after: [1, 2, 3, 4, -1],
      changes: [{ kind: 'added', path: '4', after: -1 }],
    });
    expect((await get<StepReply>('step?projection=lists@1&key=s0&step=1')).body).toMatchObject({ before: null, after: [1] });
    expect((await get('step?projection=lists@1&key=s0&step=6')).status).toBe(404);
    expect((await get('history?projection=others@1&key=s0')).body).toMatchObject({
      error: { code: 'code-missing', message: expect.stringContaining('--app') },
    });
  });

  test('of long pasts keeps steps right, whichever is asked for', async () => {
    await store.append(notes.stream('long'), someNotes(1_000));
    const { body } = await get<HistoryReply>('history?projection=sums@1&key=long');
    expect(body.total).toBe(1_000);
    for (const step of [1, 50, 51, 999, 1_000]) {
      const reply = await get<StepReply>(`step?projection=sums@1&key=long&step=${step}`);
      expect(reply.body.after).toEqual({ count: step, sum: (step * (step + 1)) / 2 });
    }
  });

  test('is dead letters, and what differs between versions', async () => {
    expect((await get<DeadLettersReply>('dead-letters?reactor=failing@1')).body).toMatchObject({ count: 1, letters: [{ error: { message: 'no' } }] });
    expect((await get<CompareReply>('compare?first=sums@1&second=sums@2')).body).toEqual({ differences: [], hasMore: false });
    expect((await get<CompareReply>('compare?first=sums@1&second=lists@1')).body.differences).toHaveLength(3);
  });

  test('follows events as they come, and ends when the reader goes', async () => {
    const ending = new AbortController();
    const following = await fetch(`${origin}/api/follow?category=notes`, { headers: { cookie }, signal: ending.signal });
    await store.append(notes.stream('new'), note(7));
    const [first] = await eventsOf(following, 1);
    expect(first).toMatchObject({ name: 'event', data: { streamName: 'notes:new', data: { n: 7 } } });
    ending.abort();
  });

  test('of what it does not know, or what is too much, says so', async () => {
    expect((await get('nothing')).status).toBe(404);
    expect((await get('constructor')).status).toBe(404);
    expect((await get('events?limit=100000')).status).toBe(400);
    expect((await get('documents?projection=sums')).status).toBe(400);
    expect((await fetch(`${origin}/../../package.json`, { headers: { cookie } })).status).toBe(404);
    expect((await fetch(`${origin}/page.js`, { method: 'DELETE', headers: { cookie } })).status).toBe(405);
  });

  test('of a store that is closed says so', async () => {
    await store.close();
    const { status, body } = await get<{ error: { code: string } }>('categories');
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'store-closed' });
  });
});

describe('who is let in', () => {
  beforeEach(async () => await serve());

  test('is who brings the token, once; it goes into a cookie that no script sees', async () => {
    const entered = await fetch(page.url(origin), { redirect: 'manual' });
    expect(entered.status).toBe(303);
    expect(entered.headers.get('location')).toBe('/');
    expect(entered.headers.get('set-cookie')).toMatch(/^millrace-[0-9a-f]{8}=.*; HttpOnly; SameSite=Strict; Path=\/$/);
    expect((await fetch(`${origin}/api/settings`)).status).toBe(401);
    expect((await fetch(`${origin}/?token=${'x'.repeat(32)}`)).status).toBe(401);
    expect((await fetch(`${origin}/api/settings?token=${page.token}`)).status).toBe(401);
    expect((await get('settings')).status).toBe(200);
  });

  test('is told so in words, as a page where a person opened one', async () => {
    const refusedPage = await fetch(origin, { headers: { accept: 'text/html,*/*' } });
    expect(refusedPage.status).toBe(401);
    expect(refusedPage.headers.get('content-type')).toContain('text/html');
    expect(await refusedPage.text()).toContain('Expected the token of this page, found none or another one.');
    expect(refusedPage.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  test('gets headers that let a browser do as little as possible', async () => {
    for (const path of ['/', '/page.js', '/page.css', '/api/settings', '/nothing']) {
      const { headers } = await fetch(`${origin}${path}`, { headers: { cookie } });
      expect(headers.get('content-security-policy'), path).toContain("default-src 'none'; script-src 'self'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
    }
    expect((await get('settings')).headers.get('cache-control')).toBe('no-store');
  });

  test('is nobody who comes by another name, or from another origin', async () => {
    const status = (headers: Record<string, string>, path = '/api/settings'): Promise<number> =>
      new Promise((resolve, reject) => {
        httpRequest(`${origin}${path}`, { headers: { cookie, ...headers } }, (response) => resolve(response.resume().statusCode ?? 0))
          .on('error', reject)
          .end();
      });
    expect(await status({})).toBe(200);
    expect(await status({ host: 'evil.example' })).toBe(403);
    expect(await status({ host: 'evil.example:80' })).toBe(403);
    expect(await status({ host: '127.0.0.1.evil.example' })).toBe(403);
    expect(await status({ origin: 'http://evil.example' })).toBe(403);
    expect(await status({ origin: 'null' })).toBe(403);
    expect(await status({ origin: `http://127.0.0.1:1` })).toBe(403);
    expect(await status({ origin })).toBe(200);
    expect(await status({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'same-site' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'same-origin' })).toBe(200);
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect(await status(link, '/')).toBe(200);
    expect(await status({ ...link, 'sec-fetch-dest': 'iframe' }, '/')).toBe(403);
  });

  test('is told by options, which are checked', async () => {
    for (const options of [
      { access: 'short' },
      { access: 'with spaces and so on' },
      { basePath: 'millrace' },
      { basePath: '/millrace/' },
      { basePath: '/"><script>' },
    ] as const)
      expect(await errorOf(Promise.resolve().then(() => dashboard(store, options)))).toBeInstanceOf(InvalidInputError);
  });

  test('may only look', async () => {
    expect(await post('pause', { target: 'sums@1' })).toMatchObject({
      status: 403,
      body: { error: { code: 'read-only', message: expect.stringContaining('--allow-writes') } },
    });
    expect((await fetch(`${origin}/api/pause`, { headers: { cookie } })).status).toBe(404);
  });
});

describe('what it does where writes are allowed', () => {
  beforeEach(async () => {
    await using processor = new StreamProcessor(store, { projections: [sums(), sums('sums', 2)], reactors: [failing] });
    await processor.runUntilCaughtUp();
    await serve({ allowWrites: true });
  });

  test('is what the command line does', async () => {
    expect((await post('pause', { target: 'sums@1' })).status).toBe(200);
    expect((await new ProcessorControl(store).progress(sums())).isPaused).toBe(true);
    expect((await post('resume', { target: 'sums@1' })).status).toBe(200);
    expect(await post('serve', { target: 'sums@2' })).toMatchObject({ status: 200, body: {} });
    expect(await post('serve', { target: 'sums@1' })).toMatchObject({ body: { before: 2 } });
    expect((await post('rewind', { target: 'sums@2' })).status).toBe(200);
    expect(await post('serve', { target: 'sums@2', evenIfBehind: true })).toMatchObject({ body: { before: 1 } });
    expect(await post('drop', { target: 'sums@2' })).toMatchObject({ status: 409, body: { error: { code: 'in-use' } } });
    expect((await post('drop', { target: 'sums@1' })).status).toBe(200);
    expect((await post('rewind', { target: 'failing@1', to: new Date().toISOString() })).status).toBe(200);
  });

  test('is retrying, editing and discarding dead letters', async () => {
    const id = (await get<DeadLettersReply>('dead-letters?reactor=failing@1')).body.letters[0]?.id ?? '';
    expect(await post('retry', { reactor: 'failing@1', ids: [id] })).toMatchObject({ body: { count: 1 } });
    expect(await post('retry', { reactor: 'failing@1', ids: [id], event: { type: 'Noted', data: { n: 1 } } })).toMatchObject({ body: { count: 1 } });
    expect(await post('retry', { reactor: 'failing@1', ids: 'all' })).toMatchObject({ body: { count: 1 } });
    await using processor = new StreamProcessor(store, { reactors: [failing] });
    processor.start();
    await until('it was handled', async () => (await get<DeadLettersReply>('dead-letters?reactor=failing@1')).body.count === 0);
    await store.append(marks.stream('s9'), note(-2));
    await until('another failed', async () => (await get<DeadLettersReply>('dead-letters?reactor=failing@1')).body.count === 1);
    expect(await post('discard', { reactor: 'failing@1', ids: 'all' })).toMatchObject({ body: { count: 1 } });
  });

  test('needs a body that it can read, and the header that only the page sends', async () => {
    expect((await post('pause', { target: 'sums@1' }, { 'x-millrace': '' })).status).toBe(403);
    expect((await post('pause', { target: 'sums@1' }, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post('pause', { target: 'sums@1' }, { origin: 'http://evil.example' })).status).toBe(403);
    expect((await post('pause', '[1]')).status).toBe(400);
    expect((await post('pause', '{')).status).toBe(400);
    expect((await post('pause', { target: 'sums' })).status).toBe(400);
    expect((await post('pause', { target: 'nobody@1' })).status).toBe(404);
    expect((await post('retry', { reactor: 'failing@1', ids: 7 })).status).toBe(400);
    expect((await post('retry', { reactor: 'failing@1', ids: ['1767225600000-0', '1767225600000-1'], event: { type: 'a', data: 1 } })).status).toBe(
      400,
    );
    expect((await post('nothing', {})).status).toBe(404);
    expect((await post('pause', JSON.stringify({ target: 'x'.repeat(1_100_000) }))).status).toBe(413);
  });
});

describe('mounted', () => {
  const session = { cookie: 'session=of-an-operator' };

  beforeEach(async () => await serve());

  test.each([
    ['Hono', (port: number) => Promise.resolve(serveWithHono(store, port))],
    ['Express', (port: number) => Promise.resolve(serveWithExpress(store, port))],
    ['Fastify', (port: number) => serveWithFastify(store, port)],
  ] as const)('in %s it is reached below its path, by whom the app lets in', async (_, start) => {
    const port = await freePort();
    const app = await start(port);
    const base = `http://localhost:${port}/millrace`;
    await until(
      'it listens',
      async () =>
        await fetch(base).then(
          () => true,
          () => false,
        ),
    );
    expect((await fetch(`${base}/api/settings`)).status).toBe(401);
    const settings = await fetch(`${base}/api/settings`, { headers: session });
    expect(await settings.json()).toMatchObject({ allowWrites: false });
    for (const path of ['', '/']) {
      const html = await (await fetch(`${base}${path}`, { headers: session })).text();
      expect(html).toContain('src="/millrace/page.js"');
    }
    const posted = await fetch(`${base}/api/pause`, {
      method: 'POST',
      headers: { ...session, 'content-type': 'application/json', 'x-millrace': 'page' },
      body: '{"target":"a@1"}',
    });
    expect(posted.status).toBe(403);
    const live = await fetch(`${base}/api/live`, { headers: session });
    expect(await eventsOf(live, 1)).toMatchObject([{ name: 'now' }]);
    if ('closeAllConnections' in app) app.closeAllConnections();
    await new Promise<void>((resolve) => void app.close(() => resolve()));
  });

  test('by nothing but Node it is behind its token', async () => {
    const port = await freePort();
    const own = servePage(store, port);
    await until(
      'it listens',
      async () =>
        await fetch(`http://127.0.0.1:${port}/`).then(
          () => true,
          () => false,
        ),
    );
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(401);
    own.closeAllConnections();
    own.close();
  });
});

/** The first events of a stream of events; it is left then. */
async function eventsOf(response: Response, count: number): Promise<readonly { readonly name: string; readonly data: unknown }[]> {
  const events: { name: string; data: unknown }[] = [];
  let text = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const [, name = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
      if (name !== '') events.push({ name, data: JSON.parse(data) as unknown });
    }
    if (events.length >= count) return events;
  }
  return events;
}
