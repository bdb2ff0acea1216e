// What others write with XADD into the article's three Redis Streams shows up in the profile service.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, testUrl } from '../support/clients.ts';
import { startTestService, type TestService } from './client.ts';

let service: TestService;
let redis: RawClient;

beforeEach(async () => {
  service = await startTestService();
  redis = await connectRaw(testUrl());
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await redis.send('DEL', ...Object.values(service.sourceKeys));
  redis.close();
});

/** Types a line as into `redis-cli`; the key is the article's, without its `user_`. */
async function xadd(line: string, id = '*'): Promise<string> {
  const [stream = '', ...fields] = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
  const key = { user_updates: service.sourceKeys.updates, user_activity: service.sourceKeys.activity, user_friends: service.sourceKeys.friends }[
    stream
  ];
  return String(await redis.send('XADD', key ?? stream, id, ...fields));
}

const WITHIN_A_SECOND = { timeout: 1_000, interval: 20 };

function profile(id: string) {
  return expect.poll(async () => (await service.get(`/users/${id}/profile`)).body, WITHIN_A_SECOND);
}

function history(id: string) {
  return expect.poll(async () => ((await service.get(`/users/${id}/history`)).body['events'] ?? []) as unknown[], WITHIN_A_SECOND);
}

function skipped() {
  return expect.poll(async () => (await service.get('/progress')).body['sources'], WITHIN_A_SECOND);
}

test.each(['command', 'action'])("the article's lines, with %s for the verb, show up within a second", async (verb) => {
  await xadd(`user_updates user_id 1 ${verb} register name Duffy surename Duck`);
  await xadd(`user_updates user_id 2 ${verb} register name Bugs surename Bunny`);
  await xadd(`user_activity user_id 1 ${verb} kick object Bugs`);
  await xadd(`user_activity user_id 1 ${verb} dislike object "Bugs face"`);
  await xadd(`user_friends user_id 1 ${verb} remove friend_id 2`);
  await profile('1').toMatchObject({ id: '1', name: 'Duffy', surname: 'Duck', likedPages: [], friends: [] });
  await profile('2').toMatchObject({ name: 'Bugs', surname: 'Bunny' });
  await history('1').toHaveLength(4);
  await history('1').toEqual(
    expect.arrayContaining([
      expect.objectContaining({ type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } }),
      expect.objectContaining({ type: 'Reacted', data: { object: 'Bugs', reaction: 'kick' }, version: 1 }),
      expect.objectContaining({ type: 'Reacted', data: { object: 'Bugs face', reaction: 'dislike' }, version: 2 }),
      expect.objectContaining({ type: 'FriendRemoved', data: { friendId: '2' } }),
    ]),
  );
});

test('every other command can be typed too', async () => {
  await xadd('user_updates user_id 1 command register name Duffy surname Duck');
  await xadd('user_updates user_id 2 command register name Bugs surename Bunny');
  await xadd('user_updates user_id 1 command rename name Daffy');
  await xadd('user_updates user_id 1 command set_birth_date birth_date 1937-04-17');
  await xadd('user_activity user_id 1 command like object "Looney Tunes"');
  await xadd('user_activity user_id 1 command like page Carrots');
  await xadd('user_activity user_id 1 command unlike page Carrots');
  await xadd('user_activity user_id 1 command comment object "Bugs face" text "has grown on me"');
  await xadd('user_activity user_id 1 command react object Bugs reaction love');
  await xadd('user_friends user_id 1 command add friend_id 2');
  await profile('1').toMatchObject({ name: 'Daffy', surname: 'Duck', birthDate: '1937-04-17', likedPages: ['Looney Tunes'] });
  await profile('1').toMatchObject({ friends: [{ id: '2', name: 'Bugs', surname: 'Bunny' }] });
  await history('1').toHaveLength(9);
});

test('an entry keeps its time, so the profile can be read as it was then', async () => {
  await xadd('user_updates user_id 1 command register name Duffy surename Duck', '1577650357114-0');
  await xadd('user_updates user_id 1 command rename name Daffy', '1577650371803-0');
  await profile('1').toMatchObject({ name: 'Daffy', knownSince: '2019-12-29T20:12:37.114Z' });
  expect((await service.get('/users/1/profile?at=2019-12-29T20:12:40Z')).body).toMatchObject({ name: 'Duffy' });
  expect((await service.get('/users/1/profile?at=2019-12-29T20:12:37Z')).status).toBe(404);
});

test('a user who was registered that way can be renamed, act and find friends by commands', async () => {
  await xadd('user_updates user_id 1 command register name Duffy surename Duck');
  await profile('1').toMatchObject({ name: 'Duffy' });
  const friendId = await service.register('Bugs', 'Bunny');
  expect(await service.post('/users/1/rename', { name: 'Daffy' })).toMatchObject({ status: 200, body: { streamVersion: 2 } });
  expect(await service.post('/users/1/like', { page: 'Carrots' })).toMatchObject({ status: 200 });
  const { body } = await service.post('/users/1/befriend', { friendId });
  expect((await service.get('/users/1/profile', { 'millrace-token': String(body['token']) })).body).toMatchObject({
    name: 'Daffy',
    surname: 'Duck',
    likedPages: ['Carrots'],
    friends: [{ id: friendId, name: 'Bugs' }],
  });
});

describe('an entry that cannot be decoded', () => {
  test.each([
    ['user_updates', 'user_id 1 command fly'],
    ['user_updates', 'user_id 1 name Duffy surename Duck'],
    ['user_updates', 'command register name Duffy surename Duck'],
    ['user_updates', 'user_id "a b" command register name Duffy surename Duck'],
    ['user_updates', 'user_id 1 command register name Duffy'],
    ['user_updates', 'user_id 1 command register name "" surename Duck'],
    ['user_updates', 'user_id 1 command set_birth_date birth_date soon'],
    ['user_activity', 'user_id 1 command like'],
    ['user_activity', 'user_id 1 command toString object Bugs'],
    ['user_friends', 'user_id 1 command remove'],
  ])('is counted and skipped, and what comes after it is not: %s %s', async (stream, fields) => {
    await xadd(`${stream} ${fields}`);
    const valid = {
      user_updates: 'command rename name Daffy',
      user_activity: 'command like object Carrots',
      user_friends: 'command add friend_id 2',
    }[stream];
    await xadd(`${stream} user_id 7 ${valid}`);
    const key = { user_updates: service.sourceKeys.updates, user_activity: service.sourceKeys.activity, user_friends: service.sourceKeys.friends }[
      stream
    ];
    await skipped().toContainEqual(expect.objectContaining({ sourceKey: key, entriesSkipped: 1, error: null }));
    await xadd('user_updates user_id 7 command register name Duffy surename Duck');
    await profile('7').toMatchObject({ name: 'Duffy' });
    await history('7').toHaveLength(2);
    expect((await service.get('/users/1/profile')).status).toBe(404);
  });
});

test('of somebody who is never registered nothing is shown, but a friend of that id is', async () => {
  await xadd('user_activity user_id 9 command like object Carrots');
  await xadd('user_updates user_id 1 command register name Duffy surename Duck');
  await xadd('user_friends user_id 1 command add friend_id 9');
  await profile('1').toMatchObject({ friends: [{ id: '9', name: null, surname: null }] });
  expect((await service.get('/users/9/profile')).status).toBe(404);
  expect((await service.get('/users/9/history')).status).toBe(404);
  expect((await service.post('/users/9/like', { page: 'Carrots' })).status).toBe(404);
  const { body } = await service.post('/users/1/unfriend', { friendId: '9' });
  expect((await service.get('/users/1/profile', { 'millrace-token': String(body['token']) })).body).toMatchObject({ friends: [] });
  expect((await service.post('/users/1/befriend', { friendId: '9' })).status).toBe(422);
});

test('an entry is imported once, also by a service that is started again', async () => {
  await xadd('user_updates user_id 1 command register name Duffy surename Duck');
  await profile('1').toMatchObject({ name: 'Duffy' });
  const namespace = `again-${service.sourceKeys.updates}`;
  for (let start = 1; start <= 3; start += 1) {
    await using again = await startTestService({ namespace, sourceKeys: service.sourceKeys });
    await xadd(`user_activity user_id 1 command like object Page${start}`);
    await expect.poll(async () => (await again.get('/users/1/profile')).body['likedPages'], WITHIN_A_SECOND).toHaveLength(start);
    expect((await again.get('/users/1/history')).body['events']).toHaveLength(1 + start);
  }
});
