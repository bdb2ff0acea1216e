// A process that runs the reactor of the crash tests until it is told to stop: they kill it and pause it in the middle of handlers.
import { createClient } from '@redis/client';
import { type EventStore, StreamProcessor } from 'millrace';
import { openWorkerStore, type WorkerStore } from './connect.ts';
import { effects } from './effects.ts';

/** What it is told, as JSON in MILLRACE_WORKER. */
export interface ReactorWorkerSettings extends WorkerStore {
  readonly leaseMs: number;
  /** The list that effects are added to, on the server at `url`. */
  readonly effectsKey: string;
  readonly isMended: boolean;
  /** How long batches are remembered, which must not matter. */
  readonly writerTtlMs: number;
}

const settings = JSON.parse(process.env['MILLRACE_WORKER'] ?? '{}') as ReactorWorkerSettings;
const { url, effectsKey, leaseMs, isMended } = settings;
process.on('disconnect', orphaned);
const outside = await createClient({ url }).connect();
const store: EventStore = await openWorkerStore({ url, namespace: settings.namespace, library: settings.library, writerTtlMs: settings.writerTtlMs });
const reactor = effects((effect) => outside.rPush(effectsKey, JSON.stringify(effect)), isMended);
const processor = new StreamProcessor(store, { reactors: [reactor], leaseMs });
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
  outside.destroy();
  process.off('disconnect', orphaned);
  process.disconnect();
}
