// A process that runs a processor until it is told to stop: the crash tests kill it and pause it.
import { StreamProcessor } from 'millrace';
import { openWorkerStore } from './connect.ts';
import { buckets, bucketsNext, countedFrom, tallies, talliesNext } from './tally.ts';

/** What a worker is told, as JSON in MILLRACE_WORKER. */
export interface WorkerSettings {
  readonly url: string;
  readonly namespace: string;
  readonly library: 'node-redis' | 'ioredis';
  readonly leaseMs: number;
  readonly sourceKey?: string;
  /** Runs the next version of its projections, and reads so many events a second. */
  readonly rebuildsAtRate?: number;
}

const { url, namespace, library, leaseMs, sourceKey, rebuildsAtRate } = JSON.parse(process.env['MILLRACE_WORKER'] ?? '{}') as WorkerSettings;
const store = await openWorkerStore({ url, namespace, library });
const sources = sourceKey === undefined ? [] : [countedFrom(sourceKey)];
const projections = rebuildsAtRate === undefined ? [tallies, buckets] : [talliesNext, bucketsNext];
const rate = rebuildsAtRate === undefined ? {} : { eventsPerSecond: rebuildsAtRate };
const processor = new StreamProcessor(store, { projections, sources, leaseMs, ...rate });
processor.on('failed', ({ error }) => {
  console.error(error);
  process.exit(1);
});
process.on('SIGTERM', () => void stop());
process.on('disconnect', orphaned);
processor.start();
process.send?.('started');

/** Nothing may outlive the test. */
function orphaned(): void {
  process.exit(2);
}

/** It has to end by itself then: nothing that was opened may keep it alive. */
async function stop(): Promise<void> {
  await processor.stop();
  await store.close();
  process.off('disconnect', orphaned);
  process.disconnect();
}
