// What a processor is told to run, and how.
import type { AnyProjection } from '../fold/projection.ts';
import type { Source } from '../fold/source.ts';
import type { Reactor } from '../reactor/reactor.ts';

/** What a processor runs. */
export interface StreamProcessorOptions {
  readonly projections?: readonly AnyProjection[];
  readonly reactors?: readonly Reactor[];
  readonly sources?: readonly Source[];
  /**
   * Whether it appends scheduled events when they are due, beside other processors that do. Default true: where no processor does, they
   * stay scheduled.
   */
  readonly deliverScheduled?: boolean;
  /**
   * How long another process waits, at most, before it takes over from one that died, in milliseconds. Default 4,000. A process that
   * stops gives its work back at once; one that is paused longer than this can store nothing any more.
   */
  readonly leaseMs?: number;
  /**
   * How many events this processor reads a second, at most, over all partitions; what several projections fold together counts once. For a
   * rebuild beside production, in a processor of its own. From 1; default: as many as it can.
   */
  readonly eventsPerSecond?: number;
}
