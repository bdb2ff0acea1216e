// Process managers at their edges: conflicts, ends and new beginnings, edits, what is set back.
import {
  isMillraceError,
  category,
  type Event,
  type EventStore,
  ProcessConflictError,
  ProcessorControl,
  type ProcessManager,
  processManager,
  StreamProcessor,
} from 'millrace';
import { describe, expect, it } from 'vitest';
import { connectionOf } from '../../src/redis/connection.ts';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { keysIn, run, until } from '../support/processors.ts';
import { collect, errorOf, note, notes, numbersOf, openStore, openStoreOver, type OwnClient, ownClient, someNotes } from '../support/store.ts';

type Said = Event<'Said', { readonly seen: number }>;
const said = category<Said>('said');

/** Tells how many it has seen, up to `last`, and begins again then. */
function counting({
  last = Number.POSITIVE_INFINITY,
  isMended = true,
}: {
  readonly last?: number;
  readonly isMended?: boolean;
} = {}): ProcessManager {
  return processManager({
    name: 'counting',
    categories: [notes],
    initialState: () => ({ seen: 0 }),
    evolve: ({ seen }) => (seen + 1 === last ? null : { seen: seen + 1 }),
    react: (event, { seen }, to) => {
      if (event.data.n === 13 && !isMended) throw new Error('thirteen');
      return [to.append(said.stream(event.streamName.slice('notes:'.length)), { type: 'Said', data: { seen } })];
    },
    retry: { attempts: 1 },
  });
}

async function handle(store: EventStore, manager: ProcessManager): Promise<unknown[]> {
  await using processor = new StreamProcessor(store, { reactors: [manager] });
  const errors: unknown[] = [];
  processor.on('deadLetter', ({ error }) => errors.push(error));
  await processor.runUntilCaughtUp();
  return errors;
}

async function seenIn(store: EventStore): Promise<number[]> {
  return (await collect(store.readCategory(said))).map(({ data: { seen } }) => seen);
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

describe('a process that ends', () => {
  it('is begun again by the next event of its key, and leaves no key when it is over', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await store.append(notes.stream('1'), someNotes(5));
    await store.append(notes.stream('2'), someNotes(4));
    await handle(store, counting({ last: 2 }));
    expect(sorted(await seenIn(store))).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1]);
    const of = async (): Promise<string[]> => (await keysIn(namespace)).filter((key) => /:(snapshot|reactions):counting@1/.test(key));
    await until('only what runs is left', async () => (await of()).length === 1);
    expect((await of())[0]).toMatch(/:snapshot:counting@1:1$/);
  });

  it('is found and removed by the next owner where a process died before it could', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await store.append(notes.stream('1'), someNotes(2));
    await handle(store, counting({ last: 2 }));
    // As it is between the end and the removal.
    const { port, keys } = connectionOf(store);
    const [checkpoint, document, ended] = [
      keys.checkpoint(0, 'counting', 1),
      keys.snapshot(0, 'counting', 1, '1'),
      keys.reactions(0, 'counting', 1, 0),
    ];
    const position = await port.send(checkpoint, ['HGET', checkpoint, 'position']);
    await port.send(document, ['HSET', document, ':deleted', '1', ':position', String(position)]);
    const [place = ''] = (await port.send(keys.stream(0, 'notes:1'), ['LRANGE', keys.stream(0, 'notes:1'), '-1', '-1'])) as string[];
    await port.send(ended, ['HSET', ended, `${place}:1`, '1']);
    await handle(store, counting({ last: 2 }));
    await until('nothing is left', async () => (await keysIn(namespace)).every((key) => !/:(snapshot|reactions):counting@1/.test(key)));
    await store.append(notes.stream('1'), note(3));
    await handle(store, counting({ last: 2 }));
    expect(await seenIn(store)).toEqual([1, 1, 1]);
  });
});

describe('a process manager that commands', () => {
  const disturbed = (store: EventStore, times: number): { readonly manager: ProcessManager; readonly decisions: number[] } => {
    const decisions: number[] = [];
    const decider = said.decider({
      initialState: () => 0,
      evolve: (count) => count + 1,
      decide: ({ atLeast }: { readonly atLeast: number }, count): readonly Said[] => {
        decisions.push(count);
        // Another one is faster: it stands in front of this step, which comes over the same connection.
        if (decisions.length <= times) void store.append(said.stream('1'), { type: 'Said', data: { seen: -1 } });
        return count < atLeast ? [] : [{ type: 'Said', data: { seen: count } }];
      },
    });
    const command = (atLeast: number): ProcessManager =>
      processManager({
        name: 'commanding',
        categories: [notes],
        initialState: () => 0,
        evolve: (count) => count + 1,
        react: ({ data: { n } }, _, to) => [to.execute(decider, '1', { atLeast: n === 1 ? 0 : atLeast })],
        retry: { attempts: 1 },
      });
    return { manager: command(1), decisions };
  };

  it('decides again on what others append meanwhile', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), note(1));
    const { manager, decisions } = disturbed(store, 3);
    expect(await handle(store, manager)).toEqual([]);
    expect(decisions).toEqual([0, 1, 2, 3]);
    expect(await seenIn(store)).toEqual([-1, -1, -1, 3]);
  });

  it('decides again, too, where nothing was to be done as things stood', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), note(2));
    const { manager, decisions } = disturbed(store, 1);
    expect(await handle(store, manager)).toEqual([]);
    expect(decisions).toEqual([0, 1]);
    expect(await seenIn(store)).toEqual([-1, 1]);
  });

  it('gives an event up where that never ends, and carries it out when it is retried', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), note(1));
    const { manager } = disturbed(store, 100);
    const [error] = await handle(store, manager);
    expect(error).toBeInstanceOf(ProcessConflictError);
    expect(error).toMatchObject({ code: 'process-conflict' });
    expect((error as Error).message).toContain('commanding@1');
    expect(await seenIn(store)).toEqual(Array.from({ length: 100 }, () => -1));
    const letters = new ProcessorControl(store).deadLetters(manager);
    await letters.retryAll();
    await using processor = new StreamProcessor(store, { reactors: [manager] });
    processor.start();
    await letters.settled();
    expect((await seenIn(store)).at(-1)).toBe(100);
  });
});

it('refuses an edit that gives an event to another process, which may have passed it', async () => {
  await using store = await openStore({ partitions: 1 });
  const byNumber = processManager({
    name: 'by-number',
    categories: [notes],
    key: ({ data: { n } }) => String(n % 10),
    initialState: () => 0,
    evolve: (count) => count + 1,
    react: ({ data: { n } }, seen, to) => {
      if (n === 13) throw new Error('thirteen');
      return [to.append(said.stream(String(n % 10)), { type: 'Said', data: { seen } })];
    },
    retry: { attempts: 1 },
  });
  await store.append(notes.stream('1'), [note(13), note(4)]);
  await handle(store, byNumber);
  const letters = new ProcessorControl(store).deadLetters(byNumber);
  await using processor = new StreamProcessor(store, { reactors: [byNumber] });
  processor.start();
  const retried = async (n: number): Promise<void> => {
    for await (const letter of letters.list()) await letters.retry(letter.id, { event: note(n) });
    await letters.settled();
  };
  await retried(14);
  for await (const { error } of letters.list()) expect(error.message).toContain('another process');
  expect(await letters.count()).toBe(1);
  expect(await seenIn(store)).toEqual([1]);
  await retried(23);
  expect(await letters.count()).toBe(0);
  expect(await seenIn(store)).toEqual([1, 1]);
});

it('carries an event out once where its step cannot be confirmed as its store asks for', async ({ skip }) => {
  const namespace = uniqueNamespace();
  await using store = await openStore({ namespace });
  await using asking = await openStore({ namespace, durability: { replicas: 5, timeoutMs: 20 } }).catch((error: unknown) => {
    if (isMillraceError(error, 'unsuitable-server')) skip('the embedded engine has no replicas to wait for');
    throw error;
  });
  await store.append(notes.stream('1'), someNotes(3));
  expect(await handle(asking, counting())).toEqual([]);
  expect(await seenIn(store)).toEqual([1, 2, 3]);
});

it('gives an event up whose state would be too large', async () => {
  await using store = await openStore();
  const growing = processManager({
    name: 'growing',
    categories: [notes],
    initialState: () => '',
    evolve: () => 'x'.repeat(5_000_000),
    react: () => [],
    retry: { attempts: 1 },
  });
  await store.append(notes.stream('1'), note(1));
  expect(await handle(store, growing)).toMatchObject([{ code: 'document-too-large', key: '1' }]);
});

describe('a process manager that is rewound', () => {
  it("begins again without its states, and does all again, 'start'", async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    for (const id of ['1', '2', '3']) await store.append(notes.stream(id), [...someNotes(2), note(13), note(4)]);
    expect((await handle(store, counting({ isMended: false }))).length).toBe(3);
    const control = new ProcessorControl(store);
    await control.rewind(counting());
    expect(await control.deadLetters(counting()).count()).toBe(0);
    expect((await keysIn(namespace)).filter((key) => /:(snapshot|reactions|blocked|parked|letters):counting@1/.test(key))).toEqual([]);
    await handle(store, counting());
    expect(sorted(await seenIn(store))).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
  });

  it('ends with the pure fold also where it is run meanwhile, again and again', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace });
    await using other = await openStore({ namespace });
    await using one = run(store, { reactors: [counting()], leaseMs: 300 });
    await using two = run(other, { reactors: [counting()], leaseMs: 300 });
    const control = new ProcessorControl(other);
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, n) => store.append(notes.stream(String(n % 20)), note(1))));
      await until('some are handled', async () => (await control.progress(counting())).eventsFolded > 20);
      await Promise.all([control.rewind(counting()), new ProcessorControl(store).rewind(counting())]);
    }
    await until('all is handled', async () => (await control.progress(counting())).lagEvents === 0);
    expect([...one.failed, ...two.failed]).toEqual([]);
    const last = new Map((await collect(store.readCategory(said))).map(({ streamName, data: { seen } }) => [streamName, seen]));
    expect([...last.values()]).toEqual(Array.from({ length: 20 }, () => 20));
  });

  it("keeps its states and passes over what it has yet to handle, 'now'", async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(2));
    await handle(store, counting());
    await store.append(notes.stream('1'), someNotes(5));
    await new ProcessorControl(store).rewind(counting(), { to: 'now' });
    await store.append(notes.stream('1'), note(8));
    await handle(store, counting());
    expect(await seenIn(store)).toEqual([1, 2, 3]);
  });

  it('cannot be set to a place in between, for its states hold what comes behind', async () => {
    await using store = await openStore({ partitions: 1 });
    const { position } = await store.append(notes.stream('1'), someNotes(2));
    const control = new ProcessorControl(store);
    for (const to of [position, new Date()]) {
      const error = await errorOf(control.rewind(counting(), { to }));
      expect(error).toMatchObject({ code: 'invalid-input' });
      expect(error.message).toContain("'start' or 'now'");
    }
    expect(numbersOf(await collect(store.readCategory(notes)))).toEqual([1, 2]);
  });
});

it('carries an event out once where an attempt ran out of time on its way, and comes when the process has ended', async () => {
  const namespace = uniqueNamespace();
  await using own = await ownClient(testUrl());
  await using store = await openStoreOver(own, { namespace, partitions: 1 });
  await using onlooker = await openStore({ url: testUrl(), namespace });
  await onlooker.append(notes.stream('1'), note(1));
  const held = holdFirst(own, /:snapshot:counting@1:1/);
  const hurried = { ...counting({ last: 1 }), timeoutMs: 100, retry: { attempts: 5, minDelayMs: 1, maxDelayMs: 1 } };
  await using processor = new StreamProcessor(store, { reactors: [hurried] });
  await processor.runUntilCaughtUp();
  expect(await seenIn(onlooker)).toEqual([0]);
  held.release();
  await held.done;
  const left = async (): Promise<string[]> => (await keysIn(namespace, testUrl())).filter((key) => /:(snapshot|reactions):counting@1/.test(key));
  await until('nothing is left', async () => (await left()).length === 0);
  expect(await seenIn(onlooker)).toEqual([0]);
});

/** Holds the first script that writes along what matches, until it is told to send it. */
function holdFirst({ client }: OwnClient, matches: RegExp): { readonly release: () => void; readonly done: Promise<unknown> } {
  let release = (): void => {};
  let isDone = (_reply: unknown): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const done = new Promise((resolve) => (isDone = resolve));
  const sending = client as { sendCommand(...given: unknown[]): Promise<unknown> };
  const send = sending.sendCommand.bind(client);
  let isHeld = false;
  sending.sendCommand = async (...given) => {
    const [command] = given as [readonly unknown[] | { readonly name: string; readonly args: readonly unknown[] }];
    const words = 'args' in command ? [command.name, ...command.args] : command;
    const isStep = /^eval/i.test(String(words[0])) && String(words[4]).endsWith(':head') && matches.test(words.join(' '));
    if (isHeld || !isStep) return await send(...given);
    isHeld = true;
    await released;
    const reply = send(...given);
    isDone(reply);
    return await reply;
  };
  return { release, done };
}
