// Kills and pauses processes in the middle of a rebuild, while events come: the new version is the pure fold, and equal to the one that serves.
import { setTimeout as delay } from 'node:timers/promises';
import { type AnyProjection, type DocumentDifference, ProcessorControl, serving, SnapshotStore, StreamProcessor } from 'millrace';
import { expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { documentFaults, foldAll, type Recorded } from '../support/history.ts';
import { until } from '../support/processors.ts';
import { openStore } from '../support/store.ts';
import { WorkerPool } from '../support/workers.ts';
import { buckets, bucketsNext, counted, NO_TALLY, tallied, tallies, talliesNext } from '../workers/tally.ts';
import { Feeder, LEASE_MS, someHeld } from './bench.ts';
import { isEmbedded, KILLS as KILLS_ASKED } from '../support/size.ts';

/** How often a process dies in the middle of the rebuild (more in .ci/run), and how many events there are to be killed in. */
const KILLS = Math.ceil(KILLS_ASKED / 2);
const PARTITIONS = 6;
const EVENTS_A_KILL = isEmbedded ? 1_000 : 3_000;
const EVENTS = EVENTS_A_KILL * KILLS;
/** So slow that the rebuild does not end before the last kill: three of them take about a second for the events of one. */
const RATE_OF_A_WORKER = isEmbedded ? EVENTS_A_KILL / 5 : 1_200;
/** One of them may have most partitions for a while, and more than half of the events are left after the last kill. */
const FOLDING_MS_MAX = 120_000;
const IDS = 500;

async function differences(
  control: ProcessorControl,
  [first, second]: readonly [AnyProjection, AnyProjection],
): Promise<DocumentDifference<unknown, unknown>[]> {
  const found: DocumentDifference<unknown, unknown>[] = [];
  for await (const each of control.compare(first, second, { limit: 5 })) found.push(each);
  return found;
}

test(`three processes rebuild a version beside the one that serves, and are killed ${KILLS} times`, {
  timeout: FOLDING_MS_MAX + KILLS * 8_000,
}, async () => {
  const namespace = uniqueNamespace('rebuild');
  await using raw = await connectRaw();
  await using store = await openStore({ namespace, partitions: PARTITIONS });
  let n = 0;
  const append = async (id: string): Promise<void> => void (await store.append(counted.stream(id), { type: 'Counted', data: { n: n++ } }));
  for (let from = 0; from < EVENTS; from += 1_000) await Promise.all(Array.from({ length: 1_000 }, (_, at) => append(String((from + at) % IDS))));
  await using serves = new StreamProcessor(store, { projections: [tallies, buckets] });
  await serves.runUntilCaughtUp().then(() => serves.stop());
  await using live = new StreamProcessor(store, { projections: [tallies, buckets] });
  live.start();

  const keys = new Keys(namespace, PARTITIONS);
  const leaseKeys = Array.from({ length: PARTITIONS }, (_, partition) => keys.checkpoint(partition, talliesNext.name, talliesNext.version));
  const settings = { url: testUrl(), namespace, library: testClient(), leaseMs: LEASE_MS, rebuildsAtRate: RATE_OF_A_WORKER };
  await using pool = new WorkerPool(raw, settings, leaseKeys);
  await pool.start(3);
  const feeder = new Feeder(append, { total: 200 * KILLS, perSecond: 100 });
  const control = new ProcessorControl(store);
  let [killed, paused] = [0, 0];
  let folded = 0;
  while (killed < KILLS) {
    const held = await someHeld(pool);
    const { worker } = held[0] as (typeof held)[number];
    const { lagEvents, eventsFolded } = await control.progress(talliesNext);
    if (lagEvents < 100) break;
    expect(eventsFolded).toBeGreaterThanOrEqual(folded); // goes on where it was
    folded = eventsFolded;
    if (killed % 4 === 3) {
      paused += 1;
      worker.kill('SIGSTOP');
      await pool.takenOver(held, LEASE_MS + 10_000);
      worker.kill('SIGCONT');
    } else {
      await pool.kill(worker);
      await pool.start();
    }
    killed += 1;
    await delay(Math.random() * 100);
  }
  await feeder.finish();
  for (const each of [talliesNext, bucketsNext, tallies, buckets])
    await until('all is folded', async () => (await control.progress(each)).lagEvents === 0, FOLDING_MS_MAX);
  await control.serve(talliesNext);
  console.log(`${killed - paused} kills and ${paused} pauses in a rebuild of ${n} events over ${PARTITIONS} partitions`);
  expect(killed).toBe(KILLS);
  expect(pool.unexpectedEnds).toEqual([]);
  await pool.stop();
  expect(await differences(control, [tallies, talliesNext])).toEqual([]);
  expect(await differences(control, [buckets, bucketsNext])).toEqual([]);
  const events: Recorded[] = [];
  for await (const event of store.readAll()) events.push(event);
  expect(events.length).toBe(n);
  const expected = foldAll(events, NO_TALLY, (tally, { streamVersion, data }) => tallied(tally, streamVersion, (data as { n: number }).n));
  const followed = serving(tallies, talliesNext);
  expect(documentFaults(await new SnapshotStore(store).getMany(followed, [...expected.keys()]), expected).slice(0, 5)).toEqual([]);
});
