// Dead letters: what a reactor gave up on is listed, retried in the order of its key, edited, and discarded; nothing of it is lost or comes twice.
import { setTimeout as delay } from 'node:timers/promises';
import {
  type DeadLetter,
  type DeadLetters,
  type EventStore,
  InvalidInputError,
  isMillraceError,
  ProcessorControl,
  ReactorFailedError,
} from 'millrace';
import { type Reactor, type ReactorDefinition, reactor, reactorLimits, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, it } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { run, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** A reactor that fails at the notes whose numbers are in `broken`, and what it has handled so far. */
interface Picky {
  readonly reactor: Reactor;
  readonly broken: Set<number>;
  readonly handled: string[];
  readonly letters: DeadLetters;
}

function picky(store: EventStore, broken: readonly number[], definition: Partial<ReactorDefinition<[typeof notes], 'Noted'>> = {}): Picky {
  const handled: string[] = [];
  const isBroken = new Set(broken);
  const made = reactor({
    name: 'picky',
    categories: [notes],
    retry: quick,
    ...definition,
    handle: async (event, context) => {
      await definition.handle?.(event, context);
      if (isBroken.has(event.data.n)) throw new TypeError(`cannot take ${event.data.n}`);
      handled.push(`${event.streamName.slice('notes:'.length)}${event.data.n}`);
    },
  });
  return { reactor: made, broken: isBroken, handled, letters: new ProcessorControl(store).deadLetters(made) };
}

async function react(store: object, ...reactors: Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

/** Runs the reactor until nothing that was asked for is left. */
async function settle(store: EventStore, { reactor: made, letters }: Picky): Promise<void> {
  await using _running = run(store, { reactors: [made] });
  await letters.settled();
}

async function listed(letters: DeadLetters, options: Parameters<DeadLetters['list']>[0] = {}): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  for await (const letter of letters.list(options)) found.push(letter);
  return found;
}

async function onlyId(letters: DeadLetters): Promise<string> {
  const [letter, ...others] = await listed(letters);
  expect(others).toEqual([]);
  return letter?.id ?? '';
}

const eventsOf = (found: readonly DeadLetter[]): string[] => found.map(({ event }) => event?.id ?? 'gone');

async function waitingOf(store: EventStore, made: Reactor): Promise<number> {
  await using processor = new StreamProcessor(store, { reactors: [made] });
  const { reactors } = await processor.progress();
  return reactors.reduce((sum, { eventsWaiting }) => sum + eventsWaiting, 0);
}

describe.each<StoreOptions & { partitions: number }>([{ partitions: 1 }, { partitions: 4 }])(
  'dead letters, with $partitions partitions',
  (options) => {
    it('are listed with their event, the error, the attempts, the times, and what waits behind them', async () => {
      await using store = await openStore(options);
      const { reactor: made, letters } = picky(store, [2]);
      await store.append(notes.stream('a'), someNotes(5));
      await react(store, made);
      const [letter] = await listed(letters);
      expect(letter).toMatchObject({ category: 'notes', key: 'a', attempts: 2, retries: 0, state: 'dead', edit: undefined, eventsWaiting: 3 });
      expect(letter?.event).toMatchObject({ type: 'Noted', data: { n: 2 }, streamName: 'notes:a', streamVersion: 2, position: letter?.id });
      expect(letter?.error).toMatchObject({ name: 'TypeError', message: 'cannot take 2', stack: expect.stringContaining('dead-letters.test') });
      expect(Number(letter?.firstFailedAt)).toBeGreaterThan(Date.now() - 60_000);
      expect(Number(letter?.lastFailedAt)).toBeGreaterThanOrEqual(Number(letter?.firstFailedAt));
      expect(await letters.get(letter?.id ?? '')).toEqual(letter);
      expect(await letters.count()).toBe(1);
    });

    it('come by partition in the order of their events, in pages, from behind an id and up to a limit', async () => {
      await using store = await openStore(options);
      const { reactor: made, letters } = picky(store, [1]);
      for (let id = 0; id < 120; id += 1) await store.append(notes.stream(String(id)), note(1));
      await react(store, made);
      const all = await listed(letters);
      expect(new Set(eventsOf(all)).size).toBe(120);
      expect(await letters.count()).toBe(120);
      const positions: string[] = [];
      for (let partition = 0; partition < options.partitions; partition += 1)
        for (const { position } of await collect(store.readAll()))
          if (Number(/@(\d+)$/.exec(position)?.[1] ?? 0) === partition) positions.push(position);
      expect(all.map(({ id }) => id)).toEqual(positions);
      expect(eventsOf(await listed(letters, { limit: 7 }))).toEqual(eventsOf(all.slice(0, 7)));
      expect(eventsOf(await listed(letters, { from: String(all[60]?.id) }))).toEqual(eventsOf(all.slice(61)));
      expect(await listed(letters, { from: String(all.at(-1)?.id) })).toEqual([]);
    });

    it('are found by the name of the reactor alone, and those of another version are others', async () => {
      await using store = await openStore(options);
      await store.append(notes.stream('a'), someNotes(3));
      await react(store, picky(store, [2]).reactor);
      const control = new ProcessorControl(store);
      const byName = control.deadLetters({ name: 'picky' });
      expect(eventsOf(await listed(byName))).toEqual(['notes:a@2']);
      expect(await control.deadLetters({ name: 'picky', version: 2 }).count()).toBe(0);
      expect(await byName.retry(await onlyId(byName))).toBe(true);
      expect((await byName.get(await onlyId(byName)))?.state).toBe('retrying');
    });

    it('are retried in order: the letter, then what waited behind it, then what came meanwhile, each once', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [2]);
      const { letters, broken, handled } = subject;
      await store.append(notes.stream('a'), someNotes(250));
      await react(store, subject.reactor);
      expect(handled).toEqual(['a1']);
      broken.clear();
      await using running = run(store, { reactors: [subject.reactor] });
      expect(await letters.retry(await onlyId(letters))).toBe(true);
      let n = 250;
      const others: Promise<unknown>[] = [];
      while (handled.length < 300) {
        n += 1;
        await store.append(notes.stream('a'), note(n));
        others.push(store.append(notes.stream('b'), note(n))); // the reactor stays busy with these
      }
      await Promise.all(others);
      await letters.settled();
      await running.processor.runUntilCaughtUp();
      expect(handled.filter((each) => each.startsWith('a'))).toEqual(Array.from({ length: n }, (_, index) => `a${index + 1}`));
      expect(await letters.count()).toBe(0);
      expect(await waitingOf(store, subject.reactor)).toBe(0);
    });

    it('stay when they fail again, with their attempts summed', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [2]);
      await store.append(notes.stream('a'), someNotes(3));
      await react(store, subject.reactor);
      const before = await subject.letters.get(await onlyId(subject.letters));
      for (const retries of [1, 2]) {
        expect(await subject.letters.retry(await onlyId(subject.letters))).toBe(true);
        await settle(store, subject);
        expect(await subject.letters.get(await onlyId(subject.letters))).toMatchObject({ attempts: 2 + 2 * retries, retries, state: 'dead' });
      }
      const after = await subject.letters.get(await onlyId(subject.letters));
      expect(after?.firstFailedAt).toEqual(before?.firstFailedAt);
      expect(Number(after?.lastFailedAt)).toBeGreaterThan(Number(before?.lastFailedAt));
      expect(subject.handled).toEqual(['a1']);
      expect(await waitingOf(store, subject.reactor)).toBe(1);
    });

    it('may stand behind one another: of what waited, the first that fails is the next letter', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [2, 4, 6]);
      await store.append(notes.stream('a'), someNotes(7));
      await react(store, subject.reactor);
      for (const n of [2, 4, 6]) {
        expect(eventsOf(await listed(subject.letters))).toEqual([`notes:a@${n}`]);
        subject.broken.delete(n);
        await subject.letters.retry(await onlyId(subject.letters));
        await settle(store, subject);
        expect(subject.handled.at(-1)).toBe(n === 6 ? 'a7' : `a${n + 1}`);
      }
      expect(subject.handled).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => `a${n}`));
      expect(await subject.letters.count()).toBe(0);
    });

    it('stand still at the next letter of each key, while many are retried at the same time', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [2, 4], { concurrency: 8 });
      const ids = Array.from({ length: 80 }, (_, index) => `s${index}-`);
      for (const id of ids) await store.append(notes.stream(id), someNotes(6));
      await react(store, subject.reactor);
      subject.broken.delete(2);
      expect(await subject.letters.retryAll()).toBe(ids.length);
      await settle(store, subject);
      for (const id of ids) expect(subject.handled.filter((each) => each.startsWith(id))).toEqual([`${id}1`, `${id}2`, `${id}3`]);
      const letters = await listed(subject.letters);
      expect(letters.map(({ event }) => event?.streamVersion)).toEqual(ids.map(() => 4));
      for (const letter of letters) expect(letter).toMatchObject({ attempts: 2, retries: 0, state: 'dead', eventsWaiting: 2 });
      expect(await waitingOf(store, subject.reactor)).toBe(2 * ids.length);
    });

    it('keep the order of each key at the moment when nothing waits any more, and more comes', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [1]);
      const ids = Array.from({ length: 60 }, (_, index) => `s${index}-`);
      for (const id of ids) await store.append(notes.stream(id), note(1));
      await react(store, subject.reactor);
      subject.broken.clear();
      await using running = run(store, { reactors: [subject.reactor] });
      await subject.letters.retryAll();
      const state = { isOver: false };
      const producer = async (id: string): Promise<number> => {
        let n = 1;
        for (; !state.isOver; await delay(Math.random() * 60)) await store.append(notes.stream(id), note((n += 1)));
        return n;
      };
      const producers = ids.map(producer);
      await subject.letters.settled().finally(() => (state.isOver = true));
      const counts = await Promise.all(producers);
      await running.processor.runUntilCaughtUp();
      for (const [index, id] of ids.entries())
        expect(subject.handled.filter((each) => each.startsWith(id))).toEqual(Array.from({ length: counts[index] ?? 0 }, (_, n) => `${id}${n + 1}`));
    });

    it('are worked off also while the reactor is busy without a pause', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [-1], { handle: ({ data }) => (data.n > 0 ? delay(Math.random() * 4) : undefined) });
      await store.append(notes.stream('a'), [note(-1), note(-2), note(-3)]);
      await react(store, subject.reactor);
      subject.broken.clear();
      const busy = { isOver: false };
      const producer = async (id: string): Promise<void> => {
        for (let n = 1; !busy.isOver; n += 1) await store.append(notes.stream(id), [note(n), note(n), note(n)]);
      };
      const producers = Array.from({ length: 40 }, (_, index) => producer(`b${index}`));
      await using _running = run(store, { reactors: [subject.reactor] });
      await subject.letters.retryAll();
      await subject.letters.settled({ signal: AbortSignal.timeout(10_000) }).finally(() => (busy.isOver = true));
      await Promise.all(producers);
      expect(subject.handled.filter((each) => each.startsWith('a'))).toEqual(['a-1', 'a-2', 'a-3']);
    });

    it('let what waits go on when they are discarded', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [2]);
      await store.append(notes.stream('a'), someNotes(4));
      await react(store, subject.reactor);
      const id = await onlyId(subject.letters);
      expect(await subject.letters.discard(id)).toBe(true);
      expect(await subject.letters.discard(id)).toBe(false);
      expect(await subject.letters.retry(id)).toBe(false);
      expect(await subject.letters.get(id)).toBeUndefined();
      await settle(store, subject);
      await store.append(notes.stream('a'), note(5));
      await react(store, subject.reactor);
      expect(subject.handled).toEqual(['a1', 'a3', 'a4', 'a5']);
      expect(await waitingOf(store, subject.reactor)).toBe(0);
    });

    it('are handled as they were edited; the log keeps the event', async () => {
      await using store = await openStore(options);
      const seen: unknown[] = [];
      const subject = picky(store, [2], {
        handle: async ({ type, data, metadata, id }, context) => {
          seen.push({ type, data, metadata, id });
          await context.append(marks.stream('copies'), note(data.n));
        },
      });
      await store.append(notes.stream('a'), someNotes(3), { metadata: { correlationId: 'talk' } });
      await react(store, subject.reactor);
      const id = await onlyId(subject.letters);
      expect(await subject.letters.retry(id, { event: note(20) })).toBe(true);
      expect(await subject.letters.get(id)).toMatchObject({ edit: { type: 'Noted', data: { n: 20 } }, event: { data: { n: 2 } }, state: 'retrying' });
      await settle(store, subject);
      expect(subject.handled).toEqual(['a1', 'a20', 'a3']);
      expect(seen.at(-2)).toEqual({ type: 'Noted', data: { n: 20 }, metadata: { correlationId: 'talk' }, id: 'notes:a@2' });
      expect(numbersOf(await collect(store.readStream(notes.stream('a'))))).toEqual([1, 2, 3]);
    });

    it('keep their edit when they fail again, until it is edited once more', async () => {
      await using store = await openStore(options);
      const metadata: unknown[] = [];
      const subject = picky(store, [2, 20], { handle: (event) => void metadata.push(event.metadata) });
      await store.append(notes.stream('a'), someNotes(2));
      await react(store, subject.reactor);
      const id = await onlyId(subject.letters);
      await subject.letters.retry(id, { event: note(20) });
      await settle(store, subject);
      expect(await subject.letters.get(id)).toMatchObject({ edit: { data: { n: 20 } }, error: { message: 'cannot take 20' }, state: 'dead' });
      await subject.letters.retry(id, { event: { ...note(21), metadata: { correlationId: 'mended' } } });
      await settle(store, subject);
      expect(subject.handled).toEqual(['a1', 'a21']);
      expect(metadata.at(-1)).toEqual({ correlationId: 'mended' });
    });

    it('are retried by several ids, by a condition, or all at once; it is told how many were open', async () => {
      await using store = await openStore(options);
      const subject = picky(store, [1, 2, 3]);
      for (let id = 0; id < 130; id += 1) await store.append(notes.stream(String(id)), note(1 + (id % 3)));
      await react(store, subject.reactor);
      const ids = (await listed(subject.letters)).map(({ id }) => String(id));
      expect(await subject.letters.discard(ids.slice(0, 10))).toBe(10);
      expect(await subject.letters.retry([...ids.slice(5, 15), ...ids.slice(10, 15)])).toBe(5);
      subject.broken.delete(2);
      const isTwo = ({ event }: DeadLetter): boolean => numbersOf(event ? [event] : [])[0] === 2;
      const twos = (await listed(subject.letters)).filter(isTwo).length;
      expect(await subject.letters.retryAll({ where: isTwo })).toBe(twos);
      await settle(store, subject);
      expect(subject.handled).toHaveLength(twos);
      const isOne = ({ error }: DeadLetter): boolean => error.message === 'cannot take 1';
      const ones = (await listed(subject.letters)).filter(isOne).length;
      expect(await subject.letters.discardAll({ where: isOne })).toBe(ones);
      subject.broken.clear();
      expect(await subject.letters.retryAll()).toBe(120 - twos - ones);
      await settle(store, subject);
      expect(await subject.letters.count()).toBe(0);
      expect(subject.handled).toHaveLength(120 - ones);
      expect(new Set(subject.handled).size).toBe(120 - ones);
    });

    it('wait for a processor where none runs, and are handled by one of two', async () => {
      const namespace = uniqueNamespace();
      await using store = await openStore({ ...options, namespace });
      const subject = picky(store, [1]);
      for (let id = 0; id < 40; id += 1) await store.append(notes.stream(`s${id}-`), someNotes(3));
      await react(store, subject.reactor);
      subject.broken.clear();
      expect(await subject.letters.retryAll()).toBe(40);
      expect((await listed(subject.letters)).map(({ state }) => state)).toEqual(Array.from({ length: 40 }, () => 'retrying'));
      await using other = await openStore({ ...options, namespace });
      await using _first = run(store, { reactors: [subject.reactor] });
      await using _second = run(other, { reactors: [subject.reactor] });
      await subject.letters.settled();
      for (let id = 0; id < 40; id += 1)
        expect(subject.handled.filter((each) => each.startsWith(`s${id}-`))).toEqual([`s${id}-1`, `s${id}-2`, `s${id}-3`]);
    });
  },
);

describe('a letter', () => {
  it('appends nothing again when it is retried much later, and what was kept for that goes when it is closed', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using redis = await connectRaw();
    const subject = picky(store, [2, 3], {
      handle: ({ data, streamName }, context) => context.append(marks.stream(streamName.slice(6)), note(data.n)),
    });
    await store.append(notes.stream('a'), someNotes(2));
    await store.append(notes.stream('b'), note(3));
    for (let again = 0; again < 3; again += 1) await react(store, subject.reactor); // new owners clear up
    const kept = async (): Promise<number> => Number(await redis.send('HLEN', new Keys(namespace, 1).reactions(0, 'picky', 1, 0))) - 1; // the epoch
    expect(await kept()).toBe(2);
    subject.broken.delete(2);
    const [first, second] = await listed(subject.letters);
    await subject.letters.retry(String(first?.id));
    await settle(store, subject);
    expect(numbersOf(await collect(store.readStream(marks.stream('a'))))).toEqual([1, 2]);
    expect(await kept()).toBe(1);
    await subject.letters.discard(String(second?.id));
    await using _running = run(store, { reactors: [subject.reactor] });
    await until('what was kept for the discarded letter is gone', async () => (await kept()) === 0);
    expect(numbersOf(await collect(store.readStream(marks.stream('b'))))).toEqual([3]);
  });

  it('can be discarded while it is being retried: it fails, and what waits goes on', async () => {
    await using store = await openStore();
    const gate = { isOpen: true, isEntered: false };
    const subject = picky(store, [1], {
      handle: async ({ data }) => {
        gate.isEntered ||= !gate.isOpen && data.n === 1;
        await until('the gate is open', () => gate.isOpen || data.n !== 1);
      },
    });
    await store.append(notes.stream('a'), someNotes(3));
    await react(store, subject.reactor);
    const id = await onlyId(subject.letters);
    gate.isOpen = false;
    await using _running = run(store, { reactors: [subject.reactor] });
    await subject.letters.retry(id);
    await until('it is being retried', () => gate.isEntered);
    expect(await subject.letters.discard(id)).toBe(true);
    gate.isOpen = true;
    await subject.letters.settled();
    expect(subject.handled).toEqual(['a2', 'a3']);
    expect(await subject.letters.count()).toBe(0);
  });

  it('that is edited while it is tried as it was is tried once more, edited', async () => {
    await using store = await openStore();
    const gate = { isOpen: true, isEntered: false };
    const subject = picky(store, [1], {
      handle: async ({ data }) => {
        gate.isEntered ||= !gate.isOpen && data.n === 1;
        await until('the gate is open', () => gate.isOpen || data.n !== 1);
      },
    });
    await store.append(notes.stream('a'), someNotes(2));
    await react(store, subject.reactor);
    const id = await onlyId(subject.letters);
    gate.isOpen = false;
    await using _running = run(store, { reactors: [subject.reactor] });
    await subject.letters.retry(id);
    await until('it is being retried', () => gate.isEntered);
    expect(await subject.letters.retry(id, { event: note(10) })).toBe(true);
    gate.isOpen = true;
    await subject.letters.settled();
    expect(subject.handled).toEqual(['a10', 'a2']);
  });

  it('behind which too many events wait stops its reactor, until it is retried and the processor is started again', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using redis = await connectRaw();
    const subject = picky(store, [1]);
    await store.append(notes.stream('a'), someNotes(3));
    await react(store, subject.reactor);
    // As if so many waited.
    await redis.send('HSET', new Keys(namespace, 1).checkpoint(0, 'picky', 1), 'parked', String(reactorLimits.eventsWaiting));
    await store.append(notes.stream('b'), note(7));
    await react(store, subject.reactor);
    await store.append(notes.stream('a'), note(4));
    const error = await errorOf(react(store, subject.reactor));
    expect(error).toBeInstanceOf(ReactorFailedError);
    expect(error.message).toMatch(/events of this partition wait behind dead letters/);
    await store.append(notes.stream('a'), someNotes(2, 5));
    expect(await errorOf(react(store, subject.reactor))).toBeInstanceOf(ReactorFailedError);
    subject.broken.clear();
    await subject.letters.retryAll();
    await settle(store, subject);
    await react(store, subject.reactor);
    expect(subject.handled).toEqual(['b7', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6']);
  });

  it('whose event was removed from the log says so, fails when retried, and can be discarded', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using redis = await connectRaw();
    const subject = picky(store, [1]);
    await store.append(notes.stream('a'), someNotes(3));
    await react(store, subject.reactor);
    const id = await onlyId(subject.letters);
    await redis.send('XDEL', new Keys(namespace, 1).log(0, 'notes'), id);
    expect(await subject.letters.get(id)).toMatchObject({ id, event: undefined, category: 'notes', key: 'a', state: 'dead' });
    await subject.letters.retry(id);
    await settle(store, subject);
    expect((await subject.letters.get(id))?.error.message).toBe('The event is no longer in the log.');
    await subject.letters.discardAll({ where: ({ event }) => event === undefined });
    await settle(store, subject);
    expect(subject.handled).toEqual(['a2', 'a3']);
  });
});

describe('dead letters of a reactor that keeps no order', () => {
  it('are listed, retried, edited and discarded, and nothing waits behind them', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using redis = await connectRaw();
    const subject = picky(store, [2, 3, 4, 5], {
      order: 'none',
      handle: ({ data }, context) => context.append(marks.stream('copies'), note(data.n)),
    });
    await store.append(notes.stream('a'), someNotes(6));
    await react(store, subject.reactor);
    expect(subject.handled.toSorted()).toEqual(['a1', 'a6']);
    const letters = await listed(subject.letters);
    expect(letters.map(({ event, key, eventsWaiting, attempts }) => [event?.id, key, eventsWaiting, attempts])).toEqual(
      [2, 3, 4, 5].map((n) => [`notes:a@${n}`, undefined, 0, 2]),
    );
    const [two, three, four] = letters.map(({ id }) => String(id));
    subject.broken.delete(2);
    expect(await subject.letters.retry([two, three].map(String))).toBe(2);
    expect(await subject.letters.retry(String(four), { event: note(40) })).toBe(true);
    await using _running = run(store, { reactors: [subject.reactor] });
    await subject.letters.settled();
    expect(subject.handled.toSorted()).toEqual(['a1', 'a2', 'a40', 'a6']);
    expect(await subject.letters.get(String(three))).toMatchObject({ attempts: 4, retries: 1, state: 'dead' });
    expect(await subject.letters.discardAll({ where: () => true })).toBe(2);
    await subject.letters.settled();
    expect(await subject.letters.count()).toBe(0);
    expect(numbersOf(await collect(store.readStream(marks.stream('copies')))).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
    const kept = async (): Promise<string[]> =>
      ((await redis.send('HKEYS', new Keys(namespace, 1).reactions(0, 'picky', 1, 0))) as string[]).filter((field) => /^\d/.test(field));
    await until('what was kept for them is gone', async () => (await kept()).length === 0);
  });
});

describe('what cannot be done with dead letters', () => {
  it.each(['', '1', '9-0@x', '1767225600000-0@7', 'notes:a@1'])('is refused for what is no id of this store: %j', async (id) => {
    await using store = await openStore({ partitions: 4 });
    const letters = new ProcessorControl(store).deadLetters({ name: 'picky' });
    for (const tried of [letters.get(id), letters.retry(id), letters.retry([id]), letters.discard(id), listed(letters, { from: id })])
      expect(await errorOf(tried)).toBeInstanceOf(InvalidInputError);
  });

  it('is refused for an event that could not be appended, or is of a type that the reactor passes over', async () => {
    await using store = await openStore();
    const { reactor: made, letters } = picky(store, [1], { types: ['Noted'] });
    await store.append(notes.stream('a'), note(1));
    await react(store, made);
    const id = await onlyId(letters);
    for (const event of [
      { type: '', data: 1 },
      { type: 'Noted', data: () => 1 },
      { type: 'Noted', data: '\ud800' },
      { type: 'Other', data: 1 },
    ])
      expect(await errorOf(letters.retry(id, { event }))).toBeInstanceOf(InvalidInputError);
    expect(await letters.get(id)).toMatchObject({ edit: undefined, state: 'dead' });
  });

  it('is refused for a limit, a condition, a name or a version that is none', async () => {
    await using store = await openStore();
    const control = new ProcessorControl(store);
    const letters = control.deadLetters({ name: 'picky' });
    expect(await errorOf(listed(letters, { limit: 0 }))).toBeInstanceOf(InvalidInputError);
    expect(await errorOf(letters.discardAll({} as Parameters<DeadLetters['discardAll']>[0]))).toBeInstanceOf(InvalidInputError);
    expect(() => control.deadLetters({ name: 'a:b' })).toThrow(InvalidInputError);
    expect(() => control.deadLetters({ name: 'picky', version: 0 })).toThrow(InvalidInputError);
  });

  it('ends with the reason of an aborted signal', async () => {
    await using store = await openStore();
    const subject = picky(store, [1]);
    await store.append(notes.stream('a'), note(1));
    await react(store, subject.reactor);
    const signal = AbortSignal.abort(new Error('enough'));
    expect(await errorOf(subject.letters.retryAll({ signal }))).toMatchObject({ message: 'enough' });
    expect(await errorOf(listed(subject.letters, { signal }))).toMatchObject({ message: 'enough' });
    await subject.letters.retryAll();
    const error = await errorOf(subject.letters.settled({ signal: AbortSignal.timeout(50) }));
    expect(isMillraceError(error)).toBe(false);
    expect(error.name).toBe('TimeoutError');
  });
});
