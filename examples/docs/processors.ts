// The documents' code about processors: start, stop, watch.
import { type EventStore, StreamProcessor } from 'millrace';
import { profiles } from './users.ts';

export function start(store: EventStore) {
  // #region start
  const processor = new StreamProcessor(store, { projections: [profiles], leaseMs: 5_000 });
  processor.on('failed', ({ projection, partition, error }) => console.error(projection, partition, error));
  processor.start();
  // #endregion
  return processor;
}

export async function stop(processor: StreamProcessor, store: EventStore) {
  // #region stop
  await processor.stop(); // stores the batch in hand and gives the work to other processes at once
  await store.close();
  // #endregion
}

// #region lag
/** True while every projection is less than a minute behind and none stands still. */
export async function isHealthy(processor: StreamProcessor): Promise<boolean> {
  const { projections, sources } = await processor.progress();
  for (const { projection, partition, lagEvents, lagMs, isRunHere } of projections) {
    console.log(`${projection} in partition ${partition}: ${lagEvents} events (${lagMs} ms) behind${isRunHere ? ', run here' : ''}`);
  }
  const isInTime = projections.every(({ lagMs, error }) => lagMs < 60_000 && error === undefined);
  return isInTime && sources.every(({ error }) => error === undefined);
}
// #endregion
