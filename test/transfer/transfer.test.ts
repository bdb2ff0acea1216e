// Tests that an export holds what the log held, and that an import brings it back, each event once, whatever breaks off in between.
import { createReadStream } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type EventStore, isMillraceError, projection, type RecordedEvent, SnapshotStore } from 'millrace';
import { exportEvents, ImportConflictError, importEvents, readBroken, readEvents } from 'millrace/transfer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { project, sums } from '../support/processors.ts';
import { errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';
import { reaching, runBinary, runHere } from '../cli/run-cli.ts';

let folder: string;
let namespace: string;
let store: EventStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-transfer-'));
});

afterAll(async () => await rm(folder, { recursive: true, force: true }));

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 3 });
});

afterEach(async () => await store.close());

async function textOf(from: EventStore = store): Promise<string> {
  let text = '';
  for await (const piece of exportEvents(from)) text += piece;
  return text;
}

function eventsIn(text: string): ReturnType<typeof readEvents> {
  return readEvents(Readable.from([Buffer.from(text)]));
}

/** Streams with what makes an event the same elsewhere; positions are not. */
async function contentOf(from: EventStore): Promise<Map<string, object[]>> {
  const content = new Map<string, object[]>();
  for await (const { position: _, ...event } of from.readAll() as AsyncIterable<RecordedEvent>)
    content.set(event.streamName, [...(content.get(event.streamName) ?? []), event]);
  return content;
}

async function fill(streams = 7, events = 5): Promise<void> {
  for (let n = 0; n < streams; n += 1) {
    await store.append(notes.stream(`s${n}`), someNotes(events));
    await store.append(marks.stream(`s${n}`), {
      ...note(n),
      id: `mine-${n}`,
      metadata: { correlationId: `c${n}`, nested: { a: [1, null, 'ü\u2028'] } },
    });
  }
}

describe('an export', () => {
  test('comes back the same in another store: versions, ids, metadata and times, whatever its partitions', async () => {
    await fill();
    const text = await textOf();
    for (const partitions of [1, 4]) {
      await using other = await openStore({ partitions });
      expect(await importEvents(other, eventsIn(text))).toEqual({ appended: 42, alreadyThere: 0 });
      expect(await contentOf(other)).toEqual(await contentOf(store));
      expect(await importEvents(other, eventsIn(text))).toEqual({ appended: 0, alreadyThere: 42 });
    }
  });

  test('holds what the log held at the beginning, while appends go on', async () => {
    await fill(2, 50);
    let hasAppended = false;
    let text = '';
    const slow = exportEvents(store);
    for await (const piece of slow) {
      text += piece;
      if (!hasAppended) await store.append(notes.stream('s0'), someNotes(5));
      hasAppended = true;
    }
    const kinds = text.trim().split('\n').length;
    expect(kinds).toBe(102 + 2);
    for await (const _ of eventsIn(text)); // its count and digest are right
  });

  test('in the order of positions lets projections be folded to the same documents', async () => {
    await fill();
    const both = projection({
      name: 'both',
      categories: [notes, marks],
      initialState: (): readonly number[] => [],
      evolve: (list, { data }) => [...list, data.n],
    });
    await project(store, both, sums());
    await using other = await openStore({ partitions: 2 });
    await importEvents(other, eventsIn(await textOf()));
    await project(other, both, sums());
    for (let n = 0; n < 7; n += 1)
      expect(await new SnapshotStore(other).get(both, `s${n}`)).toEqual(await new SnapshotStore(store).get(both, `s${n}`));
  });

  test('that was torn, changed or is something else is refused, with the line', async () => {
    await fill(2, 3);
    const lines = (await textOf()).split('\n');
    const found = async (text: string): Promise<string> =>
      String(
        await errorOf(
          (async () => {
            for await (const _ of eventsIn(text));
          })(),
        ),
      );
    expect(await found(lines.slice(0, 4).join('\n'))).toContain('it was cut off');
    expect(await found([...lines.slice(0, 3), ...lines.slice(4)].join('\n'))).toContain('8 events, as its trailer says');
    expect(await found(lines.join('\n').replace('"n":2', '"n":7'))).toContain('a line was changed');
    expect(await found([lines[0], '{"stream":', ...lines.slice(1)].join('\n'))).toContain('line 2 of the export');
    expect(await found([lines[0], '{"stream":"a:1"}', ...lines.slice(1)].join('\n'))).toContain('an event with stream, version');
    expect(await found(lines.slice(1).join('\n'))).toContain('the header of an export');
    expect(await found(lines.join('\n').replace('"format":1', '"format":9'))).toContain('format 9');
    expect(await found('')).toContain('nothing at all');
  });
});

describe('an import', () => {
  test('refuses another event at the same version, and writes nothing to its stream', async () => {
    await fill(1, 3);
    await using other = await openStore({});
    await other.append(notes.stream('s0'), note(99));
    const error = await errorOf(importEvents(other, eventsIn(await textOf())));
    expect(error).toBeInstanceOf(ImportConflictError);
    expect(isMillraceError(error, 'import-conflict')).toBe(true);
    expect(String(error)).toMatch(/Expected notes:s0@1 of line 2 .* found another event there/);
    expect((await contentOf(other)).get('notes:s0')).toHaveLength(1);
  });

  test('refuses a stream whose beginning is missing', async () => {
    await fill(1, 3);
    const [header, , ...rest] = (await textOf()).split('\n');
    const events = readEvents(Readable.from([Buffer.from([header, ...rest.slice(0, 2)].join('\n'))]), { allowIncomplete: true });
    await using other = await openStore({});
    expect(String(await errorOf(importEvents(other, events)))).toContain('to be at version 1 before line 2, found 0');
  });

  test('only tells what it would write where that is asked for', async () => {
    await fill(2, 2);
    await using other = await openStore({});
    expect(await importEvents(other, eventsIn(await textOf()), { dryRun: true })).toEqual({ appended: 6, alreadyThere: 0 });
    expect((await contentOf(other)).size).toBe(0);
  });
});

describe('on the command line', () => {
  const at = (): readonly string[] => reaching(namespace);

  test('an export and import of a file, compressed or not, say how much it was', async () => {
    await fill();
    for (const [name, options] of [
      ['plain', []],
      ['packed', ['--gzip']],
    ] as const) {
      const file = join(folder, `${name}-${namespace}`);
      expect(await runHere([...at(), 'export', file, ...options])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^42 events are in .*, [\d.]+ K?i?B\.\n$/),
      });
      expect(await runHere([...at(), 'export', file])).toMatchObject({ code: 2, stderr: expect.stringContaining('is there already') });
      expect(await runHere(['import', file, '--check'])).toMatchObject({ code: 0, stdout: expect.stringContaining(`42 events of ${namespace}`) });
      const other = reaching(uniqueNamespace());
      expect(await runHere([...other, 'import', file])).toMatchObject({ code: 0, stdout: '42 events were appended; 0 were there already.\n' });
      expect(await runHere([...other, 'import', file, '--dry-run'])).toMatchObject({
        code: 0,
        stdout: '0 events would be appended; 42 are there already.\n',
      });
    }
  });

  test('go through a pipe', async () => {
    await fill(1, 3);
    const { stdout } = await runHere([...at(), 'export', '-', '--category', 'notes']);
    expect(stdout.trim().split('\n')).toHaveLength(5);
    expect(await runHere([...reaching(uniqueNamespace()), 'import', '-'], { input: stdout })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('3 events were appended'),
    });
  });

  test('an export that was broken off goes on at its last whole line', async () => {
    await fill(5, 20);
    const whole = join(folder, `whole-${namespace}`);
    await runHere([...at(), 'export', whole]);
    const text = await readFile(whole, 'utf8');
    for (const cut of [0.3, 0.6, 0.95]) {
      const file = join(folder, `cut-${cut}-${namespace}`);
      await writeFile(file, text.slice(0, Math.floor(text.length * cut)));
      expect(await runHere([...at(), 'export', file, '--resume'])).toMatchObject({ code: 0 });
      const lines = (await readFile(file, 'utf8')).trim().split('\n');
      expect(lines.slice(1, -1).sort()).toEqual(text.trim().split('\n').slice(1, -1).sort());
      expect(await runHere(['import', file, '--check'])).toMatchObject({ code: 0 });
    }
    expect(await runHere([...at(), 'export', whole, '--resume'])).toMatchObject({ code: 0, stderr: expect.stringContaining('is whole') });
    expect(await readBroken(whole)).toBeUndefined();
  });

  test('what contradicts itself, or is of another store, is told', async () => {
    await fill(1, 3);
    const file = join(folder, `odd-${namespace}`);
    await runHere([...at(), 'export', file]);
    await truncate(file, 400);
    await using _ = await openStore({ namespace: `${namespace}b` });
    for (const [args, words] of [
      [[...at(), 'export', file, '--resume', '--gzip'], 'found both'],
      [[...at(), 'export', '-', '--resume'], 'found stdout'],
      [[...at(), 'export', file, '--resume', '--force'], 'found both'],
      [[...at(), 'export', file, '--resume', '--category', 'notes'], 'found others'],
      [[...reaching(`${namespace}b`), 'export', file, '--resume'], 'of another'],
      [[...at(), 'import', file], 'expected a line of JSON'],
    ] as const) {
      const found = await runHere(args);
      expect(found.stderr, words).toContain(words);
      expect(found.code, words).toBe(2);
    }
    expect(await runHere([...at(), 'import', join(folder, 'nowhere')])).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOENT') });
  });

  test('an import that is killed again and again brings each event in once', { timeout: 120_000 }, async () => {
    for (let n = 0; n < 20; n += 1) await store.append(notes.stream(`k${n}`), someNotes(300));
    const file = join(folder, `killed-${namespace}`);
    await runHere([...at(), 'export', file]);
    const other = uniqueNamespace();
    await using there = await openStore({ namespace: other, partitions: 3 });
    let kills = 0;
    for (let wait = 60; ; wait *= 1.4) {
      const run = runBinary([...reaching(other), 'import', file], { killAfterMs: 250 + wait });
      const { code } = await run;
      if (code === 0) break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(0);
    expect(await contentOf(there)).toEqual(await contentOf(store));
  });
});

test('a file is read as it comes', async () => {
  await fill(1, 3);
  const file = join(folder, `slow-${namespace}`);
  await writeFile(file, await textOf());
  let count = 0;
  for await (const { event } of readEvents(createReadStream(file, { highWaterMark: 7 }))) count += event.version > 0 ? 1 : 0;
  expect(count).toBe(4);
  await appendFile(file, 'more\n');
  await expect(
    (async () => {
      for await (const _ of readEvents(createReadStream(file)));
    })(),
  ).rejects.toThrow('line 7');
});
