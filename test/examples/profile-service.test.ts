// The profile service over HTTP: commands, answers, and what is refused.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, startTestService, type TestService } from './client.ts';

let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});

afterAll(() => service[Symbol.asyncDispose]());

const token = ({ body }: Answer): string => String(body['token']);

/** The profile as it is after a write. */
async function profileAfter(write: Answer, id: string): Promise<Answer['body']> {
  return (await service.get(`/users/${id}/profile`, { 'millrace-token': token(write) })).body;
}

async function history(id: string): Promise<{ type: string; data: unknown; version: number; position: string; recordedAt: string }[]> {
  return (await service.get(`/users/${id}/history`)).body['events'] as Awaited<ReturnType<typeof history>>;
}

/** How many events there are, of whomever: what a refused request must not change. */
async function eventCount(): Promise<number> {
  let count = 0;
  for await (const _event of service.service.store.readAll()) count += 1;
  return count;
}

function expectProblem(answer: Answer, status: number, type: string | undefined): void {
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.status).toBe(status);
  expect(answer.body).toMatchObject({ status, title: expect.stringMatching(/\w/), detail: expect.stringMatching(/\w/) });
  expect(answer.body['type']).toBe(type === undefined ? 'about:blank' : `https://profile-service.example/problems/${type}`);
}

describe('a user', () => {
  test('is registered, and seen by the next read that carries the token', async () => {
    const registered = await service.post('/users', { name: 'Duffy', surname: 'Duck' });
    const id = String(registered.body['id']);
    expect(registered.status).toBe(201);
    expect(registered.headers.get('location')).toBe(`/users/${id}/profile`);
    expect(registered.headers.get('millrace-token')).toBe(token(registered));
    expect(registered.body).toMatchObject({ streamVersion: 1, events: [{ type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } }] });
    const found = await service.get(`/users/${id}/profile?token=${encodeURIComponent(token(registered))}`);
    expect(found.status).toBe(200);
    expect(found.body).toEqual({
      id,
      name: 'Duffy',
      surname: 'Duck',
      birthDate: null,
      knownSince: expect.stringMatching(/^\d{4}-.*Z$/),
      likedPages: [],
      friends: [],
    });
  });

  test('is renamed and gets a birth date', async () => {
    const id = await service.register('Duffy');
    await service.post(`/users/${id}/rename`, { name: 'Daffy' });
    const last = await service.post(`/users/${id}/set-birth-date`, { birthDate: '1937-04-17' });
    expect(await profileAfter(last, id)).toMatchObject({ name: 'Daffy', surname: 'Duck', birthDate: '1937-04-17' });
    const both = await service.post(`/users/${id}/rename`, { name: 'Plucky', surname: 'Drake' });
    expect(await profileAfter(both, id)).toMatchObject({ name: 'Plucky', surname: 'Drake' });
  });

  test('likes and unlikes pages, whose names may hold spaces', async () => {
    const id = await service.register('Duffy');
    await service.post(`/users/${id}/like`, { page: 'Bugs face' });
    const both = await service.post(`/users/${id}/like`, { page: 'Carrots & {co} "now": ✓' });
    expect(await profileAfter(both, id)).toMatchObject({ likedPages: ['Bugs face', 'Carrots & {co} "now": ✓'] });
    const one = await service.post(`/users/${id}/unlike`, { page: 'Bugs face' });
    expect(await profileAfter(one, id)).toMatchObject({ likedPages: ['Carrots & {co} "now": ✓'] });
  });

  test('comments and reacts, which is in the history alone', async () => {
    const id = await service.register('Duffy');
    await service.post(`/users/${id}/comment`, { object: 'Bugs face', text: 'two\nlines' });
    const last = await service.post(`/users/${id}/react`, { object: 'Bugs', reaction: 'kick' });
    expect(await profileAfter(last, id)).toMatchObject({ likedPages: [], friends: [] });
    expect(await history(id)).toMatchObject([
      { type: 'Registered', version: 1 },
      { type: 'Commented', version: 1, data: { object: 'Bugs face', text: 'two\nlines' } },
      { type: 'Reacted', version: 2, data: { object: 'Bugs', reaction: 'kick' } },
    ]);
  });

  test('befriends and unfriends, and the list shows the friends under their present names', async () => {
    const [id, bugs, porky] = [await service.register('Duffy'), await service.register('Bugs', 'Bunny'), await service.register('Porky', 'Pig')];
    await service.post(`/users/${id}/befriend`, { friendId: bugs });
    await service.post(`/users/${id}/befriend`, { friendId: porky });
    const renamed = await service.post(`/users/${porky}/rename`, { name: 'Petunia' });
    expect(await profileAfter(renamed, id)).toMatchObject({
      friends: [
        { id: bugs, name: 'Bugs', surname: 'Bunny' },
        { id: porky, name: 'Petunia', surname: 'Pig' },
      ],
    });
    const unfriended = await service.post(`/users/${id}/unfriend`, { friendId: bugs });
    expect(await profileAfter(unfriended, id)).toMatchObject({ friends: [{ id: porky }] });
  });

  test('is not changed by a command whose effect is there already', async () => {
    const id = await service.register('Duffy');
    const first = await service.post(`/users/${id}/like`, { page: 'Carrots' });
    const again = await service.post(`/users/${id}/like`, { page: 'Carrots' });
    expect(again).toMatchObject({ status: 200, body: { events: [], streamVersion: 1, token: token(first) } });
    for (const [path, body] of [
      ['unlike', { page: 'Never liked' }],
      ['rename', { name: 'Duffy' }],
    ] as const) {
      expect(await service.post(`/users/${id}/${path}`, body)).toMatchObject({ status: 200, body: { events: [] } });
    }
    expect(await history(id)).toHaveLength(2);
  });
});

describe('at a time', () => {
  test('a profile is answered as it was then, the names of friends included', async () => {
    const [id, bugs] = [await service.register('Duffy'), await service.register('Bugs', 'Bunny')];
    await service.post(`/users/${id}/befriend`, { friendId: bugs });
    await service.post(`/users/${id}/like`, { page: 'Carrots' });
    const { recordedAt: then } = (await history(id)).at(-1) ?? expect.fail('no events');
    await expect.poll(() => Date.now()).toBeGreaterThan(new Date(then).getTime() + 1);
    await service.post(`/users/${bugs}/rename`, { name: 'Honey' });
    await service.post(`/users/${id}/rename`, { name: 'Daffy' });
    const last = await service.post(`/users/${id}/unlike`, { page: 'Carrots' });
    expect(await profileAfter(last, id)).toMatchObject({ name: 'Daffy', likedPages: [], friends: [{ name: 'Honey' }] });
    const past = await service.get(`/users/${id}/profile?at=${then}`);
    expect(past).toMatchObject({ status: 200, body: { name: 'Duffy', likedPages: ['Carrots'], friends: [{ id: bugs, name: 'Bugs' }] } });
    // A zone with a plus sign that nobody escaped, and a token from a later write, which has nothing to say about then.
    const inBerlin = new Date(new Date(then).getTime() + 7_200_000).toISOString().replace('Z', '+02:00');
    expect((await service.get(`/users/${id}/profile?at=${inBerlin}`, { 'millrace-token': token(last) })).body).toEqual(past.body);
  });

  test('before it was registered, a user is unknown', async () => {
    const id = await service.register('Duffy');
    expectProblem(await service.get(`/users/${id}/profile?at=2020-01-01`), 404, 'unknown-user');
  });

  test.each(['yesterday', '', '2026-13-01T00:00:00Z', '2026-01-01T00:00:00', '1767225600000'])('%j is none', async (at) => {
    const id = await service.register('Duffy');
    const answer = await service.get(`/users/${id}/profile?at=${at}`);
    expectProblem(answer, 400, 'invalid-request');
    expect(answer.body).toMatchObject({ errors: [{ pointer: '#/at' }] });
  });
});

describe('a history', () => {
  test('comes in pages, in the order of the log, with nothing lost or doubled between them', async () => {
    const id = await service.register('Duffy');
    for (let index = 0; index < 6; index += 1) {
      await service.post(`/users/${id}/rename`, { name: `Duffy${index}` });
      await service.post(`/users/${id}/comment`, { object: 'Bugs', text: `${index}` });
    }
    const pages: unknown[][] = [];
    for (let path: string | null = `/users/${id}/history?limit=4`; path !== null; ) {
      const { status, body, headers } = await service.get(path);
      expect(status).toBe(200);
      pages.push(body['events'] as unknown[]);
      path = body['next'] as string | null;
      expect(headers.get('link')).toBe(path === null ? null : `<${path}>; rel="next"`);
    }
    expect(pages.map(({ length }) => length)).toEqual([4, 4, 4, 1]);
    expect(pages.flat()).toEqual(await history(id));
    expect((await history(id)).map(({ type }) => type)).toEqual(['Registered', ...Array.from({ length: 6 }, () => ['Renamed', 'Commented']).flat()]);
  });

  test.each(['limit=0', 'limit=1001', 'limit=many', 'limit=1&limit=2', 'after=somewhere', 'offset=3'])('with ?%s is refused', async (query) => {
    const id = await service.register('Duffy');
    const answer = await service.get(`/users/${id}/history?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });
});

describe('an unknown user', () => {
  test('is not found by reads', async () => {
    expectProblem(await service.get('/users/nobody/profile'), 404, 'unknown-user');
    expectProblem(await service.get('/users/nobody/history'), 404, 'unknown-user');
  });

  test.each([
    ['rename', { name: 'Daffy' }],
    ['set-birth-date', { birthDate: '1937-04-17' }],
    ['comment', { object: 'Bugs', text: 'so' }],
    ['react', { object: 'Bugs', reaction: 'kick' }],
    ['like', { page: 'Carrots' }],
    ['unlike', { page: 'Carrots' }],
    ['befriend', { friendId: 'FRIEND' }],
    ['unfriend', { friendId: 'FRIEND' }],
  ])('is not found by %s, and nothing is written', async (path, body) => {
    const friendId = await service.register('Bugs', 'Bunny');
    const before = await eventCount();
    const given = 'friendId' in body ? { friendId } : body;
    expectProblem(await service.post(`/users/nobody/${path}`, given), 404, 'unknown-user');
    expectProblem(await service.post(`/users/nobody/${path}`, given, { 'idempotency-key': `nobody-${path}` }), 404, 'unknown-user');
    expect(await eventCount()).toBe(before);
  });

  test('cannot be befriended, and neither can oneself', async () => {
    const id = await service.register('Duffy');
    expectProblem(await service.post(`/users/${id}/befriend`, { friendId: 'nobody' }), 422, 'unknown-friend');
    expectProblem(await service.post(`/users/${id}/befriend`, { friendId: id }), 422, 'own-friend');
    expect(await history(id)).toHaveLength(1);
  });
});

describe('a request that comes again with its Idempotency-Key', () => {
  test('registers one user, whose id follows from the key', async () => {
    const headers = { 'idempotency-key': 'registration-of-duffy' };
    const [first, again] = [
      await service.post('/users', { name: 'Duffy', surname: 'Duck' }, headers),
      await service.post('/users', { name: 'Duffy', surname: 'Duck' }, headers),
    ];
    expect(again).toMatchObject({ status: first.status, body: first.body });
    expect(again.headers.get('millrace-token')).toBe(first.headers.get('millrace-token'));
    expect(await history(String(first.body['id']))).toHaveLength(1);
  });

  test('gets the first answer, whatever came in between', async () => {
    const id = await service.register('Duffy');
    const headers = { 'idempotency-key': `"comment of ${id}"` };
    const first = await service.post(`/users/${id}/comment`, { object: 'Bugs', text: 'once' }, headers);
    await service.post(`/users/${id}/comment`, { object: 'Bugs', text: 'between' });
    const again = await service.post(`/users/${id}/comment`, { text: 'once', object: 'Bugs' }, headers);
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect((await history(id)).filter(({ type }) => type === 'Commented')).toHaveLength(2);
  });

  test('has one effect when it is sent many times at once', async () => {
    const id = await service.register('Duffy');
    const send = (): Promise<Answer> =>
      service.post(`/users/${id}/comment`, { object: 'Bugs', text: 'at once' }, { 'idempotency-key': `at-once-${id}` });
    const answers = await Promise.all(Array.from({ length: 10 }, send));
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
    expect(answers[0]?.status).toBe(200);
    expect(await history(id)).toHaveLength(2);
  });

  test('gets the first answer also where there was nothing to do', async () => {
    const id = await service.register('Duffy');
    const headers = { 'idempotency-key': `nothing-${id}` };
    const first = await service.post(`/users/${id}/unlike`, { page: 'Carrots' }, headers);
    await service.post(`/users/${id}/like`, { page: 'Carrots' });
    const again = await service.post(`/users/${id}/unlike`, { page: 'Carrots' }, headers);
    expect(first.body).toMatchObject({ events: [] });
    expect(again.body).toMatchObject({ events: [], streamVersion: first.body['streamVersion'] });
    expect(await history(id)).toHaveLength(2);
  });

  test('and asks for something else is refused, for another user too', async () => {
    const [id, other] = [await service.register('Duffy'), await service.register('Bugs', 'Bunny')];
    const headers = { 'idempotency-key': `reused-${id}` };
    await service.post(`/users/${id}/rename`, { name: 'Daffy' }, headers);
    const before = await eventCount();
    expectProblem(await service.post(`/users/${id}/rename`, { name: 'Plucky' }, headers), 422, 'idempotency-key-reused');
    expectProblem(await service.post(`/users/${other}/rename`, { name: 'Daffy' }, headers), 422, 'idempotency-key-reused');
    expectProblem(await service.post(`/users/${id}/like`, { page: 'Carrots' }, headers), 422, 'idempotency-key-reused');
    await service.post('/users', { name: 'Porky', surname: 'Pig' }, { 'idempotency-key': `porky-${id}` });
    expectProblem(
      await service.post('/users', { name: 'Petunia', surname: 'Pig' }, { 'idempotency-key': `porky-${id}` }),
      422,
      'idempotency-key-reused',
    );
    expect(await eventCount()).toBe(before + 1);
  });

  test('is decided again where it was refused at first', async () => {
    const id = await service.register('Duffy');
    const headers = { 'idempotency-key': `later-${id}` };
    const friendId = `imported-later-${id}`;
    expectProblem(await service.post(`/users/${id}/befriend`, { friendId }, headers), 422, 'unknown-friend');
    await service.service.store.append('user_updates:' + friendId, { type: 'Registered', data: { name: 'Late', surname: 'Comer' } });
    expect(await service.post(`/users/${id}/befriend`, { friendId }, headers)).toMatchObject({ status: 200, body: { streamVersion: 1 } });
  });

  test.each(['', 'k'.repeat(256), 'käse'])('has a key that can be one: not %j', async (key) => {
    const answer = await service.post('/users', { name: 'Duffy', surname: 'Duck' }, { 'idempotency-key': key });
    expectProblem(answer, 400, undefined);
  });
});

describe('a bad request gets a problem document, and nothing is written:', () => {
  let id = '';
  let before = 0;

  beforeAll(async () => {
    const registered = await service.post('/users', { name: 'Duffy', surname: 'Duck' });
    id = String(registered.body['id']);
    await profileAfter(registered, id);
    before = await eventCount();
  });

  const users = (body: unknown, headers = {}): Promise<Answer> => service.post('/users', body, headers);

  const cases: Record<string, [status: number, type: string | undefined, ask: () => Promise<Answer>]> = {
    'no JSON': [400, undefined, () => users('{"name": "Duffy", ')],
    'no body': [400, undefined, () => users('')],
    'no UTF-8': [
      400,
      undefined,
      () =>
        service.send('/users', {
          method: 'POST',
          body: Buffer.from('7b226e616d65223a22ff227d', 'hex'),
          headers: { 'content-type': 'application/json' },
        }),
    ],
    'a form': [415, undefined, () => users('name=Duffy&surname=Duck', { 'content-type': 'application/x-www-form-urlencoded' })],
    'a body that is no object': [400, 'invalid-request', () => users([1])],
    'a field that is missing': [400, 'invalid-request', () => users({ name: 'Duffy' })],
    'a field too many': [400, 'invalid-request', () => users({ name: 'Duffy', surname: 'Duck', admin: true })],
    'a field of another type': [400, 'invalid-request', () => users({ name: 7, surname: 'Duck' })],
    'an empty name': [400, 'invalid-request', () => users({ name: '  ', surname: 'Duck' })],
    'a name that is too long': [400, 'invalid-request', () => users({ name: 'D'.repeat(201), surname: 'Duck' })],
    'a name with a NUL': [400, 'invalid-request', () => users({ name: 'Du\u0000ffy', surname: 'Duck' })],
    'half a surrogate pair': [400, 'invalid-request', () => users('{"name": "\\ud83e", "surname": "Duck"}')],
    'a key named __proto__': [400, 'invalid-request', () => users('{"name": "Duffy", "surname": "Duck", "__proto__": {"isAdmin": true}}')],
    'a birth date in the future': [400, 'invalid-request', () => service.post(`/users/${id}/set-birth-date`, { birthDate: '9999-01-01' })],
    'a day that does not exist': [400, 'invalid-request', () => service.post(`/users/${id}/set-birth-date`, { birthDate: '2023-02-29' })],
    'a reaction that nobody knows': [400, 'invalid-request', () => service.post(`/users/${id}/react`, { object: 'Bugs', reaction: 'shrug' })],
    "a friend's id with a space": [400, 'invalid-input', () => service.post(`/users/${id}/befriend`, { friendId: 'a b' })],
    'an id with a space': [400, 'invalid-input', () => service.post('/users/a%20b/rename', { name: 'Daffy' })],
    'an id named __proto__': [400, 'invalid-input', () => service.post('/users/__proto__/rename', { name: 'Daffy' })],
    'a token that is none': [400, 'invalid-input', () => service.get(`/users/${id}/profile?token=mine`)],
    'a token of another store': [
      400,
      'store-mismatch',
      async () => {
        await using other = await startTestService();
        return await service.get(`/users/${id}/profile?token=${token(await other.post('/users', { name: 'Duffy', surname: 'Duck' }))}`);
      },
    ],
    'a parameter that does not exist': [400, 'invalid-request', () => service.get(`/users/${id}/profile?At=2026-01-01`)],
    'a path that does not exist': [404, undefined, () => service.get('/user')],
    'a command that does not exist': [404, undefined, () => service.post(`/users/${id}/marry`, { friendId: 'bugs' })],
  };

  test.each(Object.entries(cases))('%s', async (_name, [status, type, ask]) => {
    const answer = await ask();
    expectProblem(answer, status, type);
    if (type === 'invalid-request')
      expect(answer.body).toMatchObject({ errors: [{ pointer: expect.stringMatching(/^#/), detail: expect.stringMatching(/\w/) }] });
    expect(await eventCount()).toBe(before);
    expect(await service.get(`/users/${id}/profile`)).toMatchObject({ status: 200 });
  });

  test('a body that is too large', async () => {
    expectProblem(await users({ name: 'Duffy', surname: 'D'.repeat(100_000) }), 413, undefined);
    const endless = new ReadableStream({ pull: (stream) => stream.enqueue(Buffer.alloc(10_000, 'x')) }).pipeThrough(cut(30));
    const init = { method: 'POST', body: endless, duplex: 'half', headers: { 'content-type': 'application/json' } } as const;
    expectProblem(await service.send('/users', init), 413, undefined);
    expect(await eventCount()).toBe(before);
  });

  test('a method that a path does not take', async () => {
    for (const [method, path, allow] of [
      ['GET', '/users', 'POST'],
      ['DELETE', `/users/${id}/profile`, 'GET, HEAD'],
      ['POST', `/users/${id}/history`, 'GET, HEAD'],
      ['PUT', `/users/${id}/rename`, 'POST'],
    ] as const) {
      const answer = await service.send(path, { method });
      expectProblem(answer, 405, undefined);
      expect(answer.headers.get('allow')).toBe(allow);
    }
  });
});

describe('a read with a token', () => {
  test('that the profiles do not reach in time is to be asked again later', async () => {
    await using slow = await startTestService();
    await slow.service.processor.stop();
    const registered = await slow.post('/users', { name: 'Duffy', surname: 'Duck' });
    const answer = await slow.get(`/users/${String(registered.body['id'])}/profile`, { 'millrace-token': token(registered) });
    expectProblem(answer, 503, 'not-caught-up');
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
  });

  test('that stands for a write which is not there says so', async () => {
    const registered = await service.post('/users', { name: 'Duffy', surname: 'Duck' });
    const later = token(registered).replace(/\d+-\d+$/, `${Date.now() + 86_400_000}-0`);
    expectProblem(await service.get(`/users/${String(registered.body['id'])}/profile?token=${later}`), 409, 'log-lost');
  });
});

/** Ends a stream after some chunks, lest a server that reads on read for ever. */
function cut(chunks: number): TransformStream<Uint8Array, Uint8Array> {
  let count = 0;
  return new TransformStream({
    transform(chunk, controller) {
      count += 1;
      if (count > chunks) controller.terminate();
      else controller.enqueue(chunk);
    },
  });
}
