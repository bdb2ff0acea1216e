// What executing a command promises: decided on the newest state, again from what was missed, and rejected by the domain alone.
import { category, type Decider, type Event, IdempotencyKeyReusedError, ServerRefusedError, VersionConflictError } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, testUrl, uniqueNamespace } from '../support/clients.ts';
import { collect, errorOf, marks, note, openStore, openStoreOver, ownClient, type OwnClient } from '../support/store.ts';

type Moved = Event<'Paid' | 'Taken', { readonly amount: number }>;
type Command = { readonly pay: number } | { readonly take: number } | 'nothing';

const accounts = category<Moved>('accounts');

class Rejected extends Error {}

interface Options {
  readonly snapshot?: { readonly name: string; readonly version: number; readonly everyEvents?: number };
  readonly cachedStates?: number;
  readonly beforeDeciding?: (state: number) => void;
  readonly weight?: number;
}

/** An account: a balance that never goes below zero. */
function accountant({ beforeDeciding, weight = 1, ...options }: Options = {}): Decider<Moved, Command, { balance: number }> {
  return accounts.decider({
    initialState: () => ({ balance: 0 }),
    evolve: ({ balance }, { type, data }) => ({ balance: balance + weight * (type === 'Paid' ? data.amount : -data.amount) }),
    decide: (command: Command, { balance }) => {
      beforeDeciding?.(balance);
      if (command === 'nothing') return [];
      if ('pay' in command) return [{ type: 'Paid', data: { amount: command.pay } }];
      if (command.take > balance) throw new Rejected(`no ${command.take} of ${balance}`);
      return [{ type: 'Taken', data: { amount: command.take } }];
    },
    ...options,
  });
}

/** How often the script that loads a state was sent. */
function loadsOf({ sent }: OwnClient): number {
  return sent.filter(([name, , , key]) => name === 'EVALSHA' && key?.includes(':snapshot:')).length;
}

let own: OwnClient;
let namespace: string;

beforeEach(async () => {
  namespace = uniqueNamespace();
  own = await ownClient(testUrl());
});

afterEach(() => own[Symbol.asyncDispose]());

describe('a command', () => {
  test('is decided on the state so far, and comes back with its events, the state after them and where they stand', async () => {
    await using store = await openStore();
    expect(await store.execute(accountant(), '1', { pay: 10 })).toMatchObject({ state: { balance: 10 }, streamVersion: 1, isRepeated: false });
    const result = await store.execute(accountant(), '1', { take: 4 });
    expect(result).toMatchObject({ events: [{ type: 'Taken', data: { amount: 4 } }], state: { balance: 6 }, streamVersion: 2 });
    expect((await collect(store.readAll())).at(-1)?.position).toBe(result.position);
  });

  test('that decides nothing appends nothing', async () => {
    await using store = await openStore();
    expect(await store.execute(accountant(), '1', 'nothing')).toMatchObject({
      events: [],
      state: { balance: 0 },
      streamVersion: 0,
      position: undefined,
    });
    const { position } = await store.execute(accountant(), '1', { pay: 1 });
    expect(await store.execute(accountant(), '1', 'nothing')).toMatchObject({ events: [], state: { balance: 1 }, streamVersion: 1, position });
    expect(await collect(store.readAll())).toHaveLength(1);
  });

  test("that is rejected rejects with the domain's own error, untouched", async () => {
    await using store = await openStore();
    await store.execute(accountant(), '1', { pay: 1 });
    const error = await errorOf(store.execute(accountant(), '1', { take: 2 }));
    expect(error).toBeInstanceOf(Rejected);
    expect(error.message).toBe('no 2 of 1');
    expect(await collect(store.readAll())).toHaveLength(1);
  });

  test('is decided again from the events that it missed, without another read', async () => {
    await using store = await openStoreOver(own, { namespace });
    await using other = await openStore({ url: testUrl(), namespace });
    let decided = 0;
    const decider = accountant({ beforeDeciding: () => (decided += 1) });
    await other.execute(accountant(), '2', 'nothing'); // from now on the server knows the scripts
    // Many at once: each but the first meets conflicts.
    await Promise.all(Array.from({ length: 20 }, () => store.execute(decider, '1', { pay: 1 })));
    expect(decided).toBeGreaterThan(20);
    expect(loadsOf(own)).toBe(20);
    expect(await other.execute(decider, '1', 'nothing')).toMatchObject({ state: { balance: 20 }, streamVersion: 20 });
  });

  test('is read again where more was missed than a conflict tells', async () => {
    await using store = await openStore({ namespace, partitions: 1 });
    let once = true;
    const decider = accountant();
    const slow: typeof decider = {
      ...decider,
      evolve: (state, event) => {
        // Appended between the load and the append of this command: nothing awaits in between, so it stands before it in the batch.
        if (once) {
          once = false;
          void store.append(
            accounts.stream('1'),
            Array.from({ length: 150 }, () => ({ type: 'Paid' as const, data: { amount: 1 } })),
          );
        }
        return decider.evolve(state, event);
      },
    };
    expect(await store.execute(slow, '1', { pay: 1 })).toMatchObject({ state: { balance: 151 }, streamVersion: 151 });
  });

  test('gives up after as many attempts as were asked for, with the last conflict', async () => {
    await using store = await openStore();
    const decider = accountant();
    let attempts = 0;
    const unlucky: typeof decider = {
      ...decider,
      decide: (command, state) => {
        attempts += 1;
        void store.append(accounts.stream('1'), { type: 'Paid', data: { amount: 1 } });
        return decider.decide(command, state);
      },
    };
    expect(await errorOf(store.execute(unlucky, '1', { take: 0 }, { attempts: 3 }))).toBeInstanceOf(VersionConflictError);
    expect(attempts).toBe(3);
  });

  test('that comes to nothing checks its guards all the same', async () => {
    await using store = await openStore({ partitions: 1 });
    const guards = [{ stream: marks.stream('nobody'), expectedVersion: 'stream-exists' as const }];
    expect(await errorOf(store.execute(accountant(), '1', 'nothing', { guards }))).toMatchObject({ code: 'version-conflict', isGuard: true });
  });

  test('whose guard is not met is not decided again', async () => {
    await using store = await openStore();
    let decided = 0;
    const decider = accountant({ beforeDeciding: () => (decided += 1) });
    await store.append(marks.stream('1'), note(1));
    const guards = [{ stream: marks.stream('1'), expectedVersion: 'no-stream' as const }];
    expect(await errorOf(store.execute(decider, '1', { pay: 1 }, { guards }))).toMatchObject({ code: 'version-conflict', isGuard: true });
    expect(decided).toBe(1);
    expect(await collect(store.readStream(accounts.stream('1')))).toEqual([]);
  });

  test('never takes a balance below zero, however many come at once', async () => {
    await using store = await openStore();
    await store.execute(accountant(), '1', { pay: 10 });
    const decider = accountant({ cachedStates: 10 });
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => store.execute(decider, '1', { take: 1 })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(
      outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : [])).every((reason) => reason instanceof Rejected),
    ).toBe(true);
    expect((await store.execute(decider, '1', 'nothing')).state).toEqual({ balance: 0 });
  });

  test('whose events evolve cannot take appends nothing', async () => {
    await using store = await openStore();
    const decider = accountant({ snapshot: { name: 'accounts-state', version: 1, everyEvents: 1 } });
    const broken: typeof decider = {
      ...decider,
      evolve: () => {
        throw new TypeError('evolve');
      },
    };
    expect(await errorOf(store.execute(broken, '1', { pay: 1 }))).toBeInstanceOf(TypeError);
    expect(await collect(store.readAll())).toEqual([]);
  });
});

describe('a command with an idempotency key', () => {
  const key = { idempotencyKey: 'k' };

  test('that comes again has no second effect, and gets the first events', async () => {
    await using store = await openStore();
    const decider = accountant({ cachedStates: 10 });
    const first = await store.execute(decider, '1', { pay: 5 }, key);
    await store.execute(decider, '1', { take: 5 });
    const again = await store.execute(decider, '1', { pay: 5 }, key);
    expect(again).toMatchObject({ events: first.events, streamVersion: 1, position: first.position, token: first.token, isRepeated: true });
    expect(await collect(store.readAll())).toHaveLength(2);
  });

  test('is recognised also where it would be rejected by now: by its own effect', async () => {
    await using store = await openStore();
    await store.execute(accountant(), '1', { pay: 5 });
    const first = await store.execute(accountant(), '1', { take: 5 }, key);
    expect(await store.execute(accountant(), '1', { take: 5 }, key)).toMatchObject({ events: first.events, isRepeated: true });
  });

  test('is remembered also where it decided nothing', async () => {
    await using store = await openStore();
    expect(await store.execute(accountant(), '1', 'nothing', key)).toMatchObject({ events: [], streamVersion: 0, isRepeated: false });
    await store.execute(accountant(), '1', { pay: 1 });
    expect(await store.execute(accountant(), '1', 'nothing', key)).toMatchObject({ events: [], streamVersion: 0, isRepeated: true });
    expect(await collect(store.readAll())).toHaveLength(1);
  });

  test('is refused with another command', async () => {
    await using store = await openStore({ partitions: 1 });
    await store.execute(accountant(), '1', { pay: 1 }, key);
    expect(await errorOf(store.execute(accountant(), '1', { pay: 2 }, key))).toBeInstanceOf(IdempotencyKeyReusedError);
    expect(await errorOf(store.execute(accountant(), '2', { pay: 1 }, key))).toBeInstanceOf(IdempotencyKeyReusedError);
    expect(await collect(store.readAll())).toHaveLength(1);
  });

  test('that was rejected is decided again', async () => {
    await using store = await openStore();
    expect(await errorOf(store.execute(accountant(), '1', { take: 1 }, key))).toBeInstanceOf(Rejected);
    await store.execute(accountant(), '1', { pay: 1 });
    expect(await store.execute(accountant(), '1', { take: 1 }, key)).toMatchObject({ state: { balance: 0 }, isRepeated: false });
  });

  test('takes effect once, however many come at once', async () => {
    await using store = await openStore();
    const results = await Promise.all(Array.from({ length: 30 }, () => store.execute(accountant(), '1', { pay: 1 }, key)));
    expect(results.filter(({ isRepeated }) => !isRepeated)).toHaveLength(1);
    expect(new Set(results.map(({ position }) => position)).size).toBe(1);
    expect(await collect(store.readAll())).toHaveLength(1);
  });
});

describe('a state that is remembered', () => {
  test('in memory spares the load, and what was appended elsewhere is missed by nobody', async () => {
    await using store = await openStoreOver(own, { namespace });
    await using other = await openStore({ url: testUrl(), namespace });
    const decider = accountant({ cachedStates: 1 });
    await store.execute(decider, '1', { pay: 3 });
    own.sent.length = 0;
    await store.execute(decider, '1', { pay: 1 });
    expect(loadsOf(own)).toBe(0);
    await other.execute(accountant(), '1', { take: 4 });
    // The remembered balance is 4, the true one 0: it is not decided on what is old.
    expect(await errorOf(store.execute(decider, '1', { take: 1 }))).toBeInstanceOf(Rejected);
    await other.execute(accountant(), '1', { pay: 2 });
    expect(await store.execute(decider, '1', { take: 2 })).toMatchObject({ state: { balance: 0 }, streamVersion: 5 });
    // Rejected by what is remembered, accepted by what is true.
    await other.execute(accountant(), '1', { pay: 7 });
    expect(await store.execute(decider, '1', { take: 7 })).toMatchObject({ state: { balance: 0 } });
    expect(await store.execute(decider, '1', 'nothing')).toMatchObject({ streamVersion: 7 });
  });

  test('in Redis is read with its tail, and only in its version', async () => {
    await using raw = await connectRaw();
    await using store = await openStore({ namespace, partitions: 1 });
    const keys = new Keys(namespace, 1);
    const snapshot = { name: 'balances', version: 1, everyEvents: 3 };
    for (let i = 0; i < 7; i += 1) await store.execute(accountant({ snapshot }), '1', { pay: 1 });
    const stored = keys.snapshot(0, 'balances', 1, 'accounts:1');
    expect(await raw.send('HGET', stored, 'balance')).toBe('6');
    await raw.send('HSET', stored, 'balance', '1000');
    expect((await store.execute(accountant({ snapshot }), '1', 'nothing')).state).toEqual({ balance: 1001 });
    // The fold was changed: what the other version stored is not read.
    const doubled = accountant({ snapshot: { ...snapshot, version: 2 }, weight: 2 });
    expect((await store.execute(doubled, '1', 'nothing')).state).toEqual({ balance: 14 });
    expect(await store.execute(doubled, '1', { pay: 1 })).toMatchObject({ state: { balance: 16 }, streamVersion: 8 });
    expect(await raw.send('HGET', keys.snapshot(0, 'balances', 2, 'accounts:1'), 'balance')).toBe('16');
  });

  test('in Redis equals the fold of a stream of many pages', async () => {
    await using store = await openStore({ namespace });
    const many = Array.from({ length: 900 }, (_, n) => ({ type: 'Paid' as const, data: { amount: n } }));
    for (let i = 0; i < 3; i += 1) await store.append(accounts.stream('1'), many);
    const sum = (3 * (899 * 900)) / 2;
    expect(await store.execute(accountant(), '1', 'nothing')).toMatchObject({ state: { balance: sum }, streamVersion: 2_700 });
    const snapshot = { name: 'balances', version: 1 };
    await store.execute(accountant({ snapshot }), '1', { take: 1 });
    for (let i = 0; i < 2; i += 1) await store.append(accounts.stream('1'), many);
    expect(await store.execute(accountant({ snapshot }), '1', { pay: 1 })).toMatchObject({
      state: { balance: (5 * (899 * 900)) / 2 },
      streamVersion: 4_502,
    });
  });

  test('that cannot be read fails the command, and appends nothing', async () => {
    await using raw = await connectRaw();
    await using store = await openStore({ namespace, partitions: 1 });
    await raw.send('SET', new Keys(namespace, 1).snapshot(0, 'balances', 1, 'accounts:1'), 'no hash');
    const decider = accountant({ snapshot: { name: 'balances', version: 1 } });
    expect(await errorOf(store.execute(decider, '1', { pay: 1 }))).toBeInstanceOf(ServerRefusedError);
    expect(await collect(store.readAll())).toEqual([]);
  });
});
