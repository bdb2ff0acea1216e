// A process that runs the projections.
import type { Work } from './main.ts';
import { buckets, tallies } from './model.ts';
import { countsTwice } from './plants.ts';
import { supervise } from './supervise.ts';

export async function project(work: Work): Promise<void> {
  const keyed = work.settings.plant === 'counts-twice' ? countsTwice(tallies(1)) : tallies(1);
  await supervise(work, { projections: [keyed, buckets(1)] });
}
