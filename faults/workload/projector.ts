// A process that runs the projections, and says so where one stands still.
import { LogLostError, StreamProcessor } from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import { buckets, tallies } from './model.ts';
import { aborted } from './stop.ts';
import { countsTwice } from './plants.ts';

export async function project({ store, settings: { name: who, leaseMs, plant }, recorder, stop }: Work): Promise<void> {
  const keyed = plant === 'counts-twice' ? countsTwice(tallies(1)) : tallies(1);
  const processor = new StreamProcessor(store, { projections: [keyed, buckets(1)], leaseMs });
  processor.on('failed', ({ error }) =>
    recorder.write({ t: error instanceof LogLostError ? 'lost-log' : 'error', who, at: now(), message: String(error) }),
  );
  processor.start();
  await aborted(stop);
  await processor.stop();
}
