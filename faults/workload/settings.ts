// What a process of the workload is told, and what it tells while it runs.

import type { Target } from '../connect.ts';

/** A mistake that is built into the workload on purpose, for the checkers to find. None of them is in the library. */
export const PLANTS = ['no-deduplication', 'version-from-length', 'acknowledge-first', 'counts-twice'] as const;
export type Plant = (typeof PLANTS)[number];

export const ROLES = ['producer', 'projector', 'reactor', 'follower'] as const;
export type Role = (typeof ROLES)[number];

/** As JSON in MILLRACE_FAULTS. */
export interface Settings {
  readonly role: Role;
  /** Another one for each start: files of a process that was killed are not written to again. */
  readonly name: string;
  readonly target: Target;
  readonly namespace: string;
  readonly library: 'node-redis' | 'ioredis';
  /** Where histories go. */
  readonly folder: string;
  readonly seed: number;
  /** Operations a second, of one producer. */
  readonly rate: number;
  readonly leaseMs: number;
  readonly plant: Plant | undefined;
}

/** What a producer tells each second: so many operations so far. */
export interface Counts {
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
}

export function settingsOfThisProcess(): Settings {
  return JSON.parse(process.env['MILLRACE_FAULTS'] ?? '{}') as Settings;
}
