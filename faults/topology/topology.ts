// What a run stands on: servers, how the processes reach them, and which faults can be made of that.
import type { Fault, Unavailable } from '../schedule.ts';

export const TOPOLOGIES = ['single', 'replica'] as const;
export type TopologyName = (typeof TOPOLOGIES)[number];

export interface Topology extends AsyncDisposable {
  readonly description: string;
  /** How the processes reach it. */
  readonly url: string;
  /** How the run itself does, past the faults, once they have healed. */
  readonly directUrl: string;
  /** Processes in a network of their own, where there is one. */
  readonly elsewhere: { readonly prefix: readonly string[]; readonly url: string } | undefined;
  readonly faults: readonly Fault[];
  readonly unavailable: readonly Unavailable[];
  /** Failovers so far that may have lost what was acknowledged. */
  readonly failovers: number;
}
