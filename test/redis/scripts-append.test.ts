// What the append script promises by itself: one run for each sequence, whatever order they come in, and never a run that is in doubt.
import { beforeEach, afterEach, describe, expect, test } from 'vitest';
import { openPort } from '../../src/redis/client.ts';
import { encodeBatch, type MultiAppend, type PreparedAppend, splitReply, type WriteOutcome } from '../../src/redis/batch.ts';
import { Keys } from '../../src/redis/keys.ts';
import type { RedisPort } from '../../src/redis/port.ts';
import { appendBatch, registerWriter, settleBatch } from '../../src/redis/scripts.ts';
import { connectRaw, type RawClient, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';

let port: RedisPort;
let raw: RawClient;
let keys: Keys;
let recordKey: string;

beforeEach(async () => {
  port = await openPort({ url: testUrl(), library: testClient() });
  raw = await connectRaw(testUrl());
  keys = new Keys(uniqueNamespace(), 1);
  recordKey = keys.writer(0, 'w');
  await registerWriter(port, recordKey, 60_000);
});

afterEach(async () => {
  await port.close();
  raw.close();
});

const plain = (n: number, expected = 'any', streamName = 'notes:1'): PreparedAppend => ({
  kind: 'plain',
  category: streamName.split(':')[0] ?? '',
  streamName,
  expected,
  type: 'Noted',
  data: String(n),
  bytes: 1,
});

function multi(streams: Record<string, number>, parts: Partial<MultiAppend> = {}): MultiAppend {
  const events = (count: number): MultiAppend['streams'][number]['events'] =>
    Array.from({ length: count }, () => ({ type: 'Noted', data: '0', extras: [] }));
  const prepared = Object.entries(streams).map(([streamName, count]) => ({
    category: streamName.split(':')[0] ?? '',
    streamName,
    expected: 'any',
    events: events(count),
  }));
  return { kind: 'multi', streams: prepared, guards: [], marks: [], result: undefined, bytes: 1, ...parts };
}

async function send(sequence: number, appends: readonly PreparedAppend[]): Promise<readonly WriteOutcome[] | 'unknown'> {
  const batch = encodeBatch(keys, 0, appends, { recordKey, sequence });
  const reply = await appendBatch(port, batch.keys, batch.args);
  return reply[0] === 'unknown' ? 'unknown' : splitReply(reply, appends);
}

const stored = async (streamName = 'notes:1'): Promise<number> => Number(await raw.send('LLEN', keys.stream(0, streamName)));

describe('a batch', () => {
  test('that comes again is answered with its first reply, also after later ones', async () => {
    const appends = [plain(1), plain(2, '7'), multi({ 'notes:1': 2, 'marks:1': 1 }), plain(3, '3'), plain(4, 'exists', 'marks:9')];
    const first = await send(1, appends);
    expect((first as readonly WriteOutcome[]).map(({ kind }) => kind)).toEqual(['appended', 'conflict', 'appended', 'appended', 'conflict']);
    for (let sequence = 2; sequence <= 16; sequence += 1) await send(sequence, [plain(sequence)]);
    expect(await send(1, appends)).toEqual(first);
    expect(await stored()).toBe(4 + 15);
  });

  test('runs once also where batches overtake each other', async () => {
    for (const sequence of [3, 1, 2, 1, 3, 16, 5, 16, 2]) await send(sequence, [plain(sequence)]);
    expect(await stored()).toBe(5);
  });

  test('is unknown where it is older than what is kept, and never run', async () => {
    for (let sequence = 1; sequence <= 17; sequence += 1) await send(sequence, [plain(sequence)]);
    expect(await send(1, [plain(1)])).toBe('unknown');
    expect(await stored()).toBe(17);
  });

  test('is unknown where the writer has no record, and leaves nothing', async () => {
    await raw.send('DEL', recordKey);
    expect(await send(1, [plain(1)])).toBe('unknown');
    expect(await raw.send('KEYS', `${keys.head(0).slice(0, -4)}*`)).toEqual([]);
  });

  test('that is asked for before it came is settled as never, and is not run when it comes', async () => {
    expect(await settleBatch(port, recordKey, 1)).toEqual(['never']);
    expect(await send(1, [plain(1)])).toBe('unknown');
    expect(await stored()).toBe(0);
    await send(2, [plain(2)]);
    expect((await settleBatch(port, recordKey, 2))[0]).toBe('done');
    expect(await settleBatch(port, recordKey, 1)).toEqual(['never']);
    for (let sequence = 3; sequence <= 18; sequence += 1) await send(sequence, [plain(sequence)]);
    expect(await settleBatch(port, recordKey, 2)).toEqual(['unknown']);
    await raw.send('DEL', recordKey);
    expect(await settleBatch(port, recordKey, 18)).toEqual(['unknown']);
  });

  test('keeps the life of its record as it was', async () => {
    await send(1, [plain(1)]);
    const ms = Number(await raw.send('PTTL', recordKey));
    expect(ms > 50_000 && ms <= 60_000).toBe(true);
  });

  test('of five hundred appends tells each its place and version', async () => {
    const appends = Array.from({ length: 500 }, (_, n) => (n % 5 === 4 ? multi({ [`notes:${n % 3}`]: 3 }) : plain(n, 'any', `notes:${n % 3}`)));
    const outcomes = (await send(1, appends)) as readonly WriteOutcome[];
    const places = new Set<string>();
    for (const streamName of ['notes:0', 'notes:1', 'notes:2'])
      for (const place of (await raw.send('LRANGE', keys.stream(0, streamName), '0', '-1')) as string[]) places.add(place);
    expect(places.size).toBe(400 + 300);
    for (const outcome of outcomes) expect(outcome.kind === 'appended' && places.has(String(outcome.lastPlace))).toBe(true);
  });
});

describe('the places that a batch tells', () => {
  test('are right behind an append that failed half-way and one that wrote nothing', async () => {
    await raw.send('SET', keys.log(0, 'marks'), 'no log');
    const empty = multi({ 'notes:1': 0 });
    const outcomes = (await send(1, [
      plain(1),
      multi({ 'notes:1': 3, 'marks:1': 1 }),
      empty,
      plain(2),
      multi({ 'notes:1': 2 }),
      plain(3),
    ])) as readonly WriteOutcome[];
    expect(outcomes.map(({ kind }) => kind)).toEqual(['appended', 'failed', 'appended', 'appended', 'appended', 'appended']);
    const places = (await raw.send('LRANGE', keys.stream(0, 'notes:1'), '0', '-1')) as string[];
    const last = outcomes.flatMap((outcome) => (outcome.kind === 'appended' && outcome.events > 0 ? [String(outcome.lastPlace)] : []));
    expect(last).toEqual([places[0], places[1], places[3], places[4]]);
  });
});

describe('a mark', () => {
  const mark = (expected: string, next: string): Partial<MultiAppend> => ({
    marks: [{ key: keys.source(0, 's'), field: 'position', expected, new: next }],
  });

  test('moves with its append, and only from where it is expected', async () => {
    expect(await send(1, [multi({ 'notes:1': 1 }, mark('', '1-0'))])).toMatchObject([{ kind: 'appended' }]);
    expect(await send(2, [multi({ 'notes:1': 1 }, mark('', '1-0'))])).toEqual([{ kind: 'mark-conflict', mark: 0, actual: '1-0' }]);
    expect(await send(3, [multi({ 'notes:1': 1 }, mark('1-0', '2-0'))])).toMatchObject([{ kind: 'appended' }]);
    expect(await raw.send('HGET', keys.source(0, 's'), 'position')).toBe('2-0');
    expect(await stored()).toBe(2);
  });

  test('does not move where its append fails or conflicts', async () => {
    await raw.send('SET', keys.log(0, 'marks'), 'no log');
    expect(await send(1, [multi({ 'notes:1': 1, 'marks:1': 1 }, mark('', '1-0'))])).toMatchObject([{ kind: 'failed' }]);
    const guards = [{ streamName: 'notes:1', expected: '5' }];
    expect(await send(2, [multi({ 'notes:1': 1 }, { ...mark('', '1-0'), guards })])).toEqual([{ kind: 'guard-conflict', guard: 0, actual: 0 }]);
    expect(await raw.send('EXISTS', keys.source(0, 's'))).toBe(0);
    expect(await stored()).toBe(0);
  });
});
