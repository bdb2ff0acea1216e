// Tests that a verification finds each kind of damage, planted by raw commands, and nothing in a store that is well and works.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, reactor, StreamProcessor } from 'millrace';
import { verify, type VerifyFinding, type VerifyOptions } from 'millrace/verify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { packEntryId } from '../../src/position.ts';
import { reaching, runHere } from '../cli/run-cli.ts';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { lists, project, sums } from '../support/processors.ts';
import { isEmbedded } from '../support/size.ts';
import { marks, note, notes, openStore, someNotes } from '../support/store.ts';

/** Each is a walk over the keyspace, which all tests share, and the embedded engine is slow at. */
const PARTITIONS = isEmbedded ? 1 : 3;

let namespace: string;
let store: EventStore;
let raw: RawClient;
let keys: Keys;
let partition: number;

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: PARTITIONS });
  raw = await connectRaw();
  keys = new Keys(namespace, PARTITIONS);
  partition = keys.partitionOf('s0');
  for (let n = 0; n < 10; n += 1) {
    await store.append(notes.stream(`s${n}`), someNotes(5));
    await store.append(marks.stream(`s${n}`), note(n));
  }
  await project(store, sums(), lists());
});

afterEach(async () => {
  await store.close();
  raw.close();
});

async function findings(options: VerifyOptions = {}): Promise<readonly VerifyFinding[]> {
  return (await verify(store, { all: true, projections: [sums(), lists()], ...options })).findings;
}

async function entryIds(): Promise<string[]> {
  const log = (await raw.send('XRANGE', keys.log(partition, 'notes'), '-', '+')) as [string, string[]][];
  return log.map(([id]) => id);
}

describe('a store that is well', () => {
  test('shows nothing, in all of it and in a sample', async () => {
    const found = await verify(store, { all: true, projections: [sums(), lists()] });
    expect(found).toEqual({ events: 60, streams: 20, documents: 20, isSample: false, findings: [], hasMore: false });
    expect(await verify(store, { sample: 4, projections: [sums()] })).toEqual({
      events: 0,
      streams: 4,
      documents: 4,
      isSample: true,
      findings: [],
      hasMore: false,
    });
  });

  test('shows nothing while appends and processors go on', async () => {
    await using processor = new StreamProcessor(store, { projections: [sums(), lists()] });
    processor.start();
    const stopping = new AbortController();
    const appending = (async () => {
      for (let n = 0; !stopping.signal.aborted; n += 1) {
        await store.append(notes.stream(`s${n % 40}`), someNotes(5));
        await delay(5);
      }
    })();
    for (let turn = 0; turn < 3; turn += 1) expect(await findings()).toEqual([]);
    stopping.abort();
    await appending;
  });
});

describe('what is planted is found:', () => {
  const only = async (kind: VerifyFinding['kind'], words: string): Promise<VerifyFinding> => {
    const found = await findings();
    expect(
      found.map((each) => each.kind),
      JSON.stringify(found),
    ).toContain(kind);
    const each = found.find((finding) => finding.kind === kind && Object.values(finding).join(' ').includes(words));
    expect(each, JSON.stringify(found)).toBeDefined();
    return each as VerifyFinding;
  };

  test('an event that is gone from the log', async () => {
    const [first = ''] = await entryIds();
    await raw.send('XDEL', keys.log(partition, 'notes'), first);
    expect(await only('index', 'no such entry')).toMatchObject({ where: expect.stringMatching(/^notes:s\d@1$/) });
    expect((await verify(store)).findings).toMatchObject([{ kind: 'index' }]); // a sample of streams has it too
  });

  test('an index that lacks its last event, and one that has another', async () => {
    await raw.send('RPOP', keys.stream(partition, 'notes:s0'));
    expect(await only('index', 'nothing there')).toMatchObject({ where: 'notes:s0@5' });
    await raw.send('LSET', keys.stream(partition, 'notes:s0'), '2', String(packEntryId((await entryIds())[0] ?? '') - 1));
    expect(await only('index', 'places that rise')).toMatchObject({ where: keys.stream(partition, 'notes:s0') });
  });

  test('an entry of somebody else', async () => {
    await raw.send('XADD', keys.log(partition, 'notes'), '*', 'hello', 'there');
    expect((await only('head', 'the last entry')).where).toBe(keys.head(partition));
    await store.append(marks.stream('s0'), note(1)); // which stands behind it
    expect((await only('log', 'as append writes it')).advice).toContain('XDEL');
  });

  test('a category that is not registered', async () => {
    await raw.send('SREM', keys.categories(partition), 'marks');
    expect((await only('category', 'marks')).advice).toBe(`SADD ${keys.categories(partition)} marks`);
  });

  test('a checkpoint beyond the end, and one that counted otherwise', async () => {
    const key = keys.checkpoint(partition, 'sums', 1);
    await raw.send('HINCRBY', key, 'seen', '2');
    expect((await only('checkpoint', 'seen')).advice).toContain('millrace rewind sums@1');
    const [ms = ''] = ((await raw.send('HGET', key, 'position')) as string).split('-');
    await raw.send('HSET', key, 'position', `${Number(ms) + 60_000}-0`);
    expect(await only('checkpoint', 'where the log ends')).toMatchObject({ where: key });
  });

  test('a document that was changed, and one that was removed', async () => {
    const key = keys.snapshot(partition, 'sums', 1, 's0');
    await raw.send('HSET', key, 'count', '6');
    expect(await only('document', '"count":6')).toMatchObject({ where: key, expected: '{"count":5,"sum":15}' });
    await raw.send('DEL', key);
    expect(await only('document', 'no document')).toMatchObject({ where: key });
  });

  test('a dead letter whose event is gone, and a schedule that lacks an entry', async () => {
    const failing = reactor({ name: 'failing', categories: [marks], retry: { attempts: 1 }, handle: () => Promise.reject(new Error('no')) });
    {
      await using processor = new StreamProcessor(store, { reactors: [failing] });
      await processor.runUntilCaughtUp();
    }
    const [entry] = (await raw.send('XRANGE', keys.log(partition, 'marks'), '-', '+', 'COUNT', '1')) as [string, string[]][];
    await raw.send('XDEL', keys.log(partition, 'marks'), entry?.[0] ?? '');
    expect((await only('dead-letter', 'removed from there')).advice).toContain('millrace dead-letters discard failing@1');
    const { id } = await store.schedule(notes.stream('s0'), note(1), { deliverAt: Date.now() + 3_600_000 });
    await raw.send('DEL', keys.scheduled(partition));
    expect(await only('schedule', '1 more')).toMatchObject({ where: keys.schedule(partition) });
    expect(id).not.toBe('');
  });
});

describe('on the command line', () => {
  test('ends with 0 where all is well, and with 1 where something is wrong, which it tells', async () => {
    const at = reaching(namespace);
    const well = await runHere([...at, 'verify', '--all']);
    expect(well).toMatchObject({ code: 0, stdout: 'All was looked at: 60 events, 20 streams, 0 documents. All is as it has to be.\n' });
    expect(well.stderr).toContain('--app');
    await raw.send('RPOP', keys.stream(partition, 'notes:s0'));
    const wrong = await runHere([...at, 'verify', '--all']);
    expect(wrong.code).toBe(1);
    expect(wrong.stdout).toMatch(/^index notes:s0@5\n {2}expected .*\n {2}found {4}nothing there\n {2}next {5}/);
    expect(wrong.stdout).toContain('1 found wrong.');
    expect(JSON.parse((await runHere([...at, 'verify', '--all', '--json'])).stdout)).toMatchObject({ findings: [{ kind: 'index' }] });
  });
});
