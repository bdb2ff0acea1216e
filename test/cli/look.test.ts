// Tests the commands that read and append: streams, read, append, event, snapshots, diff.
import type { EventStore } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { project } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { profiles, profiles2, users } from './app.ts';
import { jsonLinesOf, jsonOf, reaching, runHere } from './run-cli.ts';

const APP = ['-a', 'test/cli/app.ts'];

let namespace: string;
let store: EventStore;
let at: readonly string[];

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 1 });
  at = reaching(namespace);
});

afterEach(async () => {
  await store.close();
});

async function renamed(id: string, ...names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) await store.append(users.stream(id), { type: index === 0 ? 'Registered' : 'Renamed', data: { name } });
}

describe('streams', () => {
  test('lists categories, with their memory where asked', async () => {
    expect(await runHere([...at, 'streams'])).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('no events yet') });
    await renamed('1', 'Duffy', 'Daffy');
    const { stdout } = await runHere([...at, 'streams', '--bytes']);
    expect(stdout).toMatch(/^category +events +memory +first +last\n/);
    expect(stdout).toMatch(/users +2 +[\d.]+ (B|KiB) +\d{4}-/);
    expect(await jsonOf([...at, 'streams'])).toMatchObject([{ category: 'users', events: 2 }]);
  });

  test('lists the streams of one, those written last first, and says where there are more', async () => {
    for (const id of ['a', 'b', 'a2']) await renamed(id, 'Duffy');
    const names = async (...options: readonly string[]): Promise<string[]> =>
      (await jsonLinesOf<{ streamName: string }>([...at, 'streams', 'users', ...options])).map(({ streamName }) => streamName);
    expect(await names()).toEqual(['users:a2', 'users:b', 'users:a']);
    expect(await names('--starts-with', 'a')).toEqual(['users:a2', 'users:a']);
    expect((await names('--any-order', '--starts-with', 'a')).sort()).toEqual(['users:a', 'users:a2']);
    const cut = await runHere([...at, 'streams', 'users', '--limit', '2']);
    expect(cut.stdout.trim().split('\n')).toHaveLength(3);
    expect(cut.stderr).toContain('There are more than 2');
  });

  test('says which categories there are where it is another', async () => {
    const found = await runHere([...at, 'streams', 'nobody']);
    expect(found).toMatchObject({ code: 1, stdout: '' });
    expect(found.stderr).toContain('found none that is called "nobody"');
  });
});

describe('append', () => {
  test('appends one event, and says where it is', async () => {
    const { stdout, code } = await runHere([...at, 'append', 'users:1', 'Renamed', '{"name":"Daffy"}']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^users:1 is at version 1\nposition \d+-\d+\ntoken \S+\n$/);
    const all = ['--expect', '1', '--metadata', '{"correlationId":"c"}', '--id', 'mine'];
    expect(await jsonOf([...at, 'append', 'users:1', 'Renamed', '-', ...all], { input: '{"name":"Duffy"}' })).toMatchObject({
      streamVersion: 2,
      isRepeated: false,
    });
    expect(await jsonLinesOf([...at, 'read', 'users:1'])).toMatchObject([
      { type: 'Renamed', data: { name: 'Daffy' } },
      { id: 'mine', data: { name: 'Duffy' }, metadata: { correlationId: 'c' } },
    ]);
  });

  test('appends once by an idempotency key', async () => {
    const args = [...at, 'append', 'users:1', 'Renamed', '{"name":"Daffy"}', '--idempotency-key', 'k'];
    await runHere(args);
    expect((await runHere(args)).stdout).toContain('at version 1 (it was there already, by this idempotency key)');
  });

  test('is refused at another version, and with what is wrong', async () => {
    await renamed('1', 'Duffy');
    const conflict = await runHere([...at, 'append', 'users:1', 'Renamed', '{}', '--expect', 'no-stream']);
    expect(conflict.code).toBe(1);
    expect(conflict.stderr).toMatch(/expected version .*found 1/);
    for (const [args, words] of [
      [['users:1', 'Renamed', '{name}'], 'Expected JSON'],
      [['users:1', 'Renamed', '{}', '--expect', 'many'], 'Expected a version'],
      [['users:1', 'Renamed', '{}', '--metadata', '[1]'], 'Expected a JSON object'],
      [['users', 'Renamed', '{}'], 'stream name'],
      [['users:1', '', '{}'], 'type'],
    ] as const) {
      const { code, stderr } = await runHere([...at, 'append', ...args]);
      expect(code, words).toBe(2);
      expect(stderr).toContain(words);
    }
    expect(await jsonOf([...at, 'streams'])).toMatchObject([{ events: 1 }]);
  });

  test('makes the store where there is none, which looking does not', async () => {
    const other = reaching(uniqueNamespace());
    const looked = await runHere([...other, 'streams']);
    expect(looked).toMatchObject({ code: 3, stdout: '' });
    expect(looked.stderr).toContain('found none there');
    expect((await runHere([...other, 'append', 'users:1', 'Renamed', '{}'])).code).toBe(0);
    expect((await runHere([...other, 'streams'])).code).toBe(0);
  });
});

describe('read', () => {
  beforeEach(async () => {
    await renamed('1', 'Duffy', 'Daffy', 'Donald');
    await renamed('2', 'Daisy');
    await store.append(users.stream('1'), { type: 'Left', data: { why: 'tired' } });
  });

  const versions = async (...args: readonly string[]): Promise<string[]> =>
    (await jsonLinesOf<{ id: string }>([...at, 'read', ...args])).map(({ id }) => id.replace('users:', ''));

  test('gives a stream, a category, or everything, forward and backward', async () => {
    expect(await versions('users:1')).toEqual(['1@1', '1@2', '1@3', '1@4']);
    expect(await versions('users')).toEqual(['1@1', '1@2', '1@3', '2@1', '1@4']);
    expect(await versions('--all', '--backward')).toEqual(['1@4', '2@1', '1@3', '1@2', '1@1']);
  });

  test('begins and ends where it is told: at versions, positions, times and cursors', async () => {
    expect(await versions('users:1', '--from', '2', '--until', '3')).toEqual(['1@2', '1@3']);
    expect(await versions('users:1', '--from', '3', '--until', '2', '--backward')).toEqual(['1@3', '1@2']);
    const all = await jsonLinesOf<{ position: string; recordedAt: string }>([...at, 'read', 'users']);
    expect(await versions('users', '--from', all[1]?.position ?? '', '--until', all[3]?.position ?? '')).toEqual(['1@3', '2@1']);
    expect(await versions('users', '--from', all[4]?.recordedAt ?? '')).toContain('1@4');
    expect(await versions('users', '--from', '1h')).toHaveLength(5);
    expect(await versions('users', '--until', '1h')).toEqual([]);
    const cut = await runHere([...at, 'read', 'users', '--limit', '2']);
    const cursor = /--from (\S+)/.exec(cut.stderr)?.[1] ?? '';
    expect(await versions('users', '--from', cursor)).toEqual(['1@3', '2@1', '1@4']);
    expect((await runHere([...at, 'read', 'users:1', '--limit', '2'])).stderr).toContain('--from 3');
  });

  test('gives only the types and data that are asked for', async () => {
    expect(await versions('users', '--type', 'Registered', '--type', 'Left')).toEqual(['1@1', '2@1', '1@4']);
    expect(await versions('users', '--where', 'name=Daffy')).toEqual(['1@2']);
    expect(await versions('users', '--where', 'name~Da')).toEqual(['1@2', '2@1']);
    expect(await versions('users', '--where', 'name!=Daffy', '--where', 'name>Da')).toEqual(['1@1', '1@3', '2@1']);
    expect(await versions('users', '--where', 'constructor~x')).toEqual([]);
  });

  test('compares numbers as numbers, and looks into what is nested', async () => {
    await jsonOf([...at, 'append', 'orders:1', 'Placed', '{"total":{"amount":9},"lines":["a"]}']);
    await jsonOf([...at, 'append', 'orders:1', 'Placed', '{"total":{"amount":10},"lines":["b"]}']);
    const orders = async (...conditions: readonly string[]): Promise<number> =>
      (await jsonLinesOf([...at, 'read', 'orders:1', ...conditions.flatMap((each) => ['--where', each])])).length;
    expect(await orders('total.amount>9')).toBe(1);
    expect(await orders('total.amount<=10')).toBe(2);
    expect(await orders('lines.0=b')).toBe(1);
    expect(await orders('total={"amount":9}')).toBe(1);
    expect(await orders('total.nothing.deeper>1')).toBe(0);
  });

  test('shows people one event on a line, or all of it, and never what moves their cursor', async () => {
    await store.append(users.stream('\u202ehtml<b>'), { type: 'Renamed', data: { name: 'a\u001b[2Jb\u0007' } });
    const { stdout } = await runHere([...at, 'read', 'users', '--from', 'start']);
    expect(stdout).not.toMatch(/[\u001b\u0007\u202e]/);
    expect(stdout).toContain('\\u202ehtml<b>@1');
    expect(stdout).toContain('\\u001b[2Jb');
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} {2}users:1@1 {2}Registered {2}\{"name":"Duffy"\}\n/);
    const full = await runHere([...at, 'read', 'users:1', '--full', '--limit', '1']);
    expect(full.stdout).toContain('"name": "Duffy"');
    expect(full.stdout).toMatch(/position +\d+-\d/);
    const narrow = await runHere([...at, 'read', 'users:1', '--limit', '1'], { columns: 60 });
    expect(narrow.stdout.length).toBeLessThan(100);
  });

  test('follows what comes, until Ctrl-C', async () => {
    const followed = runHere([...at, 'read', 'users', '--follow', '--json'], { interruptWhen: (stdout) => stdout.includes('Gustav') });
    await renamed('3', 'Gustav');
    const { code, stdout, stderr } = await followed;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: string }).id),
    ).toEqual(['users:1@1', 'users:1@2', 'users:1@3', 'users:2@1', 'users:1@4', 'users:3@1']);
  });

  test('refuses what contradicts itself, with words', async () => {
    for (const [args, words] of [
      [[], 'found none of them'],
      [['users', '--all'], 'found two of them'],
      [['users', '--follow', '--backward'], '--follow or --backward'],
      [['users', '--follow', '--until', '1h'], '--follow or --until'],
      [['users:1', '--follow'], 'follow its category'],
      [['users', '--from', 'yesterday'], 'Expected start, end, a time'],
      [['users', '--limit', '0'], 'whole number from 1'],
      [['users', '--where', 'nothing'], 'Expected a field of the data'],
      [['us ers'], 'category name'],
    ] as const) {
      const { code, stderr } = await runHere([...at, 'read', ...args]);
      expect(code, words).toBe(2);
      expect(stderr).toContain(words);
    }
  });
});

describe('event', () => {
  test('shows one with what caused it and what it caused', async () => {
    await renamed('1', 'Duffy');
    await store.append(users.stream('2'), { type: 'Registered', data: { name: 'Daisy' }, id: 'mine', metadata: { causationId: 'users:1@1' } });
    const { stdout } = await runHere([...at, 'event', 'users:1', '1']);
    expect(stdout).toContain('caused by nothing');
    expect(stdout).toMatch(/caused +\S+ \S+ +users:2@1 +Registered/);
    const byId = await jsonOf<{ event: { id: string }; cause: { id: string }; effects: readonly unknown[] }>([...at, 'event', 'mine']);
    expect(byId).toMatchObject({ event: { id: 'mine' }, cause: { id: 'users:1@1' }, effects: [] });
    const [read] = await jsonLinesOf<{ position: string }>([...at, 'read', 'users:2']);
    expect(await jsonOf([...at, 'event', read?.position ?? ''])).toMatchObject({ event: { id: 'mine' } });
  });

  test('says so where there is none', async () => {
    for (const args of [['users:1', '7'], ['users:1@7'], ['nobody'], ['1767225600000-0']]) {
      const { code, stderr } = await runHere([...at, 'event', ...args]);
      expect(code).toBe(1);
      expect(stderr).toContain('Expected an event');
    }
    expect(await runHere([...at, 'event', 'users', '1'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Expected a stream') });
  });
});

describe('snapshots', () => {
  beforeEach(async () => {
    await renamed('1', 'Duffy', 'Daffy');
    await renamed('2', 'Daisy');
    await project(store, profiles, profiles2);
  });

  test('lists projections, keys, and shows a document, without any code', async () => {
    expect(await jsonOf([...at, 'snapshots'])).toMatchObject([
      { name: 'profiles', version: 1, isServing: true, lagEvents: 0 },
      { name: 'profiles', version: 2, isServing: false },
    ]);
    expect((await runHere([...at, 'snapshots'])).stdout).toContain('profiles@1');
    expect((await runHere([...at, 'snapshots', 'profiles'])).stdout.trim().split('\n').sort()).toEqual(['1', '2']);
    expect(await jsonLinesOf([...at, 'snapshots', 'profiles@2', '--starts-with', '2'])).toEqual([{ key: '2' }]);
    expect(await jsonOf([...at, 'snapshots', 'profiles', '1'])).toMatchObject({
      projection: 'profiles@1',
      key: '1',
      state: { name: 'Daffy', changes: 2 },
    });
    expect((await runHere([...at, 'snapshots', 'profiles@2', '1'])).stdout).toContain('"renames": 1');
  });

  test('says how far behind it may be, and gives what is fresh, and what was', async () => {
    await store.append(users.stream('1'), { type: 'Renamed', data: { name: 'Donald' } });
    const stale = await runHere([...at, 'snapshots', 'profiles', '1']);
    expect(stale.stdout).toContain('"Daffy"');
    expect(stale.stderr).toContain('has yet to fold 1 events');
    expect(await jsonOf([...at, ...APP, 'snapshots', 'profiles', '1', '--fresh'])).toMatchObject({ state: { name: 'Donald', changes: 3 } });
    const [first] = await jsonLinesOf<{ position: string }>([...at, 'read', 'users:1']);
    expect(await jsonOf([...at, ...APP, 'snapshots', 'profiles', '1', '--at', first?.position ?? ''])).toMatchObject({
      state: { name: 'Duffy', changes: 1 },
    });
  });

  test('says what is missing: a document, a projection, its code', async () => {
    for (const [args, code, words] of [
      [['profiles', '9'], 1, 'Expected a document "9" of profiles@1'],
      [['nobody'], 1, 'found only profiles@1, profiles@2'],
      [['profiles', '1', '--at', '1h'], 1, '--app'],
      [[...APP, 'profiles', '1', '--at', '1h'], 1, 'found none'],
      [['profiles', '1', '--at', '1h', '--fresh'], 2, 'found both'],
      [['profiles', '--fresh'], 2, 'Expected a key'],
      [['profiles', '1', '--at', 'then', ...APP], 2, 'Expected start, end, a time'],
      [['-a', 'test/cli/run-cli.ts', 'profiles', '1', '--fresh'], 2, 'to export projections or reactors'],
      [['-a', 'nowhere.js', 'profiles', '1', '--fresh'], 2, 'cannot be loaded'],
    ] as const) {
      const found = await runHere([...at, 'snapshots', ...args]);
      expect(found.stderr, words).toContain(words);
      expect(found.code, words).toBe(code);
    }
  });
});

describe('diff', () => {
  test('shows what changed between two times, and the events that did it', async () => {
    await renamed('1', 'Duffy', 'Daffy', 'Donald');
    await store.append(users.stream('1'), { type: 'Left', data: { why: 'tired' } });
    const positions = (await jsonLinesOf<{ position: string }>([...at, 'read', 'users:1'])).map(({ position }) => position);
    const between = ['--from', positions[0] ?? '', '--until', positions[2] ?? ''];
    const { stdout } = await runHere([...at, ...APP, 'diff', 'profiles@1', '1', ...between]);
    expect(stdout).toContain('~ name: "Duffy" → "Donald"\n~ changes: 1 → 3\n');
    expect(stdout).toContain('2 events in between');
    expect(stdout).toMatch(/users:1@2 +Renamed.*\n {2}~ name: "Duffy" → "Daffy"/);
    expect(await jsonOf([...at, ...APP, 'diff', 'profiles', '1', '--from', positions[2] ?? ''])).toMatchObject({
      before: { name: 'Donald' },
      changes: [{ kind: 'changed', path: '', after: null }],
      events: [{ event: { type: 'Left' } }],
    });
    expect((await runHere([...at, ...APP, 'diff', 'profiles', '1', '--from', positions[3] ?? ''])).stdout).toContain('the same at both times');
    expect(await runHere([...at, ...APP, 'diff', 'profiles', '9', '--from', '1h'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('found none'),
    });
  });

  test('needs the code of the projection, and a time to begin at', async () => {
    expect(await runHere([...at, 'diff', 'profiles', '1', '--from', '1h'])).toMatchObject({ code: 1, stderr: expect.stringContaining('--app') });
    expect(await runHere([...at, ...APP, 'diff', 'profiles', '1'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--from') });
  });
});
