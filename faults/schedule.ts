// The schedule of a run: which fault begins when and lasts how long, from the seed alone.
import type { Random } from './random.ts';
import { randomFrom } from './random.ts';

/** Faults of one lane come one after another; those of different lanes overlap. */
export const LANES = ['processes', 'network', 'server'] as const;
export type Lane = (typeof LANES)[number];

/** Something that can be done to a run, and undone. */
export interface Fault {
  readonly kind: string;
  readonly lane: Lane;
  /** How long it may last, in milliseconds. */
  readonly lastsMs: readonly [min: number, max: number];
  /** Makes the fault, keeps it for so long, and heals it: resolves when everything is as it was. Choices are drawn from `random`. */
  inject(random: Random, lastsMs: number): Promise<void>;
}

/** A fault that cannot be made here. */
export interface Unavailable {
  readonly kind: string;
  readonly why: string;
}

export interface Scheduled {
  readonly fault: Fault;
  readonly atMs: number;
  readonly lastsMs: number;
  /** For the choices that it makes. */
  readonly seed: number;
}

const GAP_MS = [300, 2_500] as const;

/** For each lane its faults in the order of their time. Each kind comes once before any comes again. */
export function scheduleOf(faults: readonly Fault[], seed: number, forMs: number): ReadonlyMap<Lane, readonly Scheduled[]> {
  return new Map(
    LANES.map((lane, index) => [
      lane,
      laneOf(
        faults.filter((fault) => fault.lane === lane),
        randomFrom(seed + index * 7_919),
        forMs,
      ),
    ]),
  );
}

function laneOf(faults: readonly Fault[], random: Random, forMs: number): Scheduled[] {
  const scheduled: Scheduled[] = [];
  if (faults.length === 0) return scheduled;
  let round: Fault[] = [];
  for (let atMs = between(random, GAP_MS); atMs < forMs; ) {
    if (round.length === 0) round = shuffled(faults, random);
    const fault = round.pop() as Fault;
    const lastsMs = Math.min(between(random, fault.lastsMs), Math.max(0, forMs - atMs));
    scheduled.push({ fault, atMs, lastsMs, seed: random.below(2 ** 31) });
    atMs += lastsMs + between(random, GAP_MS);
  }
  return scheduled;
}

function between(random: Random, [min, max]: readonly [number, number]): number {
  return min + random.below(max - min + 1);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return Array.from(items, () => left.splice(random.below(left.length), 1)[0] as T);
}
