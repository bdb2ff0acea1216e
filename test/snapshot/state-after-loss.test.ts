// A decider's state that holds events which are gone, as a failover leaves it, is not decided on, and what was is not appended.
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { note, notes, openStore } from '../support/store.ts';

const summing = notes.decider({
  initialState: () => 0,
  evolve: (sum: number, event) => sum + event.data.n,
  decide: (numbers: readonly number[]) => numbers.map((n) => note(n)),
  snapshot: { name: 'summing', version: 1, everyEvents: 2 },
});

/** The same, kept in memory. */
const remembering = notes.decider({ ...summing, cachedStates: 10 });

/** Five events, of which the state holds four; then the last ones are gone, and what was written of the state stays. */
async function loseLast(count: number) {
  const namespace = uniqueNamespace();
  const store = await openStore({ namespace, partitions: 1 });
  for (const n of [1, 2, 3, 4, 5]) await store.execute(summing, '1', [n]);
  await using raw = await connectRaw();
  const index = `{${namespace}:0}:stream:notes:1`;
  for (let lost = 0; lost < count; lost += 1) await raw.send('RPOP', index);
  return store;
}

describe('a command on a stream whose last events are gone', () => {
  test('is decided on what is left, where the stored state holds more than that', async () => {
    await using store = await loseLast(3);
    const { state, streamVersion } = await store.execute(summing, '1', []);
    expect([state, streamVersion]).toEqual([1 + 2, 2]);
  });

  test('is decided on what is there, where others were written in their place', async () => {
    await using store = await loseLast(3);
    for (const n of [10, 20, 30]) await store.append(notes.stream('1'), note(n));
    expect((await store.execute(summing, '1', [])).state).toBe(1 + 2 + 10 + 20 + 30);
    // The state is stored again, of the events that are there.
    await store.execute(summing, '1', [100]);
    expect((await store.execute(summing, '1', [])).state).toBe(163);
  });

  test('uses the stored state, where all that it holds is there', async () => {
    await using store = await loseLast(1);
    const { state, streamVersion } = await store.execute(summing, '1', [7]);
    expect([state, streamVersion]).toEqual([1 + 2 + 3 + 4 + 7, 5]);
  });

  test('is not appended to events that it was not decided on, though their number is the same', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using other = await openStore({ namespace, partitions: 1 });
    for (const n of [1, 2, 3]) await store.execute(remembering, '1', [n]);
    await using raw = await connectRaw();
    await raw.send('RPOP', `{${namespace}:0}:stream:notes:1`);
    await other.append(notes.stream('1'), note(30));
    for (const numbers of [[7], [8, 9]]) await store.execute(remembering, '1', numbers);
    expect((await store.execute(remembering, '1', [10])).state).toBe(1 + 2 + 30 + 7 + 8 + 9 + 10);
  });
});
