// A decider's stored state belongs to the version of its fold: with another version it is folded again from the events, by itself.
import type { Decider } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { type Noted, note, notes, openStore, someNotes } from '../support/store.ts';

/** Version 1 adds the numbers up; version 2 counts the events too. */
interface Added {
  readonly sum: number;
  readonly events?: number;
}

function adder(version: number): Decider<Noted, number, Added> {
  return notes.decider({
    initialState: (): Added => (version === 1 ? { sum: 0 } : { sum: 0, events: 0 }),
    evolve: ({ sum, events = Number.NaN }: Added, event: Noted): Added =>
      version === 1 ? { sum: sum + event.data.n } : { sum: sum + event.data.n, events: events + 1 },
    decide: (n: number) => [note(n)],
    snapshot: { name: 'adder', version, everyEvents: 10 },
  });
}

describe("an aggregate's stored state", () => {
  test('is folded again from all events when the version of its fold changed, and is stored under the new one', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await store.append(notes.stream('1'), someNotes(300));
    expect((await store.execute(adder(1), '1', 1)).state).toEqual({ sum: 45_151 });
    const key = (version: number): string => `{${namespace}:0}:snapshot:adder@${version}:notes:1`;
    expect(await raw.send('HMGET', key(1), 'sum', 'events', ':version')).toEqual(['45151', null, '301']);
    // A state of version 1 in version 2 would give NaN events.
    expect(await store.execute(adder(2), '1', 2)).toMatchObject({ state: { sum: 45_153, events: 302 }, streamVersion: 302 });
    expect(await raw.send('HMGET', key(2), 'sum', 'events', ':version')).toEqual(['45153', '302', '302']);
    expect(await raw.send('HMGET', key(1), 'sum', ':version')).toEqual(['45151', '301']);
  });

  test('of the version before is still good for a process that has that one, with the events that came since', async () => {
    await using store = await openStore();
    await store.append(notes.stream('1'), someNotes(20));
    await store.execute(adder(1), '1', 0);
    await store.execute(adder(2), '1', 0);
    await store.append(notes.stream('1'), note(5));
    expect((await store.execute(adder(1), '1', 1)).state).toEqual({ sum: 216 });
    expect((await store.execute(adder(2), '1', 1)).state).toEqual({ sum: 217, events: 25 });
  });

  test('is really read where its version is the same', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await store.append(notes.stream('1'), someNotes(20));
    await store.execute(adder(1), '1', 0);
    await raw.send('HSET', `{${namespace}:0}:snapshot:adder@1:notes:1`, 'sum', '1000');
    expect((await store.execute(adder(1), '1', 1)).state).toEqual({ sum: 1_001 });
  });
});
