// Reactors that keep no order: any worker takes any event, each is handled at least once, and what a handler appends happens once.
import { ProcessorControl, type ReactionContext, type Reactor, reactor, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, it } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { run, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, notes, numbersOf, openStore, someNotes } from '../support/store.ts';

const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** Runs reactors until they are caught up. */
async function react(store: object, ...reactors: Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

function upTo(count: number, from = 1): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

describe.each<StoreOptions & { partitions: number }>([{ partitions: 1 }, { partitions: 4 }])(
  "a reactor with order 'none', with $partitions partitions",
  (options) => {
    it('handles each event once, many of one stream at the same time, but no more than its concurrency allows', async () => {
      await using store = await openStore({ ...options });
      for (let first = 1; first < 200; first += 50) await store.append(notes.stream('a'), someNotes(50, first));
      const handled: number[] = [];
      let running = 0;
      let most = 0;
      const each = reactor({
        name: 'each',
        categories: [notes],
        order: 'none',
        concurrency: 8,
        handle: async ({ data }) => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running -= 1;
          handled.push(data.n);
        },
      });
      await react(store, each);
      expect(sorted(handled)).toEqual(upTo(200));
      expect(most).toBe(8);
    });

    it('goes on behind what is acknowledged, in another processor, and takes what comes while it runs', async () => {
      await using store = await openStore(options);
      const handled: number[] = [];
      const each = reactor({ name: 'each', categories: [notes, marks], order: 'none', handle: ({ data }) => void handled.push(data.n) });
      await store.append(notes.stream('a'), someNotes(3));
      await react(store, each);
      expect(sorted(handled)).toEqual([1, 2, 3]);
      await store.append(notes.stream('b'), someNotes(2, 4));
      await using processor = new StreamProcessor(store, { reactors: [each] });
      processor.start();
      await until('what was there is handled', () => handled.length === 5);
      await store.append(marks.stream('a'), someNotes(2, 6));
      await until('what came is handled', () => handled.length === 7);
      await processor.runUntilCaughtUp();
      expect(sorted(handled)).toEqual(upTo(7));
      const { reactors } = await processor.progress();
      expect(reactors.reduce((sum, { eventsDone }) => sum + eventsDone, 0)).toBe(7);
      expect(reactors.reduce((sum, { lagEvents }) => sum + lagEvents, 0)).toBe(0);
      expect(reactors.every((each) => each.isRunHere)).toBe(true);
    });

    it('tries again what failed, and makes it a dead letter after the last attempt: nothing waits behind it', async () => {
      await using store = await openStore(options);
      const handled: number[] = [];
      const seen: Pick<ReactionContext, 'attempt' | 'idempotencyKey'>[] = [];
      const told: number[] = [];
      const picky = reactor({
        name: 'picky',
        categories: [notes],
        order: 'none',
        retry: quick,
        handle: async ({ data }, { attempt, idempotencyKey }) => {
          if (data.n === 2) {
            seen.push({ attempt, idempotencyKey });
            throw new Error('never');
          }
          handled.push(data.n);
        },
      });
      await store.append(notes.stream('a'), someNotes(3));
      await using processor = new StreamProcessor(store, { reactors: [picky] });
      processor.on('deadLetter', ({ event }) => told.push((event.data as { n: number }).n));
      await processor.runUntilCaughtUp();
      expect(sorted(handled)).toEqual([1, 3]);
      expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(new Set(seen.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
      expect(told).toEqual([2]);
      const { reactors } = await processor.progress();
      expect(reactors.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(1);
      expect(reactors.reduce((sum, { eventsWaiting, lagEvents }) => sum + eventsWaiting + lagEvents, 0)).toBe(0);
    });

    it('appends once for each event, however often it is tried', async () => {
      await using store = await openStore(options);
      const echo = reactor({
        name: 'echo',
        categories: [notes],
        order: 'none',
        retry: { attempts: 3, minDelayMs: 1 },
        handle: async (event, context) => {
          await context.append(marks.stream('all'), note(event.data.n));
          if (context.attempt < 3) throw new Error('after the append');
        },
      });
      await store.append(notes.stream('a'), someNotes(3));
      await react(store, echo);
      const copies = [];
      for await (const { data } of store.readStream(marks.stream('all'))) copies.push(data.n);
      expect(sorted(copies)).toEqual([1, 2, 3]);
    });

    it('begins where it is told, and takes all events of a category that comes later', async () => {
      await using store = await openStore(options);
      await store.append(notes.stream('a'), someNotes(3));
      const handled: number[] = [];
      const handle = ({ data }: { data: { n: number } }): void => void handled.push(data.n);
      const later = reactor({ name: 'later', categories: [notes, marks], order: 'none', startFrom: 'now', handle });
      await react(store, later);
      await store.append(notes.stream('a'), someNotes(2, 4));
      await store.append(marks.stream('a'), someNotes(2, 6));
      await react(store, later);
      expect(sorted(handled)).toEqual([4, 5, 6, 7]);
      const all = await collect(store.readAll()); // the groups made the logs, before there was any event
      expect(sorted(numbersOf(all))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    });

    it('passes over the types that it does not name', async () => {
      await using store = await openStore(options);
      await store.append(notes.stream('a'), someNotes(3));
      const none = reactor({ name: 'none', categories: [notes], order: 'none', types: ['Noted'], handle: () => undefined });
      await react(store, { ...none, types: new Set(['Other']), handle: () => Promise.reject(new Error('not asked for')) });
    });
  },
);

/** A store with one partition, its keys in sight. */
async function openInSight() {
  const namespace = uniqueNamespace();
  const store = await openStore({ namespace, partitions: 1, timeoutMs: 1_000 });
  const raw = await connectRaw();
  const key = (rest: string): string => `{${namespace}:0}:${rest}`;
  const end = async (): Promise<void> => (await store.close(), raw.close());
  return { store, raw, key, [Symbol.asyncDispose]: end };
}

/** How many events the workers of `each` have in hand. */
async function pendingOf({ raw, key }: Pick<Awaited<ReturnType<typeof openInSight>>, 'raw' | 'key'>): Promise<number> {
  const reply = await raw.send('XPENDING', key('log:notes'), 'millrace:each@1').catch(() => [0]); // there may be no group yet
  return Number((reply as [number])[0]);
}

describe('a dead letter of a reactor that keeps no order', () => {
  it('is tried again when somebody asks for it, appends no second time, and takes a higher fencing token', async () => {
    await using sight = await openInSight();
    const { store, raw, key } = sight;
    const epochs: number[] = [];
    const isBroken = { now: true };
    const picky = reactor({
      name: 'picky',
      categories: [notes],
      order: 'none',
      retry: quick,
      handle: async (event, context) => {
        epochs.push(context.epoch);
        await context.append(marks.stream('all'), note(event.data.n));
        if (isBroken.now) throw new Error('not yet');
      },
    });
    await store.append(notes.stream('a'), note(1));
    await react(store, picky);
    const [place = ''] = (await raw.send('ZRANGE', key('dead:picky@1'), '0', '-1')) as string[];
    expect(place).not.toBe('');
    isBroken.now = false;
    await raw.send('ZADD', key('retrying:picky@1'), place, place);
    await using running = run(store, { reactors: [picky] });
    await until('the letter is closed', async () => (await raw.send('ZCARD', key('dead:picky@1'))) === 0);
    expect(running.failed).toEqual([]);
    expect(epochs.length).toBe(3);
    expect(epochs[2]).toBeGreaterThan(epochs[0] ?? 0);
    const copies = [];
    for await (const { data } of store.readStream(marks.stream('all'))) copies.push(data.n);
    expect(copies).toEqual([1]);
    await until(
      'what was kept for it is removed',
      async () => !((await raw.send('HKEYS', key('reactions:picky@1:0'))) as string[]).some((field) => field.startsWith(place)),
    );
  });
});

describe('several workers of a reactor that keeps no order', () => {
  it('share the work, and each event is handled once', async () => {
    await using store = await openStore();
    const handled: string[] = [];
    const workers = ['x', 'y', 'z'].map((worker) =>
      reactor({
        name: 'shared',
        categories: [notes],
        order: 'none',
        concurrency: 4,
        handle: async ({ data }) => {
          await new Promise((resolve) => setTimeout(resolve, 2));
          handled.push(`${worker} ${data.n}`);
        },
      }),
    );
    await using first = run(store, { reactors: [workers[0] as Reactor] });
    await using second = run(store, { reactors: [workers[1] as Reactor] });
    await using third = run(store, { reactors: [workers[2] as Reactor] });
    await until('all take events', async () => {
      const all = await Promise.all([first, second, third].map(({ processor }) => processor.progress()));
      return all.every(({ reactors }) => reactors.every(({ isRunHere }) => isRunHere));
    });
    for (let n = 1; n <= 300; n += 1) await store.append(notes.stream(`s${n}`), note(n));
    await first.processor.runUntilCaughtUp();
    expect(sorted(handled.map((each) => Number(each.slice(2))))).toEqual(upTo(300));
    for (const worker of ['x', 'y', 'z']) expect(handled.filter((each) => each.startsWith(worker)).length).toBeGreaterThan(30);
    for (const { failed } of [first, second, third]) expect(failed).toEqual([]);
  });

  it('keep what takes longer than the claim time', async () => {
    await using store = await openStore({ partitions: 1 });
    let calls = 0;
    const slow = reactor({
      name: 'slow',
      categories: [notes],
      order: 'none',
      handle: async () => {
        calls += 1;
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      },
    });
    await store.append(notes.stream('a'), note(1));
    await using first = run(store, { reactors: [slow], leaseMs: 400 });
    await using second = run(store, { reactors: [slow], leaseMs: 400 });
    await first.processor.runUntilCaughtUp();
    expect(calls).toBe(1);
    for (const { failed } of [first, second]) expect(failed).toEqual([]);
  });

  it('leave what they did not finish to the others at once, and nothing of themselves', async () => {
    await using sight = await openInSight();
    const { store, raw, key } = sight;
    const handled: number[] = [];
    const never = reactor({ name: 'each', categories: [notes], order: 'none', handle: () => new Promise(() => undefined) });
    const each = reactor({ name: 'each', categories: [notes], order: 'none', handle: ({ data }) => void handled.push(data.n) });
    await store.append(notes.stream('a'), someNotes(10));
    const stuck = run(store, { reactors: [never], leaseMs: 60_000 });
    const pending = (): Promise<number> => pendingOf(sight);
    await until('it has all of them in hand', async () => (await pending()) === 10);
    await stuck.processor.stop();
    await using next = run(store, { reactors: [each], leaseMs: 60_000 });
    await next.processor.runUntilCaughtUp();
    expect(sorted(handled)).toEqual(upTo(10));
    await next.processor.stop();
    expect(await pending()).toBe(0);
    const consumers = (await raw.send('XINFO', 'CONSUMERS', key('log:notes'), 'millrace:each@1')) as unknown[];
    expect(consumers.length).toBe(1); // that of the stuck one, which the next housekeeper removes
  });

  it('stop while the reactor is paused, and go on when it is resumed', async () => {
    await using store = await openStore();
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], order: 'none', handle: ({ data }) => void handled.push(data.n) });
    await using running = run(store, { reactors: [each], leaseMs: 400 });
    await store.append(notes.stream('a'), note(1));
    await until('it runs', () => handled.length === 1);
    const control = new ProcessorControl(store);
    await control.pause(each);
    await until('nobody takes events', async () => (await running.processor.progress()).reactors.every(({ isRunHere }) => !isRunHere));
    await store.append(notes.stream('a'), note(2));
    await expect(running.processor.runUntilCaughtUp()).rejects.toMatchObject({ code: 'paused' });
    expect(handled).toEqual([1]);
    await control.resume(each);
    await until('it goes on', () => handled.length === 2);
  });
});

describe('a reactor that keeps no order', () => {
  it('is set to another place: what stands behind it is handled again, and its letters are forgotten', async () => {
    await using store = await openStore({ partitions: 4 });
    const handled: number[] = [];
    const isBroken = { now: true };
    const picky = reactor({
      name: 'picky',
      categories: [notes],
      order: 'none',
      retry: quick,
      handle: async ({ data }) => {
        if (data.n === 2 && isBroken.now) throw new Error('not yet');
        handled.push(data.n);
      },
    });
    await store.append(notes.stream('a'), someNotes(3));
    await using processor = new StreamProcessor(store, { reactors: [picky] });
    processor.start();
    await processor.runUntilCaughtUp();
    isBroken.now = false;
    const control = new ProcessorControl(store);
    await control.rewind(picky);
    await processor.runUntilCaughtUp();
    expect(sorted(handled)).toEqual([1, 1, 2, 3, 3]);
    const { reactors } = await processor.progress();
    expect(reactors.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(0);
    expect(reactors.reduce((sum, { eventsDone }) => sum + eventsDone, 0)).toBe(3);
    await control.rewind(picky, { to: 'now' });
    await store.append(notes.stream('a'), note(4));
    await processor.runUntilCaughtUp();
    expect(sorted(handled)).toEqual([1, 1, 2, 3, 3, 4]);
  });

  it('takes no more events a second than its processor may', async () => {
    await using store = await openStore({ partitions: 1 });
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], order: 'none', handle: ({ data }) => void handled.push(data.n) });
    await store.append(notes.stream('a'), someNotes(30));
    const startedAt = performance.now();
    await using processor = new StreamProcessor(store, { reactors: [each], eventsPerSecond: 40 });
    await processor.runUntilCaughtUp();
    expect(handled.length).toBe(30);
    expect(performance.now() - startedAt).toBeGreaterThan(250); // at once it may take ten, and the debt of ten more
  });

  it('is refused with the checkpoint of one that keeps an order', async () => {
    await using store = await openStore({ partitions: 1 });
    await store.append(notes.stream('a'), note(1));
    const handle = (): void => undefined;
    await react(store, reactor({ name: 'each', categories: [notes], handle }));
    const failure = await errorOf(react(store, reactor({ name: 'each', categories: [notes], order: 'none', handle })));
    expect(failure).toMatchObject({ code: 'projection-changed' });
  });

  it('makes a group that somebody removed again where all before is done, and loses nothing', async () => {
    await using sight = await openInSight();
    const { store, raw, key } = sight;
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], order: 'none', handle: ({ data }) => void handled.push(data.n) });
    await using running = run(store, { reactors: [each], leaseMs: 400 });
    await store.append(notes.stream('a'), someNotes(3));
    await until(
      'they are done, and that is noted',
      async () => (await raw.send('HGET', key('checkpoint:each@1'), 'position')) !== null && handled.length === 3,
    );
    await raw.send('XGROUP', 'DESTROY', key('log:notes'), 'millrace:each@1');
    await store.append(notes.stream('a'), note(4));
    await until('the next one is handled', () => handled.includes(4));
    expect(running.failed).toEqual([]);
  });

  it('stands still when the log is lost, and never makes its groups again by itself', async () => {
    await using sight = await openInSight();
    const { store, raw, key } = sight;
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], order: 'none', handle: ({ data }) => void handled.push(data.n) });
    await using running = run(store, { reactors: [each], leaseMs: 400 });
    await store.append(notes.stream('a'), someNotes(3));
    await until('they are done', () => handled.length === 3);
    await raw.send('DEL', key('log:notes'));
    await until('it is told', () => running.failed.length > 0);
    expect(running.failed[0]).toMatchObject({ reactor: 'each', error: { code: 'log-lost' } });
    await expect(running.processor.runUntilCaughtUp()).rejects.toMatchObject({ code: 'log-lost' });
    expect(await raw.send('EXISTS', key('log:notes'))).toBe(0);
  });

  it('tells of events that were removed from the log while they were in hand, and goes on', async () => {
    await using sight = await openInSight();
    const { store, raw, key } = sight;
    const handled: number[] = [];
    const never = reactor({ name: 'each', categories: [notes], order: 'none', handle: () => new Promise(() => undefined) });
    const each = reactor({ name: 'each', categories: [notes], order: 'none', handle: ({ data }) => void handled.push(data.n) });
    const { position } = await store.append(notes.stream('a'), note(1));
    const stuck = run(store, { reactors: [never], leaseMs: 400 });
    await until('it is in hand', async () => (await pendingOf(sight)) === 1);
    await stuck.processor.stop();
    await raw.send('XDEL', key('log:notes'), String(position));
    await store.append(notes.stream('a'), note(2));
    await using running = run(store, { reactors: [each], leaseMs: 400 });
    await until('it is told', () => running.failed.length > 0);
    expect(running.failed[0]).toMatchObject({ reactor: 'each', error: { code: 'log-lost' } });
    await until('it went on', () => handled.length === 1);
    await running.processor.runUntilCaughtUp();
    expect(handled).toEqual([2]);
  });
});
