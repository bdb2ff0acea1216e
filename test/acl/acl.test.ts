// Tests that each role can do its work under the rules that `millrace acl` prints, and nothing else.
import {
  category,
  type Event,
  EventStore,
  inspect,
  isMillraceError,
  ProcessorControl,
  processManager,
  projection,
  reactor,
  SnapshotStore,
  source,
  StreamProcessor,
} from 'millrace';
import { aclRules, type Role, ROLES } from 'millrace/acl';
import { examine } from 'millrace/doctor';
import { verify } from 'millrace/verify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { commandsOf } from '../../src/acl/roles.ts';
import { reaching, runHere } from '../cli/run-cli.ts';
import { makeUser } from '../support/acl.ts';
import { connectRaw, type RawClient, testClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { project, sums, until } from '../support/processors.ts';
import { errorOf, note, notes, openStore, someNotes } from '../support/store.ts';

type Counted = Event<'Counted', { readonly by: number }>;
const counters = category<Counted>('counters');
const counter = counters.decider({
  snapshot: { name: 'counter', version: 1 },
  initialState: () => 0,
  evolve: (sum, { data }) => sum + data.by,
  decide: (by: number) => [{ type: 'Counted', data: { by } }],
});

const parity = projection({
  name: 'parity',
  categories: [notes],
  key: ({ data }) => (data.n % 2 === 0 ? 'even' : 'odd'),
  initialState: () => 0,
  evolve: (sum, { data }) => (data.n === 5 ? null : sum + data.n),
});

const why = whyNoEngine();

/** An engine of its own: users are of a server, not of a namespace. */
let engine: TestEngine | undefined;
let admin: EventStore;
let raw: RawClient;
let namespace: string;

beforeAll(async () => {
  if (why === undefined) engine = await startEngine();
});

afterAll(async () => await engine?.stop());

beforeEach(async ({ skip }) => {
  if (!engine) return skip(why);
  namespace = uniqueNamespace();
  admin = await openStore({ url: engine.url, namespace, partitions: 2 });
  raw = await connectRaw(engine.url);
});

afterEach(async () => {
  if (!engine) return;
  await admin.close();
  raw.close();
});

async function storeOf(role: Role, sources: readonly string[] = []): Promise<EventStore> {
  return await EventStore.connect(await makeUser(admin, engine?.url ?? '', role, sources), { namespace, library: testClient() });
}

describe('a writer', () => {
  test('appends, to several streams, once by a key, schedules, cancels, executes, and reads', async () => {
    await using store = await storeOf('writer');
    await store.append(notes.stream('a'), someNotes(3), { expectedVersion: 'no-stream', idempotencyKey: 'k' });
    await store.append(notes.stream('a'), someNotes(3), { expectedVersion: 'no-stream', idempotencyKey: 'k' });
    await store
      .appendAll(
        [
          { stream: notes.stream('a'), events: note(4) },
          { stream: counters.stream('a'), events: { type: 'Counted', data: { by: 1 } } },
        ],
        {
          guards: [{ stream: notes.stream('a'), expectedVersion: 3 }],
          schedule: [{ stream: notes.stream('a'), events: note(9), deliverAt: Date.now() + 60_000 }],
        },
      )
      .catch((error: unknown) => expect(isMillraceError(error, 'invalid-input')).toBe(true));
    const { id } = await store.schedule(notes.stream('b'), note(1), { deliverAt: Date.now() + 60_000 });
    expect(await store.cancelScheduled(id)).toBe(true);
    for (let turn = 0; turn < 120; turn += 1) await store.execute(counter, 'c', 1);
    expect((await store.execute(counter, 'c', 1)).state).toBe(121);
    const following = await store.subscribe({ from: 'start' });
    for await (const event of following) {
      expect(event.streamVersion).toBe(1);
      break;
    }
    for await (const _ of store.readStream(notes.stream('a')));
  });

  test('makes a store where there is none', async () => {
    const url = await makeUser(admin, engine?.url ?? '', 'writer');
    await raw.send('DEL', `{${namespace}}:settings`);
    await using store = await EventStore.connect(url, { namespace, library: testClient() });
    expect((await store.append(notes.stream('a'), note(1))).streamVersion).toBe(1);
  });

  test('can neither write a checkpoint nor fold', async () => {
    await using store = await storeOf('writer');
    await store.append(notes.stream('a'), note(1));
    await using processor = new StreamProcessor(store, { projections: [sums()] });
    processor.on('failed', () => {});
    expect(String(await errorOf(processor.runUntilCaughtUp()))).toContain('NOPERM');
  });
});

describe('a processor', () => {
  test('runs projections, reactors, process managers, sources and schedules, rewinds and drops nothing of others', async () => {
    const foreign = `foreign-${namespace}`;
    await using store = await storeOf('processor', [foreign]);
    await raw.send('XADD', foreign, '*', 'n', '7');
    for (let n = 0; n < 6; n += 1) await admin.append(notes.stream(`s${n}`), someNotes(3));
    await admin.schedule(notes.stream('later'), note(1), { deliverAt: Date.now() - 1 });
    const seen: string[] = [];
    const reactors = (['stream', 'none'] as const).map((order) =>
      reactor({
        name: `reacts-${order}`,
        categories: [notes],
        order,
        retry: { attempts: 1 },
        handle: async ({ data, id }, context) => {
          if (data.n === 2) throw new Error('gives up');
          await context.append(counters.stream(`${order}-${id.replace(/[:@]/g, '-')}`), { type: 'Counted', data: { by: 1 } });
          seen.push(id);
        },
      }),
    );
    const manager = processManager({
      name: 'manages',
      categories: [notes],
      initialState: () => 0,
      evolve: (count) => count + 1,
      react: ({ streamName }, _, effects) => [
        effects.append(counters.stream(streamName.slice('notes:'.length)), { type: 'Counted', data: { by: 1 } }),
      ],
    });
    const imported = source({ key: foreign, into: notes, decode: ({ fields }) => ({ id: 'imported', event: note(Number(fields['n'])) }) });
    await using processor = new StreamProcessor(store, { projections: [sums(), parity], reactors: [...reactors, manager], sources: [imported] });
    const failures: unknown[] = [];
    processor.on('failed', ({ error }) => failures.push(error));
    await processor.runUntilCaughtUp();
    expect(failures).toEqual([]);
    expect(await new SnapshotStore(store).get(sums(), 's0')).toEqual({ count: 3, sum: 6 });
    expect(await new SnapshotStore(store).get(parity, 'odd')).toBeGreaterThan(0);
    expect(seen.length).toBeGreaterThan(12);
  });
});

describe('a reader', () => {
  test('reads events and documents, and follows both', async () => {
    await admin.append(notes.stream('a'), someNotes(3));
    await project(admin, sums());
    await using store = await storeOf('reader');
    const snapshots = new SnapshotStore(store);
    expect(await snapshots.get(sums(), 'a')).toEqual({ count: 3, sum: 6 });
    const { token } = await admin.append(notes.stream('a'), note(4));
    expect(await snapshots.get(sums(), 'a', { fresh: true })).toEqual({ count: 4, sum: 10 });
    expect(await snapshots.get(sums(), 'a', { at: new Date() })).toEqual({ count: 4, sum: 10 });
    const [waited] = await Promise.all([snapshots.get(sums(), 'a', { atLeast: token }), project(admin, sums())]);
    expect(waited).toEqual({ count: 4, sum: 10 });
    for await (const key of snapshots.keys(sums())) expect(key).toBe('a');
    for await (const event of await store.subscribe({ categories: [notes] })) {
      expect(event.data).toEqual({ n: 1 });
      break;
    }
    for await (const _ of store.readScheduled());
    expect(await inspect(store).health({ processors: [sums()] })).toMatchObject({ isHealthy: true });
  });

  test('appends nothing, and makes no store', async () => {
    const url = await makeUser(admin, engine?.url ?? '', 'reader');
    await using store = await EventStore.connect(url, { namespace, library: testClient() });
    expect(String(await errorOf(store.append(notes.stream('a'), note(1))))).toContain('NOPERM');
    expect(String(await errorOf(EventStore.connect(url, { namespace: `${namespace}2`, library: testClient() })))).toContain('NOPERM');
  });
});

describe('an operator', () => {
  test('looks at everything, and looks after what runs', async () => {
    await admin.append(notes.stream('a'), someNotes(3));
    const failing = reactor({ name: 'failing', categories: [notes], retry: { attempts: 1 }, handle: () => Promise.reject(new Error('no')) });
    const unordered = reactor({ name: 'unordered', categories: [notes], order: 'none', handle: () => {} });
    {
      await using processor = new StreamProcessor(admin, { projections: [sums(), sums('sums', 2), parity], reactors: [failing, unordered] });
      await processor.runUntilCaughtUp();
    }
    await using store = await storeOf('operator');
    const [facts, control] = [inspect(store), new ProcessorControl(store)];
    expect((await facts.categories({ bytes: true, ends: true })).length).toBe(1);
    expect((await facts.server()).length).toBe(1);
    for await (const { streamName } of facts.streams({ order: 'any' })) expect(streamName).toBe('notes:a');
    expect((await verify(store, { all: true, projections: [sums()] })).findings).toEqual([]);
    expect((await examine(store, { watchMs: 1 })).some(({ id }) => id === 'server-settings')).toBe(false);
    const letters = control.deadLetters(failing);
    for await (const { id } of letters.list()) {
      expect(await letters.retry(id)).toBe(true);
      expect(await letters.discard(id)).toBe(true);
    }
    await control.serve(sums('sums', 2));
    for (const each of await facts.processors()) {
      await control.pause(each);
      await control.resume(each);
      await control.rewind(each);
    }
    await control.serve(sums('sums', 2), { evenIfBehind: true });
    for (const each of await facts.processors()) if (!each.isServing) await control.drop(each);
    expect((await facts.processors()).map(({ name, version }) => `${name}@${version}`)).toContain('sums@2');
  });

  test('appends nothing', async () => {
    await using store = await storeOf('operator');
    expect(await errorOf(store.append(notes.stream('a'), note(1)))).toMatchObject({ code: 'server-refused', reason: 'NOPERM' });
  });
});

describe.each(ROLES)('a %s may nothing else:', (role) => {
  const user = `nothing-else-${role}`;

  beforeEach(async () => {
    if (engine) await raw.send('ACL', 'SETUSER', user, 'reset', 'on', '>p', ...(await aclRules(admin, role)));
  });

  const isAllowed = async (...command: readonly string[]): Promise<boolean> => {
    const reply = await raw.send('ACL', 'DRYRUN', user, ...command).then(String, (error: unknown) => `ERR ${String(error)}`);
    if (/wrong number of arguments|unknown/i.test(reply)) return false;
    return reply === 'OK';
  };

  test('no other command', async () => {
    const known = ((await raw.send('COMMAND', 'LIST')) as string[]).map((name) => name.toLowerCase());
    const first = new Set(commandsOf[role].map((command) => command.split('|')[0]));
    const others = known.filter((name) => !first.has(name) && !name.includes('|') && name !== 'reset'); // which everybody may, to be nobody again
    expect(others.length).toBeGreaterThan(100);
    const key = `{${namespace}:0}:log:notes`;
    for (const name of others) {
      for (const args of [[], [key], [key, key], [key, '1', 'x']]) expect(await isAllowed(name, ...args), name).toBe(false);
    }
    for (const command of [
      'FLUSHALL',
      'CONFIG SET maxmemory 1',
      'KEYS *',
      'DEBUG SLEEP 0',
      'SHUTDOWN',
      'SCRIPT FLUSH',
      'CLIENT KILL x',
      'ACL LIST',
      'REPLICAOF a 1',
    ])
      expect(await isAllowed(...command.split(' ')), command).toBe(false);
  });

  test('no key of another store, or of others', async () => {
    for (const key of [`{${namespace}x:0}:log:notes`, `{other:0}:head`, 'session:1', `{${namespace}x}:settings`]) {
      for (const command of [
        ['GET', key],
        ['XRANGE', key, '-', '+'],
        ['HSET', key, 'a', 'b'],
        ['EVALSHA', 'sha', '1', key],
        ['XADD', key, '*', 'a', 'b'],
      ])
        expect(await isAllowed(...command), command.join(' ')).toBe(false);
    }
  });

  test('and of this store only what it has to write', async () => {
    const writes: Readonly<Record<Role, readonly [boolean, boolean, boolean]>> = {
      reader: [false, false, false],
      writer: [true, false, true],
      processor: [true, true, true],
      operator: [false, true, true],
    };
    const [log, checkpoint, settings] = writes[role];
    expect(await isAllowed('XADD', `{${namespace}:0}:log:notes`, '*', 'a', 'b')).toBe(log);
    expect(await isAllowed('HSET', `{${namespace}:0}:checkpoint:sums@1`, 'a', 'b')).toBe(checkpoint);
    expect(await isAllowed('HSET', `{${namespace}}:settings`, 'a', 'b')).toBe(settings);
  });
});

describe('on the command line', () => {
  test('prints the rules of one role or of all, as commands or as lines of a file', async () => {
    const at = reaching(namespace)
      .map((each) => (each.startsWith('redis://') ? (engine?.url ?? '') : each))
      .filter((each) => each !== '--cluster');
    const one = await runHere([...at, 'acl', 'reader']);
    expect(one.stdout).toMatch(/^ACL SETUSER millrace-reader on ><password> resetkeys resetchannels -@all /);
    expect(one.stderr).toContain('<password>');
    const file = await runHere([...at, 'acl', 'writer', '--file', '--user', 'shop']);
    expect(file.stdout).toMatch(/^user shop on ><password> /);
    expect((await runHere([...at, 'acl'])).stdout.trim().split('\n')).toHaveLength(4);
    expect(await runHere([...at, 'acl', 'king'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Expected one of reader, writer, processor, operator'),
    });
    const line = one.stdout.trim().replace('<password>', 'secret-of-its-own');
    expect(await raw.send(...line.split(' '))).toBe('OK');
  });

  test('rules fit this server: they are taken as they are printed', async () => {
    await until('all are taken', async () => {
      for (const role of ROLES) expect(await raw.send('ACL', 'SETUSER', `fits-${role}`, ...(await aclRules(admin, role)))).toBe('OK');
      return true;
    });
  });
});
