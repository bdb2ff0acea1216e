// A process that rewinds or drops something, and is killed in the middle of that.
import { ProcessorControl } from 'millrace';
import { openWorkerStore, type WorkerStore } from './connect.ts';
import { stubborn, stubbornManager } from './stubborn.ts';
import { tallies } from './tally.ts';

/** What it is told, as JSON in MILLRACE_WORKER. */
export interface ControlWorkerSettings extends WorkerStore {
  readonly what: 'rewind' | 'drop';
  readonly target: 'projection' | 'reactor' | 'process manager';
}

const { what, target, ...where } = JSON.parse(process.env['MILLRACE_WORKER'] ?? '{}') as ControlWorkerSettings;
process.on('disconnect', () => process.exit(2)); // nothing may outlive the test
const store = await openWorkerStore(where);
const control = new ProcessorControl(store);
const targets = { projection: tallies, reactor: stubborn(true), 'process manager': stubbornManager(true) };
process.send?.('started');
await control[what](targets[target]);
process.send?.('done');
