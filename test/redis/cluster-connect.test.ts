// What connecting to a cluster or by sentinels promises when it fails: a clear error, in time, without a password.
import { inspect } from 'node:util';
import { createCluster } from '@redis/client';
import { ConnectionFailedError, EventStore, InvalidInputError, type MillraceError, UnsuitableServerError } from 'millrace';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../examples/engine-process.ts';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { whyNoEngine } from '../support/engine.ts';
import { startSentinels, type TestSentinels } from '../support/sentinel.ts';
import { note, notes } from '../support/store.ts';

const PASSWORD = 'pass/w@rd-5ecret';
const WRONG = 'wr0ng/p@ssword';
const LONG_MS = 90_000;
const libraries = ['node-redis', 'ioredis'] as const;
const why = whyNoEngine();

beforeEach(({ skip }) => {
  if (why !== undefined) skip(why);
});

/** The error of connecting, after looking for passwords in all that can be seen of it. */
async function refusalOf(connecting: Promise<EventStore>): Promise<MillraceError> {
  const outcome = await connecting.then(
    (store) => store.close(),
    (error: unknown) => error,
  );
  const isKnown = [ConnectionFailedError, InvalidInputError, UnsuitableServerError].some((kind) => outcome instanceof kind);
  if (!isKnown) throw new Error('expected a refusal', { cause: outcome });
  for (let error: unknown = outcome; error instanceof Error; error = error.cause) {
    const seen = `${error.message} ${error.stack} ${inspect(error, { showHidden: true, depth: 9 })}`;
    for (const password of [PASSWORD, WRONG].flatMap((each) => [each, encodeURIComponent(each)])) expect(seen).not.toContain(password);
  }
  return outcome as MillraceError;
}

function withPassword(url: string, password: string): string {
  const changed = new URL(url);
  changed.password = encodeURIComponent(password);
  return changed.href;
}

describe('connecting to a cluster', { timeout: LONG_MS }, () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    if (why === undefined) cluster = await startCluster({ password: PASSWORD });
  }, LONG_MS);
  afterAll(async () => {
    await cluster?.stop();
  }, LONG_MS);

  it.each(libraries)('needs one node that answers, and learns the others: %s', async (library) => {
    const dead = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${await freePort()}`;
    const nodes = [dead, cluster.urls.at(-1) ?? '', dead];
    await using store = await EventStore.connect({ nodes, library, namespace: uniqueNamespace(), partitions: 16 });
    for (let id = 0; id < 20; id += 1) expect((await store.append(notes.stream(String(id)), note(id))).streamVersion).toBe(1);
  });

  it.each(libraries)('takes user and password from the options: %s', async (library) => {
    for (const node of cluster.nodes) await cluster.send(node, 'ACL', 'SETUSER', 'miller', 'on', `>${PASSWORD}`, '~*', '&*', '+@all');
    const nodes = cluster.urls.map((url) => `redis://${new URL(url).host}`);
    await using store = await EventStore.connect({ nodes, username: 'miller', password: PASSWORD, library, namespace: uniqueNamespace() });
    expect((await store.append(notes.stream('1'), note(1))).streamVersion).toBe(1);
  });

  it.each(libraries)('says at once that the password is wrong, or missing: %s', async (library) => {
    const wrong = cluster.urls.map((url) => withPassword(url, WRONG));
    const start = performance.now();
    expect((await refusalOf(EventStore.connect({ nodes: wrong, library, timeoutMs: 20_000 }))).message).toMatch(
      /the server refused the user name or the password/,
    );
    const none = cluster.urls.map((url) => `redis://${new URL(url).host}`);
    expect((await refusalOf(EventStore.connect({ nodes: none, library, timeoutMs: 20_000 }))).message).toMatch(
      /the server asks for a password and none was given/,
    );
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it.each(libraries)('says that nothing listens at any node, after the time that was given: %s', async (library) => {
    const nodes = [`redis://127.0.0.1:${await freePort()}`, `redis://127.0.0.1:${await freePort()}`];
    const start = performance.now();
    const { message } = await refusalOf(EventStore.connect({ nodes, library, timeoutMs: 400 }));
    expect(message).toMatch(/Could not connect to Redis at the cluster of 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+: nothing listens there/);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it.each(libraries)('tells a server by itself from a node of a cluster, both ways: %s', async (library) => {
    expect((await refusalOf(EventStore.connect({ nodes: [testUrl()], library, timeoutMs: 2_000 }))).message).toMatch(
      /is no node of a cluster.*Connect to it by its URL/s,
    );
    const alone = await refusalOf(EventStore.connect(cluster.urls[0] ?? '', { library }));
    expect(alone).toBeInstanceOf(UnsuitableServerError);
    expect(alone.message).toMatch(/found a node of a cluster.*nodes/s);
  });

  it('over a client with a wrong password says so, and shows none', async () => {
    const client = createCluster({ rootNodes: [{ url: withPassword(cluster.urls[0] ?? '', WRONG) }], defaults: { password: WRONG } });
    client.on('error', () => {});
    expect((await refusalOf(EventStore.connect({ client, timeoutMs: 5_000 }))).code).toBe('connection-failed');
  });

  it('refuses a cluster client with keyPrefix', async () => {
    const client = createCluster({ rootNodes: [{ url: cluster.urls[0] ?? '' }], defaults: { password: PASSWORD }, keyPrefix: 'x:' });
    client.on('error', () => {});
    expect((await refusalOf(EventStore.connect({ client }))).message).toMatch(/keyPrefix/);
    client.destroy();
  });

  it('waits for the replica of a primary that is down', async () => {
    const [primary] = await cluster.primaries();
    if (!primary) return expect.fail('expected a primary');
    await cluster.kill(primary);
    await using store = await EventStore.connect({ nodes: cluster.urls, namespace: uniqueNamespace(), partitions: 16, timeoutMs: 30_000 });
    for (let id = 0; id < 20; id += 1) expect((await store.append(notes.stream(String(id)), note(id))).streamVersion).toBe(1);
    await cluster.restart(primary);
  });

  it('names a primary that is down where none takes over', async () => {
    await using small = await startCluster({ replicas: 0, args: ['--cluster-require-full-coverage', 'no'] });
    const [, second] = small.nodes;
    if (!second) return expect.fail('expected three nodes');
    await small.kill(second);
    const error = await refusalOf(EventStore.connect({ nodes: small.urls, timeoutMs: 1_500 }));
    expect(error.message).toMatch(`127.0.0.1:${second.engine.port}`);
  });

  it('refuses a primary that evicts keys, whichever it is', async () => {
    const primary = (await cluster.primaries()).at(-1);
    if (!primary) return expect.fail('expected a primary');
    await cluster.send(primary, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const error = await refusalOf(EventStore.connect({ nodes: cluster.urls }));
    expect(error).toBeInstanceOf(UnsuitableServerError);
    await cluster.send(primary, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });
});

describe('connecting by sentinels', { timeout: LONG_MS }, () => {
  let setUp: TestSentinels;
  beforeAll(async () => {
    if (why === undefined) setUp = await startSentinels({ password: PASSWORD, sentinelPassword: 'auch-geheim' });
  }, LONG_MS);
  afterAll(async () => {
    await setUp?.stop();
  }, LONG_MS);

  it.each(libraries)('needs one sentinel that answers; takes the password of the sentinels from their URLs, too: %s', async (library) => {
    const sentinels = [`redis://127.0.0.1:${await freePort()}`, setUp.sentinels[0] ?? ''];
    const inUrls = sentinels.map((url) => withPassword(url, 'auch-geheim'));
    const { name } = setUp;
    await using one = await EventStore.connect({ sentinels: inUrls, name, password: PASSWORD, library, namespace: uniqueNamespace() });
    expect((await one.append(notes.stream('1'), note(1))).streamVersion).toBe(1);
    await using two = await EventStore.connect({
      sentinels,
      name,
      sentinelPassword: 'auch-geheim',
      password: PASSWORD,
      library,
      namespace: uniqueNamespace(),
    });
    expect((await two.append(notes.stream('1'), note(1))).streamVersion).toBe(1);
  });

  it.each(libraries)('says which name is not known, and whose password is wrong: %s', async (library) => {
    const { sentinels, name } = setUp;
    const options = { sentinels, name, password: PASSWORD, sentinelPassword: 'auch-geheim', library, timeoutMs: 2_000 };
    expect((await refusalOf(EventStore.connect({ ...options, name: 'other' }))).message).toMatch(/knows no primary of the name other/);
    expect((await refusalOf(EventStore.connect({ ...options, sentinelPassword: WRONG }))).message).toMatch(
      /of the sentinels.*refused the user name or the password/,
    );
    expect((await refusalOf(EventStore.connect({ ...options, password: WRONG }))).message).toMatch(/refused the user name or the password/);
  });
});

describe('options that cannot be', () => {
  it.each([
    ['no nodes', { nodes: [] }, 'option nodes'],
    ['no list of nodes', { nodes: 'redis://localhost' }, 'option nodes'],
    ['another scheme among the nodes', { nodes: ['http://localhost'] }, 'Redis URL'],
    ['two passwords', { nodes: [`redis://:${PASSWORD.length}@a`, 'redis://:other@b'] }, 'option nodes'],
    ['TLS to some nodes only', { nodes: ['redis://a', 'rediss://b'] }, 'option nodes'],
    ['a database of a cluster', { nodes: ['redis://a/3'] }, 'option nodes'],
    ['no sentinels', { sentinels: [], name: 'mymaster' }, 'option sentinels'],
    ['no name of the primary', { sentinels: ['redis://a'] }, 'option name'],
  ])('are refused: %s', async (_, options, what) => {
    const error = await refusalOf(EventStore.connect(options as never));
    expect(error).toMatchObject({ code: 'invalid-input', what });
  });
});
