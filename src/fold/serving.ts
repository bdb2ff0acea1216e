// The serving version of a projection: what readers follow while versions are built, flipped and dropped.
import { InvalidInputError } from '../errors.ts';
import type { Projection } from './projection.ts';

/** Versions of one projection of which a reader takes the one that serves, as `serving` makes it. */
export interface Serving<State> {
  readonly name: string;
  /** The lowest one first: it serves until `ProcessorControl.serve` says otherwise. */
  readonly versions: readonly Projection<State>[];
}

/** The state of a projection, or the union of several ones' states. */
export type StateOf<P extends Projection<unknown>> = P extends Projection<infer State> ? State : never;

/**
 * Lets reads follow the version that serves: `snapshots.get(serving(profilesV1, profilesV2), key)`, whose state is that of either. Before
 * any flip the lowest of these versions serves.
 * @throws InvalidInputError unless they are stored versions of one projection, each given once.
 */
export function serving<const P extends readonly [Projection<unknown>, ...Projection<unknown>[]]>(...versions: P): Serving<StateOf<P[number]>> {
  const [first] = versions as readonly Projection<unknown>[];
  const isOne = versions.every(({ name }) => name === first?.name);
  if (!first || !isOne)
    throw new InvalidInputError(
      'versions to follow',
      'one or several versions of one projection',
      versions.map(({ name }) => name),
    );
  const numbers = versions.map(({ version }) => version);
  if (new Set(numbers).size < numbers.length) throw new InvalidInputError('versions to follow', 'each version once', numbers);
  const sorted = versions.toSorted((a, b) => a.version - b.version) as readonly Projection<unknown>[];
  return Object.freeze({ name: first.name, versions: sorted as readonly Projection<StateOf<P[number]>>[] });
}
