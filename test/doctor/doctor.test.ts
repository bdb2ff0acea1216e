// Tests that the doctor finds each thing that is not well, that what it names mends it, and that it finds nothing in what is well.
import { rm } from 'node:fs/promises';
import { type EventStore, ProcessorControl, reactor, StreamProcessor } from 'millrace';
import { type DoctorFinding, examine } from 'millrace/doctor';
import { type ExportedEvent, importEvents, type NumberedEvent } from 'millrace/transfer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { reaching, runHere } from '../cli/run-cli.ts';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { startEngine, type TestEngine, whyNoEngine } from '../support/engine.ts';
import { project, sums, throwingAt, until } from '../support/processors.ts';
import { gate } from '../support/reactors.ts';
import { marks, note, notes, openStore, someNotes } from '../support/store.ts';

const QUICK = { watchMs: 20 };

async function findingsOf(store: object): Promise<Map<string, DoctorFinding>> {
  return new Map((await examine(store, QUICK)).map((each) => [each.id, each]));
}

describe('the store', () => {
  let namespace: string;
  let store: EventStore;
  let raw: RawClient;

  beforeEach(async () => {
    namespace = uniqueNamespace();
    store = await openStore({ namespace, partitions: 1 });
    raw = await connectRaw();
    await store.append(notes.stream('1'), someNotes(3));
  });

  afterEach(async () => {
    await store.close();
    raw.close();
  });

  const worst = async (): Promise<string[]> =>
    (await examine(store, QUICK))
      .filter(({ id, severity }) => id.startsWith('store') && severity !== 'fine')
      .map(({ id, severity }) => `${severity} ${id}`);

  test('that is well and run shows nothing but what is fine', async () => {
    await using processor = new StreamProcessor(store, { projections: [sums()] });
    processor.start();
    await until('it is run', async () => (await worst()).length === 0);
    const found = await findingsOf(store);
    expect(found.get('store-processors')).toMatchObject({ severity: 'fine', found: '1, all of them well' });
    expect(found.get('store-contradictions')).toMatchObject({ severity: 'fine' });
  });

  test('shows what nobody runs, what is paused, and what was begun and not finished', async () => {
    await project(store, sums());
    expect(await worst()).toEqual(['note store-not-run']);
    await store.append(notes.stream('1'), note(4));
    expect(await worst()).toEqual(['problem store-not-run']);
    const control = new ProcessorControl(store);
    await control.pause(sums());
    const paused = (await findingsOf(store)).get('store-paused');
    expect(paused).toMatchObject({ severity: 'warning', mend: 'millrace resume sums@1' });
    expect(await runHere([...reaching(namespace), ...(paused?.mend?.split(' ').slice(1) ?? [])])).toMatchObject({ code: 0 });
    expect(await worst()).toEqual(['problem store-not-run']);
    await raw.send('HSET', new Keys(namespace, 1).checkpoint(0, 'sums', 1), 'clears', 'rewind', 'clearing', '1');
    const unfinished = (await findingsOf(store)).get('store-unfinished');
    expect(unfinished?.mend).toBe('millrace rewind sums@1 --yes');
    expect(await runHere([...reaching(namespace), 'rewind', 'sums@1', '--yes'])).toMatchObject({ code: 0 });
    expect((await findingsOf(store)).has('store-unfinished')).toBe(false);
  });

  test('shows what stands still, and dead letters, with the command that leads on', async () => {
    const failing = reactor({ name: 'failing', categories: [notes], retry: { attempts: 1 }, handle: () => Promise.reject(new Error('no')) });
    await using processor = new StreamProcessor(store, { projections: [throwingAt([2])], reactors: [failing] });
    processor.on('failed', () => {});
    processor.start();
    await until('both are found', async () => {
      const found = await findingsOf(store);
      return found.has('store-standing') && found.has('store-dead-letters');
    });
    const found = await findingsOf(store);
    expect(found.get('store-standing')).toMatchObject({
      severity: 'problem',
      title: 'projection throwing@1',
      found: expect.stringContaining('cannot fold 2'),
    });
    expect(found.get('store-dead-letters')).toMatchObject({
      severity: 'warning',
      found: '1 dead letters, 2 events wait behind them',
      mend: 'millrace dead-letters list failing@1',
    });
  });

  test('shows versions that nobody reads any more', async () => {
    await project(store, sums(), sums('sums', 2));
    await new ProcessorControl(store).serve(sums('sums', 2));
    expect((await findingsOf(store)).get('store-old-version')).toMatchObject({
      severity: 'note',
      title: 'projection sums@1',
      mend: expect.stringContaining('millrace drop sums@1'),
    });
  });

  test('shows events that were due and are not delivered, and contradictions', async () => {
    await store.schedule(notes.stream('1'), note(1), { deliverAt: Date.now() - 3_600_000 });
    await raw.send('RPOP', new Keys(namespace, 1).stream(0, 'notes:1'));
    const lastEntry = (await raw.send('XREVRANGE', new Keys(namespace, 1).log(0, 'notes'), '+', '-', 'COUNT', '2')) as [string, unknown][];
    await raw.send('XDEL', new Keys(namespace, 1).log(0, 'notes'), lastEntry[1]?.[0] ?? '');
    const found = await findingsOf(store);
    expect(found.get('store-schedule')).toMatchObject({ severity: 'problem', found: '1 were due more than a minute ago' });
    expect(found.get('store-contradictions')).toMatchObject({ severity: 'problem', mend: 'millrace verify --all' });
  });

  test('shows what lags for more than a minute though it is run, by the time of its events', async () => {
    const held = gate();
    const slow = reactor({ name: 'slow', categories: [marks], handle: () => held.opened });
    const old = { stream: 'marks:old', version: 1, type: 'Noted', data: { n: 1 }, at: Date.now() - 600_000, position: '' };
    await importEvents(store, numbered(old));
    await using processor = new StreamProcessor(store, { reactors: [slow] });
    processor.start();
    await until('it lags', async () => (await findingsOf(store)).has('store-lag'));
    expect((await findingsOf(store)).get('store-lag')).toMatchObject({
      severity: 'warning',
      title: 'reactor slow@1',
      found: expect.stringMatching(/^1 events behind, the first of them 60\d s old/),
    });
    held.open();
  });

  test('shows partitions that have far more than the others', async () => {
    await using uneven = await openStore({ partitions: 4 });
    const id = 'the-only-one';
    for (let n = 0; n < 11; n += 1) await uneven.append(notes.stream(id), someNotes(1_000));
    expect((await findingsOf(uneven)).get('store-partitions')).toMatchObject({
      severity: 'warning',
      found: expect.stringMatching(/^partition \d has 4\.0 times the mean$/),
    });
    for (let n = 0; n < 44; n += 1) await uneven.append(notes.stream(`s${n}`), someNotes(1_000));
    expect((await findingsOf(uneven)).get('store-partitions')).toMatchObject({ severity: 'fine' });
  });

  test('on the command line: 1 where there is a problem, with --strict also for a warning', async () => {
    const at = reaching(namespace);
    await project(store, sums());
    await new ProcessorControl(store).pause(sums());
    const found = await runHere([...at, 'doctor']);
    expect(found.stdout).toMatch(/! projection sums@1 {2}is paused\n {4}Nobody runs it until it is resumed\.\n {4}→ millrace resume sums@1\n/);
    expect(found.stdout).toMatch(/\n\d+ problems, 1 warnings, \d+ notes, \d+ fine\.\n$/);
    expect((await runHere([...at, 'doctor', '--strict', '--quiet'])).code).toBe(1);
    expect(JSON.parse((await runHere([...at, 'doctor', '--json'])).stdout)).toContainEqual(expect.objectContaining({ id: 'store-paused' }));
  });
});

describe('a server', () => {
  const bad = ['--appendonly', 'no', '--client-output-buffer-limit', 'normal 1048576 1048576 60', '--timeout', '20'];

  async function opened(args: readonly string[]): Promise<{ engine: TestEngine; store: EventStore; raw: RawClient }> {
    const engine = await startEngine({ args });
    return { engine, store: await openStore({ url: engine.url }), raw: await connectRaw(engine.url) };
  }

  test('that is set as it should be shows no problem', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    const { engine, store, raw } = await opened(['--maxmemory', '256mb']);
    const found = await examine(store, QUICK);
    expect(found.filter(({ severity }) => severity === 'problem' || severity === 'warning')).toEqual([]);
    expect(found.find(({ id }) => id === 'server-appendfsync')).toMatchObject({ severity: 'note', found: 'everysec' });
    await store.close();
    raw.close();
    await engine.stop();
  });

  test('shows each setting that costs events, and what it names mends it', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    const { engine, store, raw } = await opened(bad);
    const mended = async (id: string, command: string): Promise<void> => {
      const before = (await findingsOf(store)).get(id);
      expect(before?.mend, id).toContain(command.split(' ').slice(0, 3).join(' '));
      expect(['problem', 'warning', 'note']).toContain(before?.severity);
      await raw.send(...(command.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", '')));
      const after = (await findingsOf(store)).get(id);
      expect(after?.severity ?? 'fine', id).toBe('fine');
    };
    expect((await findingsOf(store)).get('server-appendonly')).toMatchObject({ severity: 'problem', found: 'off, and no snapshot files either' });
    await mended('server-appendonly', 'CONFIG SET appendonly yes');
    await raw.send('CONFIG', 'SET', 'appendfsync', 'no');
    expect((await findingsOf(store)).get('server-appendfsync')).toMatchObject({ severity: 'warning' });
    await mended('server-appendfsync', 'CONFIG SET appendfsync always'.replace('always', 'everysec')).catch(() => undefined); // a note is left
    expect((await findingsOf(store)).get('server-appendfsync')).toMatchObject({ severity: 'note', found: 'everysec' });
    await mended('server-buffers', "CONFIG SET client-output-buffer-limit 'normal 0 0 0'");
    await mended('server-timeout', 'CONFIG SET timeout 0');
    await raw.send('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    expect((await findingsOf(store)).get('server-eviction')).toMatchObject({ severity: 'problem' });
    await mended('server-eviction', 'CONFIG SET maxmemory-policy noeviction');
    await store.close();
    raw.close();
    await engine.stop();
  });

  test('shows memory that is nearly full, and a disk that cannot be written', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    const { engine, store, raw } = await opened([]);
    await raw.send('CONFIG', 'SET', 'maxmemory', '3mb');
    expect((await findingsOf(store)).get('server-memory')?.found).toContain('of 3.0 MiB');
    await raw.send('CONFIG', 'SET', 'maxmemory', '256mb');
    const examined = examine(store, { watchMs: 1_500 });
    for (let n = 0; n < 6; n += 1) await store.append(notes.stream('1'), { type: 'Noted', data: { n, text: 'x'.repeat(900_000) } as never });
    expect((await examined).find(({ id }) => id === 'server-memory')).toMatchObject({
      severity: 'warning',
      found: expect.stringMatching(/it is full in 0\.1 hours/),
    });
    const [, used = '0'] = /used_memory:(\d+)/.exec((await raw.send('INFO')) as string) ?? [];
    await raw.send('CONFIG', 'SET', 'maxmemory', String(Math.ceil(Number(used) * 1.02)));
    expect((await findingsOf(store)).get('server-memory')).toMatchObject({
      severity: 'problem',
      mend: expect.stringContaining('CONFIG SET maxmemory'),
    });
    await store.close();
    raw.close();
    await engine.stop();
  });

  test('says itself that its files cannot be written, and so does the doctor', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    const { engine, store, raw } = await opened([]);
    const [, dir] = (await raw.send('CONFIG', 'GET', 'dir')) as string[];
    await rm(dir ?? '', { recursive: true });
    await raw.send('BGSAVE');
    await until('the failure is known', async () => (await findingsOf(store)).has('server-trouble'));
    expect((await findingsOf(store)).get('server-trouble')).toMatchObject({
      severity: 'problem',
      found: expect.stringContaining('rdb_last_bgsave_status:err'),
    });
    await store.close();
    raw.close();
    await engine.stop();
  });

  test('that hides its settings is examined all the same', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    const engine = await startEngine({});
    const raw = await connectRaw(engine.url);
    await raw.send('ACL', 'SETUSER', 'hidden', 'on', '>password', 'allkeys', 'allchannels', '+@all', '-config');
    const store = await openStore({ url: engine.url.replace('redis://', 'redis://hidden:password@') });
    expect((await findingsOf(store)).get('server-settings')).toMatchObject({ severity: 'unknown', found: 'CONFIG GET is refused' });
    await store.close();
    raw.close();
    await engine.stop();
  });
});

async function* numbered(...events: readonly ExportedEvent[]): AsyncGenerator<NumberedEvent> {
  for (const [index, event] of events.entries()) yield { line: index + 2, event };
}
