// Tests what inspect tells of what runs on a store, that it can be steered by that, and of health.
import {
  type EventStore,
  inspect,
  InvalidInputError,
  isMillraceError,
  ProcessorControl,
  type ProcessorFacts,
  reactor,
  source,
  StreamProcessor,
} from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectRaw, type RawClient, uniqueNamespace } from '../support/clients.ts';
import { project, run, sums, throwingAt, until } from '../support/processors.ts';
import { errorOf, marks, notes, openStore, someNotes } from '../support/store.ts';

async function listOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

let namespace: string;
let store: EventStore;
let raw: RawClient;

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace });
  raw = await connectRaw();
});

afterEach(async () => {
  await store.close();
  raw.close();
});

function named(all: readonly ProcessorFacts[], name: string): ProcessorFacts {
  const found = all.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is not among ${all.map((each) => each.name).join(', ')}`);
  return found;
}

async function processorNamed(name: string): Promise<ProcessorFacts> {
  return named(await inspect(store).processors(), name);
}

describe('processors', () => {
  test('are told by what registered, without its code: who runs them, how far they are, and how fast', async () => {
    await store.append(notes.stream('a'), someNotes(5));
    await using processor = new StreamProcessor(store, {
      projections: [sums()],
      sources: [source({ key: `{${namespace}}:foreign`, into: marks, decode: () => undefined })],
    });
    processor.start();
    const facts = inspect(store);
    await until('it has folded all', async () =>
      (await facts.processors()).some(({ name, lagEvents, eventsDone }) => name === 'sums' && lagEvents === 0 && eventsDone === 5),
    );
    const found = named(await facts.processors(), 'sums');
    expect(found).toMatchObject({
      kind: 'projection',
      version: 1,
      categories: ['notes'],
      isKeyedByStream: true,
      percent: 100,
      isPaused: false,
      isServing: true,
      lagMs: 0,
    });
    expect(found.partitionsRun).toBe(found.partitions.length);
    expect(found.owners).toEqual([expect.stringContaining(`/${process.pid}/`)]);
    await until('its speed is told', async () => named(await facts.processors(), 'sums').eventsPerSecond !== undefined);
    await until('the source is told of', async () => (await facts.processors()).some(({ kind, owners }) => kind === 'source' && owners.length === 1));
    await processor.stop();
    const after = await processorNamed('sums');
    expect(after).toMatchObject({ owners: [], partitionsRun: 0, lagEvents: 0, isBuilt: true });
  });

  test('that lag say so, with how old the first event is that they lack', async () => {
    await project(store, sums());
    await store.append(notes.stream('a'), someNotes(4));
    await until('the first of them is a while old', async () => (await processorNamed('sums')).lagMs > 5);
    expect(await processorNamed('sums')).toMatchObject({ lagEvents: 4, eventsTotal: 4, percent: 0, owners: [] });
  });

  test('that stand still say what stopped them, until they go on', async () => {
    await store.append(notes.stream('a'), someNotes(3));
    {
      await using processor = run(store, { projections: [throwingAt([2])] });
      await until('the failure is noted', async () => (await inspect(store).processors()).some(({ lastFailure }) => lastFailure !== undefined));
      expect(await processorNamed('throwing')).toMatchObject({
        lagEvents: 2,
        lastFailure: { name: 'ProjectionFailedError', code: 'projection-failed', isCurrent: true, message: expect.stringContaining('cannot fold 2') },
      });
      expect(processor).toBeDefined();
    }
    await project(store, throwingAt([]));
    expect(await processorNamed('throwing')).toMatchObject({ lagEvents: 0, lastFailure: { isCurrent: false } });
  });

  test('that are reactors tell their dead letters and what waits', async () => {
    const failing = reactor({
      name: 'failing',
      categories: [notes],
      retry: { attempts: 1 },
      handle: () => {
        throw new Error('never');
      },
    });
    const unordered = reactor({ name: 'unordered', categories: [notes], order: 'none', handle: () => {} });
    await store.append(notes.stream('a'), someNotes(3));
    await using processor = new StreamProcessor(store, { reactors: [failing, unordered] });
    await processor.runUntilCaughtUp();
    expect(await processorNamed('failing')).toMatchObject({ kind: 'reactor', order: 'stream', deadLetters: 1, eventsWaiting: 2 });
    await until('the group is done', async () => (await processorNamed('unordered')).lagEvents === 0);
    expect(await processorNamed('unordered')).toMatchObject({ order: 'none', deadLetters: 0, lagMs: 0 });
  });

  test('are paused, resumed, rewound, flipped to and dropped by what is told of them', async () => {
    await store.append(notes.stream('a'), someNotes(3));
    await project(store, sums(), sums('sums', 2));
    const control = new ProcessorControl(store);
    const [one, two] = await inspect(store).processors();
    if (!one || !two) throw new Error('two versions were expected');
    expect([one.isServing, two.isServing]).toEqual([true, false]);
    await control.pause(one);
    expect(await processorNamed('sums')).toMatchObject({ isPaused: true });
    await control.resume(one);
    await control.serve(two);
    expect((await inspect(store).processors()).map(({ isServing }) => isServing)).toEqual([false, true]);
    await control.rewind(one);
    expect(await processorNamed('sums')).toMatchObject({ eventsDone: 0, lagEvents: 3, isBuilt: false });
    await control.drop(one);
    expect((await inspect(store).processors()).map(({ version }) => version)).toEqual([2]);
    expect(await listOf(inspect(store).documentKeys(one))).toEqual([]);
    expect(isMillraceError(await errorOf(control.drop(two)), 'in-use')).toBe(true);
  });

  test('that are reactors are rewound and dropped by what is told of them too', async () => {
    let handled = 0;
    const count = (order: 'stream' | 'none') => reactor({ name: `count-${order}`, categories: [notes], order, handle: () => void (handled += 1) });
    const reactors = [count('stream'), count('none')];
    await store.append(notes.stream('a'), someNotes(3));
    const runAll = async (): Promise<void> => {
      await using processor = new StreamProcessor(store, { reactors });
      await processor.runUntilCaughtUp();
    };
    await runAll();
    const control = new ProcessorControl(store);
    for (const each of await inspect(store).processors()) await control.rewind(each);
    await runAll();
    expect(handled).toBe(12);
    for (const each of await inspect(store).processors()) await control.drop(each);
    expect(await inspect(store).processors()).toEqual([]);
    expect(((await raw.send('HKEYS', `{${namespace}}:failures`)) as string[]).length).toBe(0);
  });

  test('that are sources cannot be paused or dropped, and it says so', async () => {
    const key = `{${namespace}}:foreign`;
    {
      await using processor = new StreamProcessor(store, { sources: [source({ key, into: marks, decode: () => undefined })] });
      await processor.runUntilCaughtUp();
    }
    await raw.send('XADD', key, '*', 'a', 'b');
    const found = await processorNamed(key);
    expect(found).toMatchObject({ kind: 'source', lagEvents: 1, eventsTotal: 1, categories: ['marks'] });
    const control = new ProcessorControl(store);
    for (const deed of [control.pause(found), control.resume(found), control.rewind(found), control.drop(found), control.serve(found)])
      expect(await errorOf(deed)).toBeInstanceOf(InvalidInputError);
  });
});

describe('health', () => {
  test('is good where the server answers and all that is asked for has caught up', async () => {
    await store.append(notes.stream('a'), someNotes(3));
    await project(store, sums());
    const health = await inspect(store).health({ processors: [sums()], lagEventsMax: 0 });
    expect(health).toMatchObject({ isHealthy: true, reasons: [] });
    expect(health.pingMs).toBeGreaterThanOrEqual(0);
  });

  test('names what lags, and what has never folded everything', async () => {
    await store.append(notes.stream('a'), someNotes(3));
    const health = await inspect(store).health({ processors: [sums()], lagEventsMax: 2 });
    expect(health.isHealthy).toBe(false);
    expect(health.reasons.join(' ')).toContain('sums@1 is 3 events behind');
    expect(health.reasons.join(' ')).toContain('has not folded everything once');
  });
});
