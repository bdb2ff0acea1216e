// Commits are bounded, for Redis does nothing else while it stores one.
import { projection, projectionLimits, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { testUrl } from '../support/clients.ts';
import { project } from '../support/processors.ts';
import { note, notes, openStoreOver, ownClient, someNotes } from '../support/store.ts';

/** The sizes of the commits among some commands. */
function commitSizes(sent: readonly (readonly string[])[]): number[] {
  return sent
    .filter((command) => command.some((arg) => arg.includes(':committed:')))
    .map((command) => command.reduce((sum, arg) => sum + arg.length, 0));
}

describe('a commit', () => {
  test.each([
    ['of documents that are new', 1],
    ['of documents that are there already', 2],
  ])('is cut at about a MiB of changed documents: %s', async (_, rounds) => {
    await using own = await ownClient(testUrl());
    await using store = await openStoreOver(own);
    const large = projection({
      name: 'large',
      categories: [notes],
      initialState: () => ({ n: 0, text: '' }),
      evolve: (_state, event) => ({ n: event.data.n, text: 'x'.repeat(50_000) }),
    });
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(Array.from({ length: 400 }, (_unused, n) => store.append(notes.stream(String(n)), note(round))));
      own.sent.length = 0;
      await project(store, large);
    }
    const sizes = commitSizes(own.sent);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(400 * 50_000);
    // What new documents grow to is known from the second commit on; the first page holds 100 events.
    const [first = 0, ...others] = sizes;
    expect(first).toBeLessThan(100 * 51_000);
    expect(Math.max(...others)).toBeLessThan(projectionLimits.commitBytes * 1.2);
    expect(await new SnapshotStore(store).get(large, '399')).toEqual({ n: rounds - 1, text: 'x'.repeat(50_000) });
  });

  test('holds each changed document once, however many events changed it', async () => {
    await using own = await ownClient(testUrl());
    await using store = await openStoreOver(own);
    await store.append(notes.stream('1'), someNotes(1_000));
    const large = projection({
      name: 'large',
      categories: [notes],
      initialState: () => '',
      evolve: (_, event) => `${event.data.n}${'x'.repeat(10_000)}`,
    });
    await project(store, large);
    expect(commitSizes(own.sent).length).toBeLessThan(10);
    expect((await new SnapshotStore(store).get(large, '1'))?.slice(0, 5)).toBe('1000x');
  });

  test('is none where nothing came', async () => {
    await using own = await ownClient(testUrl());
    await using store = await openStoreOver(own);
    await project(store, projection({ name: 'idle', categories: [notes], initialState: () => 0, evolve: (n) => n }));
    expect(commitSizes(own.sent)).toEqual([]);
  });
});
