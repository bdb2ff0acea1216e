// Runs the code that the documents show.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type EventStore, ProcessorControl, SnapshotStore, StreamProcessor, type Token } from 'millrace';
import * as connecting from '../../examples/docs/connecting.ts';
import * as deciders from '../../examples/docs/deciders.ts';
import * as documents from '../../examples/docs/documents.ts';
import * as eventStore from '../../examples/docs/event-store.ts';
import * as http from '../../examples/docs/http.ts';
import * as processors from '../../examples/docs/processors.ts';
import * as rebuild from '../../examples/docs/rebuild.ts';
import * as sources from '../../examples/docs/sources.ts';
import * as testing from '../../examples/docs/testing.ts';
import { profiles, user, userFriends, userUpdates } from '../../examples/docs/users.ts';
import * as versions from '../../examples/docs/versions.ts';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { openStore } from '../support/store.ts';

const duffy = { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } } as const;
const bugs = { type: 'Registered', data: { name: 'Bugs', surname: 'Bunny' } } as const;

let store: EventStore;

beforeEach(async () => {
  store = await openStore({ partitions: 1 });
});

afterEach(async () => {
  await store.close();
  vi.restoreAllMocks();
});

describe('the code about the event store', () => {
  test('appends, to several streams at once too, and reads in every way', async () => {
    await store.append(userUpdates.stream('2'), bugs);
    expect(await eventStore.append(store)).toMatchObject({ streamVersions: [2, 1] });
    const { seen, cursor } = await eventStore.read(store);
    expect(seen.slice(0, 2)).toEqual([expect.stringMatching(/^1 Registered 20/), expect.stringMatching(/^2 Renamed 20/)]);
    expect(seen.at(-1)).toBe('user_friends:1');
    for await (const event of store.readCategory(userUpdates, { from: cursor })) expect.unreachable(event.id);
  });

  test('follows a category until it breaks off', async () => {
    await store.append(userUpdates.stream('1'), [duffy, { type: 'Deleted', data: {} }]);
    expect(await eventStore.follow(store, AbortSignal.timeout(10_000))).toEqual(['Registered', 'Deleted']);
  });

  test('sends metadata along', async () => {
    await eventStore.metadata(store);
    for await (const { metadata } of store.readAll()) expect(metadata).toEqual({ correlationId: 'request-4711', causationId: 'command-17' });
  });
});

describe('the code about documents', () => {
  test('folds them and reads them', async () => {
    await store.append(userUpdates.stream('2'), bugs);
    const { token } = await eventStore.append(store);
    await documents.process(store);
    const { profile, many } = await documents.read(store, token);
    expect(profile).toEqual({ name: 'Daffy', surname: 'Duck', friendIds: ['2'] });
    expect([...many.keys()]).toEqual(['1', '2']);
  });

  test('folds by a key of its own, and on reading', async () => {
    await store.append(userUpdates.stream('1'), duffy);
    await store.append(userUpdates.stream('2'), duffy);
    await new StreamProcessor(store, { projections: [documents.surnames] }).runUntilCaughtUp();
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(documents.surnames, 'Duck')).toEqual({ users: 2 });
    expect(await snapshots.get(documents.historyLengths, '1')).toBe(1);
  });
});

describe('the code about commands', () => {
  test('decides, remembers states, and rejects', async () => {
    await store.append(userUpdates.stream('1'), duffy);
    expect(await deciders.execute(store)).toMatchObject({ events: [{ type: 'Renamed' }], state: { name: 'Daffy' }, streamVersion: 2 });
    expect(await store.execute(deciders.cachedUser, '1', { type: 'Rename', name: 'Daffy' })).toMatchObject({ events: [] });
    expect(await deciders.reject(store)).toBe('is not registered');
  });

  test('has one effect where it comes again', async () => {
    const { first, again } = await deciders.idempotent(store, 'request-1');
    expect([first.isRepeated, again.isRepeated, again.streamVersion]).toEqual([false, true, 1]);
    const byId = await deciders.ownIds(store);
    expect([byId.first.isRepeated, byId.again.isRepeated, byId.again.streamVersion]).toEqual([false, true, 2]);
    expect(await deciders.rename(store, '2', 'Bugs', 'request-2')).toMatchObject({ isRepeated: false });
    expect(await deciders.rename(store, '2', 'Bugs', 'request-2')).toMatchObject({ isRepeated: true });
  });

  test('tells what a conflict missed', async () => {
    await store.append(userFriends.stream('2'), { type: 'FriendAdded', data: { friendId: '3' } });
    expect(await deciders.conflict(store)).toEqual(['user_friends:2 is at 1', expect.stringContaining('"friendId":"3"')]);
  });
});

describe('the code about the processor', () => {
  test('runs, tells how far it is, and stops', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const processor = processors.start(store);
    await processor.runUntilCaughtUp();
    expect(await processors.isHealthy(processor)).toBe(true);
    expect(log).toHaveBeenCalledWith(expect.stringMatching(/^profiles in partition 0: 0 events \(0 ms\) behind/));
    await processors.stop(processor, store);
  });

  test('builds a new version beside the one that serves, and compares documents with the log', async () => {
    await store.append(userUpdates.stream('1'), duffy);
    expect(await versions.build(store)).toEqual({ fullName: 'Duffy Duck' });
    expect(await versions.compare(store, AbortSignal.timeout(10_000))).toEqual([]);
  });
});

describe('the code about rebuilding', () => {
  test('builds, watches, compares, flips, drops and folds again', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    await store.append(userUpdates.stream('1'), duffy);
    await using old = new StreamProcessor(store, { projections: [profiles] });
    await old.runUntilCaughtUp();
    expect(await rebuild.read(store)).toBe('Duffy Duck');
    const processor = await rebuild.build(store);
    await rebuild.watch(store);
    expect(log).toHaveBeenLastCalledWith('100.0 %, 1 of 1 events, time left: 0 s');
    const control = new ProcessorControl(store);
    await rebuild.pauseAndResume(control);
    await processor.stop();
    expect(await rebuild.compare(control, AbortSignal.timeout(10_000))).toEqual([]);
    await store.append(userUpdates.stream('1'), { type: 'Renamed', data: { name: 'Daffy' } });
    await new StreamProcessor(store, { projections: [profiles, versions.profilesNext] }).runUntilCaughtUp();
    expect(await rebuild.compare(control, AbortSignal.timeout(10_000))).toEqual([expect.stringMatching(/^1 differs: .*Daffy/)]);
    expect(await rebuild.flip(control)).toBeUndefined();
    expect(await control.servingVersion('profiles')).toBe(2);
    await rebuild.rewind(control);
    await rebuild.drop(control);
    expect(await rebuild.read(store)).toBe('Duffy Duck');
  });
});

describe('the code about HTTP', () => {
  test('lets a read see the write whose token it brings', async () => {
    await store.append(userUpdates.stream('1'), duffy);
    await using processor = processors.start(store);
    const write = new Request('http://localhost/users/1', { method: 'POST', body: '{"name":"Daffy"}', headers: { 'Idempotency-Key': 'request-1' } });
    const written = await http.rename(store, '1', write);
    const headers = { 'Consistency-Token': written.headers.get('Consistency-Token') ?? '' };
    const read = await http.profile(new SnapshotStore(store), '1', new Request('http://localhost/users/1', { headers }));
    expect(await read.json()).toMatchObject({ name: 'Daffy' });
    await processor.stop();
  });

  test('says when a read cannot wait any longer', async () => {
    const { token } = await store.append(userUpdates.stream('1'), duffy);
    const headers = { 'Consistency-Token': token satisfies Token };
    const read = await http.profile(new SnapshotStore(store), '1', new Request('http://localhost/users/1', { headers }));
    expect(read.status).toBe(503);
  });
});

describe('the code about connections and tests', () => {
  test('opens a store over a client of either library', async () => {
    await connecting.overNodeRedis(testUrl(), uniqueNamespace());
    await connecting.overIoredis(testUrl(), uniqueNamespace());
  });

  test('names a certificate that it would read', async () => {
    await expect(connecting.withTls('secret')).rejects.toThrow('ca.pem');
  });

  test('tests a decider with an engine inside the process, and without any', async () => {
    testing.testDecision();
    await testing.testRename();
  });
});

/** The keys of the documents' foreign Redis Streams have no store's name in them, so they lie in a database of their own. */
function otherDatabase(): string {
  const url = new URL(testUrl());
  url.pathname = '/9';
  return url.href;
}

/** Neither they nor the tutorial's store may be left over from another run. */
async function clear(redis: RawClient): Promise<void> {
  const ofTutorial = (await redis.send('KEYS', '{tutorial*')) as string[];
  await redis.send('DEL', 'user_updates', 'user_activity', 'user_friends', ...ofTutorial);
}

async function withForeignStreams(lines: readonly string[][], run: (url: string) => Promise<void>): Promise<void> {
  const url = otherDatabase();
  await using redis = await connectRaw(url);
  await clear(redis);
  for (const line of lines) await redis.send('XADD', ...line);
  try {
    await run(url);
  } finally {
    await clear(redis);
  }
}

describe('the code about sources', () => {
  test('imports what others have written', async () => {
    const lines = [['user_updates', '*', 'user_id', '1', 'command', 'register', 'name', 'Duffy', 'surename', 'Duck']];
    await withForeignStreams(lines, async (url) => {
      await using other = await openStore({ url });
      expect(await sources.runImport(other)).toMatchObject([{ sourceKey: 'user_updates', entriesSkipped: 0, error: undefined }]);
      expect(await other.execute(user, '1', { type: 'Rename', name: 'Daffy' })).toMatchObject({ streamVersion: 2 });
    });
  });

  test('is the tutorial, from the first line typed to the last line printed', async () => {
    const lines = [
      ['user_updates', '1577650357114-0', 'user_id', '1', 'command', 'register', 'name', 'Duffy', 'surename', 'Duck'],
      ['user_updates', '1577650371803-0', 'user_id', '2', 'command', 'register', 'name', 'Bugs', 'surename', 'Bunny'],
      ['user_activity', '1577650378926-0', 'user_id', '1', 'command', 'kick', 'object', 'Bugs'],
      ['user_activity', '1577650384649-0', 'user_id', '1', 'command', 'dislike', 'object', 'Bugs face'],
      ['user_friends', '1577650389616-0', 'user_id', '1', 'command', 'add', 'friend_id', '2'],
    ];
    await withForeignStreams(lines, async (url) => {
      vi.stubEnv('REDIS_URL', url);
      const log = vi.spyOn(console, 'log').mockImplementation(() => {});
      await import('../../examples/docs/tutorial.ts');
      expect(log.mock.calls).toEqual([
        [{ name: 'Duffy', surname: 'Duck', likedPages: [], friendIds: ['2'] }],
        [1, 'Registered', { name: 'Duffy', surname: 'Duck' }],
        [{ name: 'Daffy', surname: 'Duck', likedPages: [], friendIds: ['2'] }],
        [{ name: 'Duffy', surname: 'Duck', likedPages: [], friendIds: [] }],
        [['Bugs Bunny']],
      ]);
      vi.unstubAllEnvs();
    });
  });
});
