// What a run stands on: servers, how the processes reach them, and which faults can be made of that.
import type { Target } from '../connect.ts';
import type { Fault, Unavailable } from '../schedule.ts';

export const TOPOLOGIES = ['single', 'replica', 'sentinel', 'cluster'] as const;
export type TopologyName = (typeof TOPOLOGIES)[number];

export interface Topology extends AsyncDisposable {
  readonly description: string;
  /** How the processes reach it. */
  readonly target: Target;
  /** How the run itself does, past the faults, once they have healed. */
  readonly direct: Target;
  /** How many partitions the store gets. */
  readonly partitions: number;
  /** Processes in a network of their own, where there is one. */
  readonly elsewhere: { readonly prefix: readonly string[]; readonly target: Target } | undefined;
  readonly faults: readonly Fault[];
  readonly unavailable: readonly Unavailable[];
  /** Failovers so far that may have lost what was acknowledged. */
  readonly failovers: number;
}
