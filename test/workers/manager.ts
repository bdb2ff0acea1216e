// A process that runs the process manager of the crash tests until it is told to stop: they kill it and pause it.
import { StreamProcessor } from 'millrace';
import { openWorkerStore, type WorkerStore } from './connect.ts';
import { saga } from './saga.ts';

/** What it is told, as JSON in MILLRACE_WORKER. */
export interface ManagerWorkerSettings extends WorkerStore {
  readonly runs: 'manager';
  readonly leaseMs: number;
  readonly isMended: boolean;
}

const { leaseMs, isMended, url, namespace, library } = JSON.parse(process.env['MILLRACE_WORKER'] ?? '{}') as ManagerWorkerSettings;
process.on('disconnect', orphaned);
const store = await openWorkerStore({ url, namespace, library });
const processor = new StreamProcessor(store, { reactors: [saga(isMended)], leaseMs });
processor.on('failed', ({ error }) => {
  console.error(error);
  process.exit(1);
});
process.on('SIGTERM', () => void stop());
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
