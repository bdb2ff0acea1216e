// Reactors: each event handled at least once, each key in order, retried, and given up as a dead letter behind which the key waits.
import { ProcessorControl, type ReactionContext, type Reactor, reactor, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, it } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { marks, note, notes, openStore, someNotes } from '../support/store.ts';

const quick = { attempts: 2, minDelayMs: 1, maxDelayMs: 2 };

/** Runs reactors until they are caught up. */
async function react(store: object, ...reactors: Reactor[]): Promise<void> {
  await using processor = new StreamProcessor(store, { reactors });
  await processor.runUntilCaughtUp();
}

describe.each<StoreOptions & { partitions: number }>([{ partitions: 1 }, { partitions: 4 }])('a reactor, with $partitions partitions', (options) => {
  it('handles each event once, each stream in its order, and many streams at the same time', async () => {
    await using store = await openStore(options);
    const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
    for (const id of ids) await store.append(notes.stream(id), someNotes(10));
    const handled = new Map<string, number[]>();
    let running = 0;
    let most = 0;
    const each = reactor({
      name: 'each',
      categories: [notes],
      handle: async (event) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        running -= 1;
        handled.set(event.streamName, [...(handled.get(event.streamName) ?? []), event.data.n]);
      },
    });
    await react(store, each);
    expect([...handled.values()]).toEqual(ids.map(() => [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    expect(most).toBeGreaterThan(1);
  });

  it('goes on behind its checkpoint, in another processor', async () => {
    await using store = await openStore(options);
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], handle: ({ data }) => void handled.push(data.n) });
    await store.append(notes.stream('a'), someNotes(3));
    await react(store, each);
    await store.append(notes.stream('a'), someNotes(2, 4));
    await react(store, each);
    expect(handled).toEqual([1, 2, 3, 4, 5]);
  });

  it('tries again what failed, with the same idempotency key, and counts the attempts', async () => {
    await using store = await openStore(options);
    const seen: Pick<ReactionContext, 'attempt' | 'idempotencyKey'>[] = [];
    const flaky = reactor({
      name: 'flaky',
      categories: [notes],
      retry: { attempts: 3, minDelayMs: 1 },
      handle: async (_event, { attempt, idempotencyKey }) => {
        seen.push({ attempt, idempotencyKey });
        if (attempt < 3) throw new Error('not yet');
      },
    });
    await store.append(notes.stream('a'), note(1));
    await react(store, flaky);
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(seen.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  });

  it('gives up after the last attempt; later events of that stream wait, those of others go on', async () => {
    await using store = await openStore(options);
    const handled: string[] = [];
    const picky = reactor({
      name: 'picky',
      categories: [notes],
      retry: quick,
      handle: async ({ streamName, data }) => {
        if (data.n === 2 && streamName === 'notes:a') throw new Error('never');
        handled.push(`${streamName} ${data.n}`);
      },
    });
    for (const id of ['a', 'b']) for (const n of [1, 2, 3]) await store.append(notes.stream(id), note(n));
    await using processor = new StreamProcessor(store, { reactors: [picky] });
    await processor.runUntilCaughtUp();
    expect(handled.toSorted()).toEqual(['notes:a 1', 'notes:b 1', 'notes:b 2', 'notes:b 3']);
    const { reactors } = await processor.progress();
    expect(reactors.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(1);
    expect(reactors.reduce((sum, { eventsWaiting }) => sum + eventsWaiting, 0)).toBe(1);
    await store.append(notes.stream('a'), note(4));
    await react(store, picky);
    expect(handled).not.toContain('notes:a 4');
  });

  it('appends once for each event, with what caused it, however often it is tried', async () => {
    await using store = await openStore(options);
    const echo = reactor({
      name: 'echo',
      categories: [notes],
      retry: { attempts: 3, minDelayMs: 1 },
      handle: async (event, context) => {
        await context.append(marks.stream('all'), note(event.data.n));
        if (context.attempt < 3) throw new Error('after the append');
      },
    });
    await store.append(notes.stream('a'), someNotes(3), { metadata: { correlationId: 'talk' } });
    await react(store, echo);
    const copies = [];
    for await (const { data, metadata } of store.readStream(marks.stream('all'))) copies.push({ n: data.n, ...metadata });
    expect(copies).toEqual([1, 2, 3].map((n) => ({ n, correlationId: 'talk', causationId: `notes:a@${n}` })));
  });

  it('begins where it is told, if it has no checkpoint', async () => {
    await using store = await openStore(options);
    await store.append(notes.stream('a'), someNotes(3));
    const handled: number[] = [];
    const later = reactor({ name: 'later', categories: [notes], startFrom: 'now', handle: ({ data }) => void handled.push(data.n) });
    await react(store, later);
    await store.append(notes.stream('a'), someNotes(2, 4));
    await react(store, later);
    expect(handled).toEqual([4, 5]);
  });

  it('passes over the types that it does not name', async () => {
    await using store = await openStore(options);
    await store.append(notes.stream('a'), someNotes(3));
    const handled: number[] = [];
    const none = reactor({ name: 'none', categories: [notes, marks], types: ['Noted'], handle: ({ data }) => void handled.push(data.n) });
    await react(store, none);
    expect(handled).toEqual([1, 2, 3]);
  });
});

describe('a reactor that is set to another place', () => {
  it('handles again what stands behind it, and forgets letters and waiting events there', async () => {
    await using store = await openStore({ partitions: 4 });
    const handled: number[] = [];
    const isBroken = { now: true };
    const picky = reactor({
      name: 'picky',
      categories: [notes],
      retry: quick,
      handle: async ({ data }) => {
        if (data.n === 2 && isBroken.now) throw new Error('not yet');
        handled.push(data.n);
      },
    });
    await store.append(notes.stream('a'), someNotes(3));
    await react(store, picky);
    expect(handled).toEqual([1]);
    isBroken.now = false;
    await new ProcessorControl(store).rewind(picky);
    await react(store, picky);
    expect(handled).toEqual([1, 1, 2, 3]);
    await using processor = new StreamProcessor(store, { reactors: [picky] });
    const { reactors } = await processor.progress();
    expect(reactors.map(({ deadLetters, eventsWaiting }) => deadLetters + eventsWaiting)).toEqual([0, 0, 0, 0]);
  });

  it('passes over what there is when it is set to now', async () => {
    await using store = await openStore({ partitions: 4 });
    const handled: number[] = [];
    const each = reactor({ name: 'each', categories: [notes], handle: ({ data }) => void handled.push(data.n) });
    await store.append(notes.stream('a'), someNotes(3));
    await new ProcessorControl(store).rewind(each, { to: 'now' });
    await react(store, each);
    await store.append(notes.stream('a'), note(4));
    await react(store, each);
    expect(handled).toEqual([4]);
  });

  it('goes on where its checkpoint was lost, and its handlers may append again', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    const echo = reactor({ name: 'echo', categories: [notes], handle: ({ data }, { append }) => append(marks.stream('all'), note(data.n)) });
    await store.append(notes.stream('a'), someNotes(2));
    await react(store, echo);
    await using redis = await connectRaw();
    await redis.send('DEL', `{${namespace}:0}:checkpoint:echo@1`);
    await react(store, echo);
    const copies = [];
    for await (const { data } of store.readStream(marks.stream('all'))) copies.push(data.n);
    expect(copies).toEqual([1, 2, 1, 2]);
  });
});
