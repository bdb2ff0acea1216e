// Servers that a store cannot be opened on, and servers that go bad under an open one: told in time, with what to do, and nothing is written.
import { EventStore, type MillraceError, SnapshotStore, StreamProcessor, projection } from 'millrace';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../examples/engine-process.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { collect, note, notes, numbersOf, openStore } from '../support/store.ts';
import { bulk, startFakeServer } from './fake-server.ts';
import { refusalOf, SECRET, writingNothing } from './refused.ts';

const libraries = ['node-redis', 'ioredis'] as const;
const info = (facts: Record<string, string>): string =>
  bulk(
    Object.entries(facts)
      .map(([name, value]) => `${name}:${value}`)
      .join('\r\n'),
  );
const sums = projection({ name: 'sums', categories: [notes], initialState: () => 0, evolve: (sum, { data }) => sum + data.n });

describe.each(libraries)('a server that a store cannot be opened on, through %s,', (library) => {
  const opening = (url: string): Promise<MillraceError> => refusalOf(() => EventStore.connect(url, { library, timeoutMs: 400, password: SECRET }));

  it.each(['6.2.14', '5.0.7', '2.8.0', 'unknown'])('is too old: %s', async (version) => {
    await using server = await startFakeServer({ INFO: () => info({ redis_version: version, role: 'master', maxmemory_policy: 'noeviction' }) });
    const error = await opening(server.url);
    expect(error).toMatchObject({ name: 'UnsuitableServerError', code: 'unsuitable-server' });
    expect(error.message).toBe(
      `Expected Redis 7.0 or newer, or Valkey 7.2 or newer, found ${version}. Nothing was written. Update the server, or connect to another one.`,
    );
  });

  it('is a replica', async () => {
    await using server = await startFakeServer({
      INFO: () => info({ redis_version: '7.2.0', role: 'slave', master_host: '10.0.0.1', master_port: '6380' }),
    });
    const error = await opening(server.url);
    expect(error).toMatchObject({ name: 'UnsuitableServerError', code: 'unsuitable-server' });
    expect(error.message).toBe('Expected a primary, found a replica of 10.0.0.1:6380. Nothing was written. Connect to the primary.');
  });

  it.each(['allkeys-lru', 'allkeys-lfu', 'allkeys-random', 'volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl'])(
    'evicts keys: %s',
    async (policy) => {
      await using server = await startFakeServer({ INFO: () => info({ redis_version: '8.0.0', role: 'master', maxmemory_policy: policy }) });
      const error = await opening(server.url);
      expect(error).toMatchObject({ name: 'UnsuitableServerError', code: 'unsuitable-server' });
      expect(error.message).toContain(`Expected maxmemory-policy noeviction, found ${policy}`);
      expect(error.message).toContain('CONFIG SET maxmemory-policy noeviction');
    },
  );

  it.each(['LOADING', 'MASTERDOWN', 'BUSY'])('is not ready: %s', async (word) => {
    await using server = await startFakeServer({ PING: () => `-${word} not now` });
    const error = await opening(server.url);
    expect(error).toMatchObject({ name: 'ConnectionFailedError', code: 'connection-failed' });
    expect(error.message).toMatch(new RegExp(`the server is not ready to answer \\(.*${word} not now\\).*Wait until it is, or raise timeoutMs`));
  });

  it('does not let this user look at it', async () => {
    await using server = await startFakeServer({ INFO: () => '-NOPERM this user has no permissions to run the info command' });
    const error = await opening(server.url);
    expect(error).toMatchObject({ name: 'ServerRefusedError', code: 'server-refused', reason: 'NOPERM' });
    expect(error.message).toMatch(/^Could not look at the server with INFO: .*NOPERM.*Let the ACL user run this command/);
  });

  it('refuses the password', async () => {
    await using server = await startFakeServer({
      AUTH: () => '-WRONGPASS invalid username-password pair',
      HELLO: () => '-WRONGPASS invalid username-password pair',
    });
    const error = await opening(server.url);
    expect(error).toMatchObject({ name: 'ConnectionFailedError', code: 'connection-failed' });
    expect(error.message).toMatch(/refused the user name or the password \(WRONGPASS/);
  });

  it('is not there', async () => {
    const error = await opening(`redis://127.0.0.1:${await freePort()}`);
    expect(error).toMatchObject({ name: 'ConnectionFailedError', code: 'connection-failed' });
    expect(error.message).toMatch(/nothing listens there .*Start Redis or Valkey there, or correct the URL\./);
  });
});

describe('a namespace that holds something else', () => {
  const namespace = uniqueNamespace();
  const settings = `{${namespace}}:settings`;
  const opening = (options: object = {}): Promise<MillraceError> =>
    writingNothing(namespace, () => refusalOf(() => openStore({ namespace, ...options })));

  beforeEach(async () => {
    await using raw = await connectRaw();
    await raw.send('DEL', settings);
    await raw.send('HSET', settings, 'id', 'abcdefghijkl', 'partitions', '3', 'layout', '1');
  });

  it('is told: a store with another number of partitions', async () => {
    for (const partitions of [1, 2, 4]) {
      const error = await opening({ partitions });
      expect(error).toMatchObject({ name: 'StoreMismatchError', code: 'store-mismatch' });
      expect(error.message).toContain(`Expected ${partitions} partitions, found a store with 3 in ${settings}. Nothing was written.`);
    }
    await using adopted = await openStore({ namespace });
    await using same = await openStore({ namespace, partitions: 3 });
    expect([adopted, same]).toHaveLength(2);
  });

  it('is told: a newer layout', async () => {
    await using raw = await connectRaw();
    await raw.send('HSET', settings, 'layout', '2');
    const error = await opening();
    expect(error).toMatchObject({ name: 'StoreMismatchError', code: 'store-mismatch' });
    expect(error.message).toContain('found 2: a newer version of millrace wrote this store. Nothing was written. Update millrace');
  });

  it.each([
    [['layout', '0']],
    [['layout', 'x']],
    [['partitions', '0']],
    [['partitions', '-1']],
    [['partitions', '1.5']],
    [['partitions', 'many']],
    [['partitions', '']],
    [['id', '']],
  ])('is told: settings with %j', async (fields) => {
    await using raw = await connectRaw();
    await raw.send('HSET', settings, ...fields);
    expect((await opening()).message).toContain(
      `Expected the settings of a store in ${settings} (id, partitions and layout), found something else there.`,
    );
  });

  it('is told: settings of which some are missing, or that are of another type', async () => {
    await using raw = await connectRaw();
    for (const field of ['id', 'partitions', 'layout']) {
      await raw.send('HDEL', settings, field);
      expect((await opening()).code).toBe('store-mismatch');
      await raw.send('HSET', settings, field, '1');
    }
    await raw.send('DEL', settings);
    await raw.send('SET', settings, 'x');
    expect(await opening()).toMatchObject({ code: 'server-refused', reason: 'WRONGTYPE' });
  });
});

describe.each(libraries)('a server that refuses later, through %s,', (library) => {
  it.each([
    ['LOADING', 'Try again when the server has recovered.'],
    ['MISCONF', 'It cannot save to its disk'],
    ['READONLY', 'It is a replica: connect to the primary.'],
    ['NOPERM', 'Let the ACL user run'],
    ['NOAUTH', ''],
  ])('says so and what to do: %s', async (word, next) => {
    await using server = await startFakeServer();
    await using store = await EventStore.connect(server.url, { library, timeoutMs: 400 });
    server.answer({ '*': () => `-${word} not now.` });
    const append = await refusalOf(() => store.append(notes.stream('1'), note(1)));
    expect(append).toMatchObject({ name: 'ServerRefusedError', code: 'server-refused', reason: word });
    expect(append.message).toMatch(new RegExp(`^The server refused to append: .*${word} not now\\. Nothing was written\\. .*${next}`));
    const read = await refusalOf(() => collect(store.readAll()));
    expect(read).toMatchObject({ name: 'ServerRefusedError', code: 'server-refused', reason: word });
    expect(read.message).toMatch(new RegExp(`^Could not read the log: .*${word} not now\\. .*${next}`));
    expect(await refusalOf(() => new SnapshotStore(store).get(sums, '1'))).toMatchObject({ reason: word });
  });
});

describe('an engine of our own', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    if (!whyNoEngine()) engine = await startEngine();
  });
  beforeEach(({ skip }) => {
    const reason = whyNoEngine();
    if (reason) skip(reason);
  });
  afterAll(() => engine?.stop());

  async function withStore(use: (store: EventStore, namespace: string) => Promise<void>): Promise<void> {
    const namespace = uniqueNamespace();
    await using store = await openStore({ url: engine.url, namespace, timeoutMs: 500 });
    await store.append(notes.stream('1'), note(1));
    await use(store, namespace);
  }

  it('that is out of memory appends nothing, and can still be read and opened', async () => {
    await using raw = await connectRaw(engine.url);
    await withStore(async (store, namespace) => {
      await raw.send('CONFIG', 'SET', 'maxmemory', '1');
      const refused = async (work: () => Promise<unknown>): Promise<void> => {
        const error = await refusalOf(work);
        expect(error).toMatchObject({ name: 'ServerRefusedError', code: 'server-refused', reason: 'OOM' });
        expect(error.message).toMatch(/^The server refused to append: .*OOM.* Nothing was written\. Give the server more memory \(maxmemory\)/);
      };
      await writingNothing(
        namespace,
        async () => {
          await refused(() => store.append(notes.stream('1'), note(2)));
          await refused(() => store.append(notes.stream('1'), [note(2), note(3)], { idempotencyKey: 'k', expectedVersion: 1 }));
          await refused(() => store.appendAll([{ stream: notes.stream('2'), events: note(2) }]));
          expect(numbersOf(await collect(store.readAll()))).toEqual([1]);
          await using again = await openStore({ url: engine.url, namespace });
          expect(numbersOf(await collect(again.readStream(notes.stream('1'))))).toEqual([1]);
          expect(await refusalOf(() => openStore({ url: engine.url }))).toMatchObject({ reason: 'OOM' });
        },
        engine.url,
      );
      await raw.send('CONFIG', 'SET', 'maxmemory', '0');
      expect(await store.append(notes.stream('1'), note(2))).toMatchObject({ streamVersion: 2 });
    });
  });

  it('that becomes a replica appends nothing, can be read, and cannot be opened', async () => {
    await using raw = await connectRaw(engine.url);
    await withStore(async (store, namespace) => {
      await raw.send('REPLICAOF', '127.0.0.1', '1');
      await writingNothing(
        namespace,
        async () => {
          const error = await refusalOf(() => store.append(notes.stream('1'), note(2)));
          expect(error).toMatchObject({ name: 'ServerRefusedError', reason: 'READONLY' });
          expect(error.message).toContain('It is a replica: connect to the primary.');
          expect(numbersOf(await collect(store.readAll()))).toEqual([1]);
          expect(await refusalOf(() => openStore({ url: engine.url, namespace }))).toMatchObject({ code: 'unsuitable-server' });
        },
        engine.url,
      );
      await raw.send('REPLICAOF', 'NO', 'ONE');
    });
  });

  it('that would evict cannot be opened', async () => {
    await using raw = await connectRaw(engine.url);
    await raw.send('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const namespace = uniqueNamespace();
    const error = await writingNothing(namespace, () => refusalOf(() => openStore({ url: engine.url, namespace })), engine.url);
    expect(error).toMatchObject({ code: 'unsuitable-server' });
    await raw.send('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  it('that lets a user see only other keys refuses, and no password shows', async () => {
    await using raw = await connectRaw(engine.url);
    await raw.send('ACL', 'SETUSER', 'ann', 'on', `>${SECRET}`, '~other*', '&*', '+@all');
    for (const library of libraries) {
      const error = await refusalOf(() => EventStore.connect(engine.url, { library, username: 'ann', password: SECRET }));
      expect(error).toMatchObject({ name: 'ServerRefusedError', reason: 'NOPERM' });
      expect(error.message).toMatch(/^Could not open the store: .*Let the ACL user/);
    }
  });

  it('that goes away fails what comes then in time, and nothing of it was written', async () => {
    await withStore(async (store) => {
      await engine.kill();
      const read = await refusalOf(() => collect(store.readAll()));
      expect(read).toMatchObject({ name: 'ConnectionFailedError', code: 'connection-failed' });
      expect(read.message).toMatch(/^Could not read the log: .*Check that the server runs and can be reached/);
      // Now the client knows. One that is sent into a broken connection is told as unknown.
      const append = await refusalOf(() => store.append(notes.stream('1'), note(2)));
      expect(append).toMatchObject({ name: 'ConnectionFailedError', code: 'connection-failed' });
      expect(append.message).toMatch(/^Could not append: .*Nothing was written\. Check that the server runs/);
      await engine.restart();
      await vi.waitFor(async () => expect(numbersOf(await collect(store.readStream(notes.stream('1'))))).toEqual([1]), 10_000);
    });
  });
});

describe('a closed store', () => {
  it('refuses everything, and can be closed again', async () => {
    const namespace = uniqueNamespace();
    const store = await openStore({ namespace });
    await store.append(notes.stream('1'), note(1));
    const snapshots = new SnapshotStore(store);
    const processor = new StreamProcessor(store, { projections: [sums] });
    const started = store.readAll();
    const decider = notes.decider({ initialState: () => 0, evolve: (count) => count + 1, decide: (_: string, count) => [note(count)] });
    await Promise.all([store.close(), store.close()]);
    await store.close();
    const calls: readonly (() => unknown)[] = [
      () => store.append(notes.stream('1'), note(2)),
      () => store.appendAll([{ stream: notes.stream('1'), events: note(2) }]),
      () => store.readStream(notes.stream('1')),
      () => store.readCategory(notes),
      () => store.readAll(),
      () => store.subscribe(),
      () => store.execute(decider, '1', 'count'),
      () => started.next(),
      () => snapshots.get(sums, '1'),
      () => snapshots.getMany(sums, ['1']),
      () => snapshots.keys(sums).next(),
      () => new SnapshotStore(store),
      () => new StreamProcessor(store, { projections: [sums] }),
      () => processor.start(),
      () => processor.progress(),
      () => processor.runUntilCaughtUp(),
    ];
    await writingNothing(namespace, async () => {
      for (const call of calls) {
        const error = await refusalOf(call);
        expect(error).toMatchObject({
          name: 'StoreClosedError',
          code: 'store-closed',
          message: 'The store is closed. Open another one with EventStore.connect.',
        });
      }
    });
    await processor.stop();
  });
});

describe('the shared engine', () => {
  it('is one that a store can be opened on', async () => {
    await using store = await EventStore.connect(testUrl(), { namespace: uniqueNamespace() });
    expect(await collect(store.readAll())).toEqual([]);
  });
});
