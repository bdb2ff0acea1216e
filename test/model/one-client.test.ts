// A store does what its model does, over thousands of random commands of one client; and the model's test finds planted faults.
import fc from 'fast-check';
import type { AppendOptions, EventStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { openStore } from '../support/store.ts';
import { allSteps, checkEnd, type Subject, type World } from './commands.ts';
import { COMMANDS } from './size.ts';
import { StoreModel } from './store-model.ts';

/** So many runs at once, each on a store of its own: one alone waits for the engine most of the time. */
const RUNS_AT_ONCE = 8;

interface ModelOptions {
  readonly seed: number;
  readonly commandsMin: number;
  readonly disturb?: (store: EventStore) => Subject;
  /** Whether to look for the shortest commands that fail. */
  readonly shrinks?: boolean;
}

/** Runs random commands, so many at least, on new stores; how many they were. Fails with the seed and the shortest commands that it finds. */
async function runModel({ seed, commandsMin, disturb = (store) => store, shrinks = true }: ModelOptions): Promise<number> {
  let count = 0;
  let runs = 0;
  const property = fc.asyncProperty(fc.commands(allSteps, { maxCommands: 400, size: 'max' }), async (commands) => {
    await using store = await openStore({ partitions: 1 });
    const subject = disturb(store);
    const world: World = { model: new StoreModel(), asked: [], count: 0 };
    try {
      await fc.asyncModelRun(() => ({ model: world, real: subject }), commands);
      await checkEnd(world, subject);
    } finally {
      count += world.count;
    }
  });
  const worker = async (): Promise<void> => {
    while (count < commandsMin)
      await fc.assert(property, { seed: seed + runs++, numRuns: 1, endOnFailure: !shrinks, interruptAfterTimeLimit: 20_000 });
  };
  await Promise.all(Array.from({ length: RUNS_AT_ONCE }, worker));
  return count;
}

test(`a store does what its model does, over ${COMMANDS} commands`, async () => {
  const seed = Date.now() % 2 ** 31;
  const count = await runModel({ seed, commandsMin: COMMANDS });
  console.log(`model: ${count} commands, seed ${seed}`);
  expect(count).toBeGreaterThanOrEqual(COMMANDS);
}, 300_000);

/** The store with some of its methods replaced. */
function faulty(store: EventStore, methods: Partial<Subject>): Subject {
  const sound: Subject = {
    append: (stream, events, options) => store.append(stream, events, options),
    appendAll: (parts, options) => store.appendAll(parts, options),
    execute: (decider, id, command, options) => store.execute(decider, id, command, options),
    readStream: (stream, options) => store.readStream(stream, options),
    readAll: (options) => store.readAll(options),
    readCategory: (category, options) => store.readCategory(category, options),
  };
  return { ...sound, ...methods };
}

function without(name: keyof AppendOptions, options: AppendOptions = {}): AppendOptions {
  return Object.fromEntries(Object.entries(options).filter(([each]) => each !== name));
}

describe('the test with the model finds', () => {
  const faults: readonly [string, (store: EventStore) => Subject][] = [
    [
      'an append that forgets its idempotency key',
      (store) => faulty(store, { append: (stream, events, options) => store.append(stream, events, without('idempotencyKey', options)) }),
    ],
    [
      'an append that passes over its guards',
      (store) => faulty(store, { append: (stream, events, options) => store.append(stream, events, without('guards', options)) }),
    ],
    [
      'an append that takes any version for the right one',
      (store) => faulty(store, { append: (stream, events, options) => store.append(stream, events, { ...options, expectedVersion: 'any' }) }),
    ],
    [
      'an append that is done twice',
      (store) =>
        faulty(store, {
          append: async (stream, events, options) => await store.append(stream, events, options).then(() => store.append(stream, events, options)),
        }),
    ],
    [
      'a read that ends an event too early',
      (store) =>
        faulty(store, { readAll: (options) => store.readAll({ ...options, limit: (options?.limit ?? 1_000_000) > 5 ? 5 : (options?.limit ?? 5) }) }),
    ],
    [
      'a read that goes the wrong way',
      (store) => faulty(store, { readStream: (stream, options) => store.readStream(stream, { ...options, direction: 'forward' }) }),
    ],
  ];

  test.each(faults)('%s', async (_, disturb) => {
    const found = await runModel({ seed: 1, commandsMin: 3_000, disturb, shrinks: false }).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(Error);
    expect((found as Error).message).toMatch(/seed: \d/);
  });
});
