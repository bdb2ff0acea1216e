// A process that runs the projections, and says so where one stands still.
import { setTimeout as delay } from 'node:timers/promises';
import { LogLostError, StreamProcessor } from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import { buckets, tallies } from './model.ts';
import { aborted } from './stop.ts';
import { countsTwice } from './plants.ts';

/** How long after a projection stood still a new processor is tried, as a supervisor would. */
const RESTART_MS = 500;

export async function project({ store, settings: { name: who, leaseMs, plant }, recorder, stop }: Work): Promise<void> {
  const keyed = plant === 'counts-twice' ? countsTwice(tallies(1)) : tallies(1);
  while (!stop.aborted) {
    const processor = new StreamProcessor(store, { projections: [keyed, buckets(1)], leaseMs });
    const failed = new AbortController();
    processor.on('failed', ({ error }) => {
      recorder.write({ t: error instanceof LogLostError ? 'lost-log' : 'error', who, at: now(), message: String(error) });
      failed.abort();
    });
    processor.start();
    await aborted(AbortSignal.any([stop, failed.signal]));
    await processor.stop();
    if (!stop.aborted) await delay(RESTART_MS);
  }
}
