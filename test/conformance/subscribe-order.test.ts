// The case that loses events elsewhere: one script appends alternately to two categories while a reader waits on both.
import type { EventReader } from 'millrace';
import { expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { marks, type Noted, note, notes, openStore } from '../support/store.ts';

const ROUNDS = 2_000;
/** The embedded engine wakes a waiting reader only with its timer: there it is fewer rounds. */
const MOST_MS = 6_000;

test(`passes over nothing in ${ROUNDS} rounds, each of which finds it waiting`, async () => {
  const namespace = uniqueNamespace();
  await using writer = await openStore({ namespace, partitions: 1 });
  await using store = await openStore({ namespace, partitions: 1 });
  const subscription = (await store.subscribe({ categories: [notes, marks] })) as EventReader<Noted>;
  // Streams of the same category lie in one log: A, B, A, B, A in one script.
  const streams = [notes.stream('1'), marks.stream('1'), notes.stream('2'), marks.stream('2'), notes.stream('3')];
  let n = 0;
  const passedOver: number[] = [];
  const until = performance.now() + MOST_MS;
  for (let round = 0; round < ROUNDS && performance.now() < until; round += 1) {
    const first = subscription.next();
    const parts = streams.slice(0, 3 + (round % 3)).map((stream) => ({ stream, events: note((n += 1)) }));
    const expected = parts.map(({ events }) => events.data.n);
    await writer.appendAll(parts);
    const seen = [(await first).value?.data.n];
    while (seen.at(-1) !== n && seen.length < expected.length) seen.push((await subscription.next()).value?.data.n);
    if (JSON.stringify(seen) !== JSON.stringify(expected)) passedOver.push(...expected.filter((each) => !seen.includes(each)));
  }
  expect(passedOver).toEqual([]);
  await subscription.return();
}, 60_000);
