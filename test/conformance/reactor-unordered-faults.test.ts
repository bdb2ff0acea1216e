// What a reactor without order promises when its connections fail: every event is handled, what a handler appends is there once, and it comes back by itself.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, type Reactor, reactor, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, it } from 'vitest';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { run, until } from '../support/processors.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { collect, marks, note, notes, numbersOf, openStore, openStoreOver, ownClient, someNotes } from '../support/store.ts';

const LEASE_MS = 600;

const reading = (args: readonly string[]): boolean => /^XREADGROUP$/i.test(args[0] ?? '');
const acknowledging = (args: readonly string[]): boolean =>
  /^EVAL/i.test(args[0] ?? '') && args.some((arg) => arg.includes(':letters:')) && args.some((arg) => arg.includes(':reactions:'));
const appending = (args: readonly string[]): boolean => /^EVAL/i.test(args[0] ?? '') && args.some((arg) => arg.includes(':head'));

interface Behind extends AsyncDisposable {
  readonly store: EventStore;
  readonly proxy: Proxy;
  readonly direct: EventStore;
}

const ways: readonly {
  readonly name: string;
  open(url: string, options: StoreOptions): Promise<{ readonly store: EventStore; close(): Promise<void> }>;
}[] = [
  {
    name: 'opened by URL',
    async open(url, options) {
      const store = await openStore({ url, ...options });
      return { store, close: () => store.close() };
    },
  },
  {
    name: "over a client of the caller's own", // ioredis sends again by itself what was under way
    async open(url, options) {
      const own = await ownClient(url);
      const store = await openStoreOver(own, options);
      return { store, close: async () => (await store.close(), await own[Symbol.asyncDispose]()) };
    },
  },
];

async function openBehindProxy(way: (typeof ways)[number], options: StoreOptions = {}): Promise<Behind> {
  const namespace = uniqueNamespace();
  const direct = await openStore({ url: testUrl(), namespace, partitions: 1 });
  const proxy = await startProxy(testUrl());
  const opened = await way.open(proxy.url, { ...options, namespace });
  const end = async (): Promise<void> => (await proxy.accept(), proxy.thaw(), await opened.close(), await proxy.close(), await direct.close());
  return { store: opened.store, proxy, direct, [Symbol.asyncDispose]: end };
}

/** Notes each event that it handles, and appends a copy of it. */
function echo(handled: number[], ms = 0): Reactor {
  return reactor({
    name: 'echo',
    categories: [notes],
    order: 'none',
    handle: async (event, context) => {
      const { n } = event.data;
      await context.append(marks.stream('all'), note(n));
      if (ms > 0) await delay(ms);
      handled.push(n);
    },
  });
}

async function copiesIn(store: EventStore): Promise<number[]> {
  return numbersOf(await collect(store.readStream(marks.stream('all')))).toSorted((a, b) => a - b);
}

function upTo(count: number): number[] {
  return numbersOf(someNotes(count));
}

describe.each(ways)('a reactor without order, of a store $name', (way) => {
  it.each([
    ['reply of a read', reading, 'loseReplyOf'],
    ['read', reading, 'loseCommand'],
    ['reply of an acknowledgement', acknowledging, 'loseReplyOf'],
    ['acknowledgement', acknowledging, 'loseCommand'],
    ['reply of an append', appending, 'loseReplyOf'],
  ] as const)('handles every event, and appends once for each, when the %s is lost', async (_, matches, lose) => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    const handled: number[] = [];
    await using running = run(store, { reactors: [echo(handled)], leaseMs: LEASE_MS });
    for (let round = 0; round < 4; round += 1) {
      const lost = proxy[lose](matches);
      await direct.append(notes.stream('a'), someNotes(25, 1 + 50 * round));
      await lost;
      await direct.append(notes.stream('b'), someNotes(25, 26 + 50 * round));
      await until('all are handled', () => new Set(handled).size === 50 * (round + 1));
    }
    await new StreamProcessor(direct, { reactors: [echo(handled)], leaseMs: LEASE_MS }).runUntilCaughtUp();
    expect(await copiesIn(direct)).toEqual(upTo(200));
    expect(running.failed).toEqual([]);
  });

  it('comes back after all its connections were cut, again and again', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    const handled: number[] = [];
    await using running = run(store, { reactors: [echo(handled)], leaseMs: LEASE_MS });
    for (let round = 0; round < 20; round += 1) {
      await direct.append(notes.stream('a'), someNotes(10, 1 + 10 * round));
      proxy.cut();
      await delay(round * 3);
    }
    await until('all are handled', () => new Set(handled).size === 200);
    await new StreamProcessor(direct, { reactors: [echo(handled)], leaseMs: LEASE_MS }).runUntilCaughtUp();
    expect(await copiesIn(direct)).toEqual(upTo(200));
    expect(running.failed).toEqual([]);
  });

  it('is taken over when its connection goes silent, appends nothing more for what it had in hand, and takes part again', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    const here: number[] = [];
    const there: number[] = [];
    await using running = run(store, { reactors: [echo(here, 50)], leaseMs: LEASE_MS });
    await direct.append(notes.stream('a'), someNotes(40));
    await until('it has begun', () => here.length > 0);
    proxy.freeze();
    const other = new StreamProcessor(direct, { reactors: [echo(there)], leaseMs: LEASE_MS });
    await other.runUntilCaughtUp();
    expect(there.length).toBeGreaterThan(0);
    proxy.thaw();
    await direct.append(notes.stream('a'), someNotes(10, 41));
    await until('it takes events again', () => here.some((n) => n > 40), 20_000);
    await running.processor.runUntilCaughtUp();
    expect(await copiesIn(direct)).toEqual(upTo(50));
    expect(running.failed).toEqual([]);
  });

  it('appends nothing for an event that another one was done with meanwhile', async () => {
    await using behind = await openBehindProxy(way);
    const { store, proxy, direct } = behind;
    const refused: unknown[] = [];
    const begun: number[] = [];
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const late = reactor({
      name: 'echo',
      categories: [notes],
      order: 'none',
      handle: async ({ data }, context) => {
        begun.push(data.n);
        await gate;
        await context.append(marks.stream('all'), note(data.n)).catch((error: unknown) => refused.push(error));
      },
    });
    await using running = run(store, { reactors: [late], leaseMs: LEASE_MS });
    await direct.append(notes.stream('a'), someNotes(5));
    await until('it has them in hand', () => begun.length === 5);
    proxy.freeze();
    const there: number[] = [];
    await new StreamProcessor(direct, { reactors: [echo(there)], leaseMs: LEASE_MS }).runUntilCaughtUp();
    expect(there.toSorted((a, b) => a - b)).toEqual(upTo(5));
    open(); // its appends are sent, and arrive when the connection comes back
    await delay(10);
    proxy.thaw();
    await until('they are refused', () => refused.length === 5);
    for (const error of refused) expect(error).toMatchObject({ code: 'reaction-fenced' });
    expect(await copiesIn(direct)).toEqual(upTo(5));
    await direct.append(notes.stream('a'), note(6));
    await until('it takes events again', () => begun.includes(6), 20_000);
    expect(running.failed).toEqual([]);
  });

  it('does not take an event for done while nobody knows what became of its append: it begins anew, and finds that', async () => {
    await using behind = await openBehindProxy(way, { timeoutMs: 300 });
    const { store, proxy, direct } = behind;
    const codes: unknown[] = [];
    const attempts: number[] = [];
    const told = reactor({
      name: 'echo',
      categories: [notes],
      order: 'none',
      handle: async ({ data }, context) => {
        attempts.push(context.attempt);
        await context.append(marks.stream('all'), note(data.n)).catch((error: unknown) => {
          codes.push((error as { readonly code?: string }).code);
          throw error;
        });
      },
    });
    await using running = run(store, { reactors: [told], leaseMs: 2_000 });
    const lost = proxy.loseReplyOf(appending, {
      whileCut: () => delay(1_500),
    });
    await direct.append(notes.stream('a'), note(1));
    await lost;
    await direct.append(notes.stream('a'), note(2));
    await running.processor.runUntilCaughtUp();
    expect(codes).toContain('outcome-unknown');
    expect(attempts.filter((attempt) => attempt === 1).length).toBeGreaterThan(2);
    expect(await copiesIn(direct)).toEqual(upTo(2));
    expect(running.failed).toEqual([]);
  });
});
