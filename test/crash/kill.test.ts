// Kills and pauses processes that run projections and imports, at random, and counts: every event once, whatever happened.
import { setTimeout as delay } from 'node:timers/promises';
import { StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { summaryOf } from '../support/workers.ts';
import { counted, countedFrom } from '../workers/tally.ts';
import { type Bench, checkExact, Feeder, LEASE_MS, openBench, someHeld } from './bench.ts';
import { KILLS } from '../support/size.ts';

/** So many kills (thirty in .ci/run); the events are spread over about the time that they take. */
const PAUSES = Math.ceil(KILLS / 5);
const EVENTS = KILLS * 2_000;
const EVENTS_A_SECOND = 3_000;
/** How long after a lease has run out another process may take to see it, on a busy machine. */
const SLACK_MS = 1_500;
const TIMEOUT_MS = 60_000 + KILLS * 4_000;

/** Appends events to uneven streams. */
function feed({ store }: Bench, total: number): Feeder {
  const append = async (id: string, n: number): Promise<void> => void (await store.append(counted.stream(id), { type: 'Counted', data: { n } }));
  return new Feeder(append, { total, perSecond: EVENTS_A_SECOND });
}

/** Kills a worker that holds a lease, again and again, each time another one in its place. How long each lease took to be taken over. */
async function killAgainAndAgain({ pool }: Bench, kills: number): Promise<number[]> {
  const took: number[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    const held = await someHeld(pool);
    await pool.kill((held[0] as (typeof held)[number]).worker);
    const restarted = pool.start();
    took.push(...(await pool.takenOver(held, LEASE_MS + 10_000)));
    await restarted;
    await delay(Math.random() * 100);
  }
  return took;
}

describe('three processes over six partitions', () => {
  test(`count every event once when one that holds a lease is killed, ${KILLS} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench();
    const feeder = feed(bench, EVENTS);
    const took = await killAgainAndAgain(bench, KILLS);
    await feeder.finish();
    console.log(`${KILLS} kills, ${feeder.acknowledged.length} events; leases of ${LEASE_MS} ms taken over after: ${summaryOf(took)}`);
    await checkExact(bench, feeder.acknowledged);
    expect(Math.max(...took)).toBeLessThan(LEASE_MS + SLACK_MS);
  });

  test(`count every event once when one is paused past its lease and goes on, ${PAUSES} times`, { timeout: TIMEOUT_MS }, async () => {
    await using bench = await openBench();
    const { pool } = bench;
    const feeder = feed(bench, EVENTS / 5);
    const took: number[] = [];
    for (let pause = 0; pause < PAUSES; pause += 1) {
      const held = await someHeld(pool);
      const [{ worker }] = held as [(typeof held)[number]];
      worker.kill('SIGSTOP');
      took.push(...(await pool.takenOver(held, LEASE_MS + 10_000)));
      await delay(Math.random() * 200);
      worker.kill('SIGCONT');
      await delay(Math.random() * 200);
    }
    await feeder.finish();
    console.log(`${PAUSES} pauses, ${feeder.acknowledged.length} events; leases taken over after: ${summaryOf(took)}`);
    await checkExact(bench, feeder.acknowledged);
  });

  test('import every entry once when the one that imports is killed', { timeout: TIMEOUT_MS }, async () => {
    const key = uniqueNamespace('foreign');
    await using bench = await openBench(key);
    const { raw } = bench;
    const feeder = new Feeder(async (id, n) => void (await raw.send('XADD', key, '*', 'id', id, 'n', String(n))), {
      total: EVENTS / 5,
      perSecond: EVENTS_A_SECOND,
    });
    const took = await killAgainAndAgain(bench, Math.ceil(KILLS / 10));
    await feeder.finish();
    console.log(
      `${Math.ceil(KILLS / 10)} kills of the one that imports, ${feeder.acknowledged.length} entries; taken over after: ${summaryOf(took)}`,
    );
    await new StreamProcessor(bench.store, { sources: [countedFrom(key)], leaseMs: LEASE_MS }).runUntilCaughtUp();
    await checkExact(bench, feeder.acknowledged);
    await raw.send('DEL', key);
  });
});
