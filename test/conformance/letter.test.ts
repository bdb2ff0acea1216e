// A dead letter by itself, those of reactors without an order, and what cannot be done with them.
import { type DeadLetters, InvalidInputError, isMillraceError, ProcessorControl, ReactorFailedError } from 'millrace';
import { reactorLimits } from 'millrace';
import { describe, expect, it } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { run, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

import { picky, react, settle, listed, onlyId } from '../support/letters.ts';

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
