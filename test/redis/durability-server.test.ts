// Which durability can be had on which server: told when a store is opened, with the reason and what to do.
import { readFileSync } from 'node:fs';
import { EventStore } from 'millrace';
import { startEmbedded } from 'millrace/embedded';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { expectFitToShow, invalidInputOf, refusalOf } from '../bad-input/refused.ts';
import { connectRaw, type RawClient, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { hasWaitAof } from '../support/replicated.ts';
import { note, notes, openStore, openStoreOver, ownClient } from '../support/store.ts';

const REPLICAS = { replicas: 1, timeoutMs: 100 } as const;

describe('no durability', () => {
  it.each([
    [null],
    [''],
    ['disk'],
    [true],
    [1],
    [[]],
    [{}],
    [{ replicas: 0, timeoutMs: 100 }],
    [{ replicas: -1, timeoutMs: 100 }],
    [{ replicas: 1.5, timeoutMs: 100 }],
    [{ replicas: '1', timeoutMs: 100 }],
    [{ replicas: 2 ** 31, timeoutMs: 100 }],
    [{ replicas: 1 }],
    [{ replicas: 1, timeoutMs: 0 }],
    [{ replicas: 1, timeoutMs: 0.5 }],
    [{ replicas: 1, timeoutMs: Number.POSITIVE_INFINITY }],
    [{ replicas: Number.NaN, timeoutMs: 100 }],
  ])('is %j', async (durability) => {
    const error = await invalidInputOf(() => openStore({ durability: durability as never }));
    expect(error.what).toContain('durability');
  });
});

test('the embedded engine has neither disk nor replicas, and is refused for both', async () => {
  const engine = await startEmbedded();
  for (const durability of ['fsync', REPLICAS] as const) {
    const error = await refusalOf(() => openStore({ url: engine.url, durability }));
    expect(error.code).toBe('unsuitable-server');
    expect(error.message).toMatch(/Durability .* cannot be had here: expected a disk or replicas, found the embedded engine, which has neither/);
  }
  await (await openStore({ url: engine.url, durability: 'server' })).close();
  await engine.close();
});

describe('on a server', () => {
  beforeEach(({ skip }) => {
    const why = whyNoEngine();
    if (why) skip(why);
  });

  let engine: TestEngine;
  let raw: RawClient;
  let isNew: boolean;

  beforeAll(async () => {
    if (whyNoEngine()) return;
    engine = await startEngine();
    raw = await connectRaw(engine.url);
    isNew = await hasWaitAof(raw);
  });

  afterAll(async () => {
    if (whyNoEngine()) return;
    raw.close();
    await engine.stop();
  });

  const settings = async (values: Record<string, string>): Promise<void> => {
    for (const [name, value] of Object.entries(values)) await raw.send('CONFIG', 'SET', name, value);
  };
  const opened = async (options: object = {}): Promise<void> => {
    await using store = await openStore({ url: engine.url, durability: 'fsync', ...options });
    await store.append(notes.stream('1'), note(1));
  };
  const refused = async (options: object = {}): Promise<string> => {
    const namespace = uniqueNamespace();
    const error = await refusalOf(() => openStore({ url: engine.url, durability: 'fsync', namespace, ...options }));
    expectFitToShow(error);
    expect(error.code).toBe('unsuitable-server');
    // Told before anything of the partitions is written.
    expect(await raw.send('KEYS', `{${namespace}:*`)).toEqual([]);
    return error.message;
  };

  test("'fsync' is refused without an append-only file", async () => {
    await settings({ appendonly: 'no' });
    expect(await refused()).toMatch(/expected appendonly yes, found a server that keeps no append-only file.*Run CONFIG SET appendonly yes/);
    await settings({ appendonly: 'yes' });
  });

  test("'fsync' with appendfsync always is had on every server", async () => {
    await settings({ appendfsync: 'always' });
    await opened();
  });

  test("'fsync' with appendfsync everysec needs a WAITAOF that can be relied on", async () => {
    await settings({ appendfsync: 'everysec' });
    if (isNew) return await opened();
    expect(await refused()).toMatch(
      /expected appendfsync always .*WAITAOF answers before the fsync.*, found everysec\..*Run CONFIG SET appendfsync always/,
    );
  });

  test("'fsync' is refused with appendfsync no: nothing would ever be confirmed", async () => {
    await settings({ appendfsync: 'no' });
    expect(await refused()).toMatch(/expected appendfsync always .*, found no\..*Run CONFIG SET appendfsync always/);
  });

  test('appendfsync always is not always with no-appendfsync-on-rewrite', async () => {
    await settings({ appendfsync: 'always', 'no-appendfsync-on-rewrite': 'yes' });
    if (isNew) await opened();
    else expect(await refused()).toMatch(/found always, but with no-appendfsync-on-rewrite.*CONFIG SET no-appendfsync-on-rewrite no/);
    await settings({ 'no-appendfsync-on-rewrite': 'no' });
  });

  test("'fsync' for a user who may not read the settings needs such a WAITAOF, too", async () => {
    await settings({ appendfsync: 'always' });
    await raw.send('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@all', '-config');
    const user = { username: 'reader', password: 'secret' };
    if (isNew) return await opened(user);
    expect(await refused(user)).toMatch(/found a user who may not read the settings .*NOPERM.*Let the ACL user run CONFIG GET \(\+config\|get\)/);
  });

  test('a user who may not wait is told so', async () => {
    await raw.send('ACL', 'SETUSER', 'hasty', 'on', '>secret', '~*', '&*', '+@all', '-wait');
    const user = { username: 'hasty', password: 'secret' };
    expect(await refused({ ...user, durability: REPLICAS })).toMatch(/a server that runs WAIT, found .*NOPERM.*Let the ACL user run it \(\+wait\)/);
    if (!isNew) return;
    await settings({ appendfsync: 'everysec' });
    await raw.send('ACL', 'SETUSER', 'hasty', '-waitaof');
    expect(await refused(user)).toMatch(/a server that runs WAITAOF, found .*NOPERM.*\(\+waitaof\)/);
  });

  test('the ACL user of the documents needs three more commands', async () => {
    await settings({ appendfsync: 'always' });
    const [, name = '', ...rules] = readFileSync(new URL('../../examples/docs/user.acl', import.meta.url), 'utf8')
      .trim()
      .split(' ');
    await raw.send(
      'ACL',
      'SETUSER',
      name,
      ...rules.filter((rule) => rule !== 'on' && !rule.startsWith('>')),
      'on',
      '>secret',
      '+wait',
      '+config|get',
    );
    const user = { namespace: name, username: name, password: 'secret' };
    await opened(user);
    await using store = await openStore({ url: engine.url, durability: REPLICAS, ...user });
    expect(await store.append(notes.stream('2'), note(1)).catch((error: unknown) => error)).toMatchObject({ code: 'unconfirmed', confirmed: 0 });
    if (!isNew) return;
    await settings({ appendfsync: 'everysec' });
    await raw.send('ACL', 'SETUSER', name, '+waitaof', '-config|get');
    await opened(user);
  });

  test('replicas may be asked for while there are none: they may come', async () => {
    await using store = await openStore({ url: engine.url, durability: REPLICAS });
    expect(await store.append(notes.stream('1'), note(1)).catch((error: unknown) => error)).toMatchObject({ code: 'unconfirmed', confirmed: 0 });
  });

  test("a caller's own client waits, too", async () => {
    await settings({ appendfsync: 'always' });
    await using own = await ownClient(engine.url);
    await using store = await openStoreOver(own, { durability: REPLICAS });
    expect(await store.append(notes.stream('1'), note(1)).catch((error: unknown) => error)).toMatchObject({ code: 'unconfirmed' });
    await using synced = await openStoreOver(own, { durability: 'fsync' });
    expect(await synced.append(notes.stream('1'), note(1))).toMatchObject({ streamVersion: 1 });
  });
});

test("'server' is the default, and asks for nothing", async () => {
  await using store = await EventStore.connect(testUrl(), { library: testClient(), namespace: uniqueNamespace(), durability: 'server' });
  expect(await store.append(notes.stream('1'), note(1))).toMatchObject({ streamVersion: 1 });
});
