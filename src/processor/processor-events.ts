// What a processor tells while it runs, and who listens.
import type { RecordedEvent } from '../event.ts';

/** What a processor tells while it runs. */
export interface ProcessorEvents {
  /** A commit: so many events of a projection were folded and stored. */
  readonly progress: { readonly projection: string; readonly version: number; readonly partition: number; readonly events: number };
  /** A commit: a reactor's checkpoint passed so many events. */
  readonly reacted: { readonly reactor: string; readonly version: number; readonly partition: number; readonly events: number };
  /** A reactor gave an event up: it is a dead letter now. */
  readonly deadLetter: {
    readonly reactor: string;
    readonly version: number;
    readonly partition: number;
    readonly event: RecordedEvent;
    readonly error: unknown;
  };
  /** A projection or reactor stands still in a partition, or a source: its code, its log or its documents need somebody. The rest goes on. */
  readonly failed: {
    readonly projection?: string;
    readonly reactor?: string;
    readonly source?: string;
    readonly partition?: number;
    readonly error: unknown;
  };
}

export type Listener<Name extends keyof ProcessorEvents> = (event: ProcessorEvents[Name]) => void;
type Listeners = { readonly [Name in keyof ProcessorEvents]: Set<Listener<Name>> };

/** The listeners of one processor. */
export class ProcessorListeners {
  readonly #listeners: Listeners = { progress: new Set(), reacted: new Set(), deadLetter: new Set(), failed: new Set() };

  /** The result stops listening. */
  add<Name extends keyof ProcessorEvents>(name: Name, listener: Listener<Name>): () => void {
    this.#listeners[name].add(listener);
    return () => {
      this.#listeners[name].delete(listener);
    };
  }

  /** Whether somebody heard it. */
  tell<Name extends keyof ProcessorEvents>(name: Name, event: ProcessorEvents[Name]): boolean {
    const listeners: ReadonlySet<Listener<Name>> = this.#listeners[name];
    for (const listener of listeners) callSafely(() => listener(event));
    return listeners.size > 0;
  }
}

/** A listener that throws is no reason to stop folding. */
function callSafely(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
