// What a figure is, and how it is measured: two sides in turn, round after round.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Bench } from './engines.ts';

/** How the aim is meant: the least ratio, the greatest value, or the most that the value may be above what stands beside it. */
export type Compare = 'ratio>=' | 'value<=' | 'difference<=';

/** Both sides of a figure, set up and filled; each call measures once. */
export interface Sides extends AsyncDisposable {
  ours(): Promise<number>;
  beside(): Promise<number>;
  /** Asked once all rounds are done: what else was seen, in one line. */
  note?(): string;
}

export interface Figure {
  readonly name: string;
  /** One line: what is measured. */
  readonly what: string;
  readonly unit: string;
  /** One line: what it is compared with. */
  readonly beside: string;
  /** Null where none was set: the figure is only to be known. */
  readonly aim: number | null;
  readonly compare: Compare;
  /** For one that takes long: no more rounds than these, unless they are asked for. */
  readonly roundsMax?: number;
  /** Measured only where it is named by `--only`. */
  readonly isOnDemand?: true;
  /** Why this engine cannot tell it, if it cannot. */
  whyNot?(bench: Bench): string | undefined;
  open(bench: Bench): Promise<Sides>;
}

/** A figure as it came out. Without values where it was not measured; `reason` says why. */
export interface Measured {
  readonly name: string;
  readonly value: number | null;
  readonly unit: string;
  readonly beside: string;
  readonly besideValue: number | null;
  readonly ratio: number | null;
  readonly aim: number | null;
  readonly compare: Compare;
  readonly reason?: string;
  readonly note?: string;
}

/** Measures one figure. Failures are told in the result, so that the other figures still come. */
export async function measure(figure: Figure, bench: Bench): Promise<Measured> {
  const reason = figure.whyNot?.(bench);
  if (reason !== undefined) return notMeasured(figure, reason);
  try {
    return await inRounds(figure, bench);
  } catch (error) {
    process.exitCode = 1;
    return notMeasured(figure, `failed: ${(error as Error).stack}`);
  }
}

async function inRounds(figure: Figure, bench: Bench): Promise<Measured> {
  await using sides = await figure.open(bench);
  // The first round warms up what is compiled and cached, and does not count.
  await oneRound(sides);
  const rounds: { readonly ours: number; readonly beside: number }[] = [];
  for (let round = 0; round < roundsOf(figure, bench); round += 1) rounds.push(await oneRound(sides));
  const note = sides.note?.();
  return {
    ...headOf(figure),
    ...(note !== undefined && { note }),
    value: median(rounds.map(({ ours }) => ours)),
    besideValue: median(rounds.map(({ beside }) => beside)),
    // Of each round by itself: what slows the machine down for a while slows both sides.
    ratio: median(rounds.map(({ ours, beside }) => ours / beside)),
  };
}

function roundsOf({ roundsMax = Number.POSITIVE_INFINITY }: Figure, { rounds, areRoundsGiven }: Bench): number {
  return areRoundsGiven ? rounds : Math.min(rounds, roundsMax);
}

async function oneRound(sides: Sides): Promise<{ ours: number; beside: number }> {
  collectGarbage();
  const ours = await sides.ours();
  collectGarbage();
  return { ours, beside: await sides.beside() };
}

function headOf({ name, unit, beside, aim, compare }: Figure): Pick<Measured, 'name' | 'unit' | 'beside' | 'aim' | 'compare'> {
  return { name, unit, beside, aim, compare };
}

function notMeasured(figure: Figure, reason: string): Measured {
  return { ...headOf(figure), value: null, besideValue: null, ratio: null, reason };
}

/** Whether the aim was reached; undefined where nothing was measured, or aimed at. */
export function reaches({ value, besideValue, ratio, aim, compare }: Measured): boolean | undefined {
  if (value === null || besideValue === null || ratio === null || aim === null) return undefined;
  if (compare === 'ratio>=') return ratio >= aim;
  return compare === 'value<=' ? value <= aim : value - besideValue <= aim;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

// One side's garbage is not to be collected in the other's time.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
