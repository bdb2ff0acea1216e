// Runs a processor as a supervisor would: where something stands still, it says so, and after a while another processor is tried.
import { setTimeout as delay } from 'node:timers/promises';
import { LogLostError, StreamProcessor, type StreamProcessorOptions } from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import { aborted } from './stop.ts';

const RESTART_MS = 500;

export async function supervise({ store, settings: { name: who, leaseMs }, recorder, stop }: Work, options: StreamProcessorOptions): Promise<void> {
  while (!stop.aborted) {
    const processor = new StreamProcessor(store, { ...options, leaseMs });
    const failed = new AbortController();
    processor.on('failed', ({ error }) => {
      recorder.write({ t: error instanceof LogLostError ? 'lost-log' : 'error', who, at: now(), message: String(error) });
      failed.abort();
    });
    processor.on('deadLetter', ({ reactor, error }) =>
      recorder.write({ t: 'error', who, at: now(), message: `${reactor} gave an event up, though each is tried again and again: ${String(error)}` }),
    );
    processor.start();
    await aborted(AbortSignal.any([stop, failed.signal]));
    await processor.stop();
    if (!stop.aborted) await delay(RESTART_MS);
  }
}
