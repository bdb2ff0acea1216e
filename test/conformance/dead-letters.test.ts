// Dead letters: what a reactor gave up on is listed, retried in the order of its key, edited, and discarded; nothing of it is lost or comes twice.
import { setTimeout as delay } from 'node:timers/promises';
import { type DeadLetter, ProcessorControl } from 'millrace';
import { type StoreOptions } from 'millrace';
import { describe, expect, it } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { run } from '../support/processors.ts';
import { collect, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

import { picky, react, settle, listed, onlyId, eventsOf, waitingOf } from '../support/letters.ts';

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
      expect(letter?.error).toMatchObject({ name: 'TypeError', message: 'cannot take 2', stack: expect.stringContaining('support/letters.ts') });
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
