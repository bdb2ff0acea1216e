// Runs a processor as a supervisor would: where something stands still, it says so, and after a while another processor is tried.
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AnyProjection,
  type EventStore,
  isMillraceError,
  LogLostError,
  ProcessorControl,
  StreamProcessor,
  type StreamProcessorOptions,
} from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import { aborted } from './stop.ts';

const RESTART_MS = 500;

export async function supervise({ store, settings: { name: who, leaseMs }, recorder, stop }: Work, options: StreamProcessorOptions): Promise<void> {
  while (!stop.aborted) {
    const processor = new StreamProcessor(store, { ...options, leaseMs });
    const failed = new AbortController();
    const lost = new Set<string>();
    processor.on('failed', ({ projection, error }) => {
      const isLost = error instanceof LogLostError;
      recorder.write({ t: isLost ? 'lost-log' : 'error', who, at: now(), message: String(error) });
      if (isLost && projection !== undefined) lost.add(projection);
      failed.abort();
    });
    processor.on('deadLetter', ({ reactor, error }) =>
      recorder.write({ t: 'error', who, at: now(), message: `${reactor} gave an event up, though each is tried again and again: ${String(error)}` }),
    );
    processor.start();
    await aborted(AbortSignal.any([stop, failed.signal]));
    await processor.stop();
    await rewound(store, options.projections?.filter(({ name }) => lost.has(name)) ?? [], stop);
    if (!stop.aborted) await delay(RESTART_MS);
  }
}

/** The way on from a lost log: what is left is folded again. Tried until it is done; faults may be in the way of that, too. */
async function rewound(store: EventStore, projections: readonly AnyProjection[], stop: AbortSignal): Promise<void> {
  for (const projection of projections) {
    for (let isDone = false; !isDone && !stop.aborted; ) {
      try {
        await new ProcessorControl(store).rewind(projection);
        isDone = true;
      } catch (error) {
        if (!isMillraceError(error)) throw error;
        await delay(RESTART_MS);
      }
    }
  }
}
