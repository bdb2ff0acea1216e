// Runs a processor as a supervisor would: where something stands still, it says so, and after a while another processor is tried.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, isMillraceError, LogLostError, ProcessorControl, StreamProcessor, type StreamProcessorOptions } from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import { aborted } from './stop.ts';

const RESTART_MS = 500;
/** Back to before the loss: that was noticed as soon as there was a primary again. */
const REWIND_MS = 30_000;

export async function supervise({ store, settings: { name: who, leaseMs }, recorder, stop }: Work, options: StreamProcessorOptions): Promise<void> {
  while (!stop.aborted) {
    const processor = new StreamProcessor(store, { ...options, leaseMs });
    const failed = new AbortController();
    const lost = new Set<string>();
    processor.on('failed', ({ projection, reactor, error }) => {
      const what = projection ?? reactor ?? '';
      const isLost = error instanceof LogLostError;
      recorder.write({ t: isLost ? 'lost-log' : 'error', who, what, at: now(), message: String(error) });
      if (isLost) lost.add(what);
      failed.abort();
    });
    processor.on('deadLetter', ({ reactor, error }) =>
      recorder.write({ t: 'error', who, at: now(), message: `${reactor} gave an event up, though each is tried again and again: ${String(error)}` }),
    );
    processor.start();
    await aborted(AbortSignal.any([stop, failed.signal]));
    await processor.stop();
    await rewound(store, lost, options, stop);
    if (!stop.aborted) await delay(RESTART_MS);
  }
}

/** The way on from a lost log: what is left is folded again, and what may not have been handled is handled again. */
async function rewound(
  store: EventStore,
  lost: ReadonlySet<string>,
  { projections = [], reactors = [] }: StreamProcessorOptions,
  stop: AbortSignal,
): Promise<void> {
  const control = new ProcessorControl(store);
  const rewinds = [
    ...projections.filter(({ name }) => lost.has(name)).map((projection) => () => control.rewind(projection)),
    ...reactors.filter(({ name }) => lost.has(name)).map((reactor) => () => control.rewind(reactor, { to: new Date(Date.now() - REWIND_MS) })),
  ];
  for (const rewind of rewinds) await tried(rewind, stop);
}

/** Until it is done: faults may be in the way of that, too. */
async function tried(rewind: () => Promise<void>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      return await rewind();
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      await delay(RESTART_MS);
    }
  }
}
