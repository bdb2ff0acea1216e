// (g) Stored, rebuilt and live documents are the pure fold of the log; (h) so is a snapshot with its tail.
import { isDeepStrictEqual } from 'node:util';
import { NO_ORDER, type Order, ordered } from '../workload/model.ts';
import { type Checker, type Documents, type Finding, type History, type Logged } from './finding.ts';

export const documentsAreTheFold: Checker = ({ documents }) => documents.flatMap(differing);

function differing({ how, found, folded }: Documents): Finding[] {
  return [...new Set([...found.keys(), ...folded.keys()])].flatMap((key) => {
    const [document, fold] = [found.get(key), folded.get(key)];
    return isDeepStrictEqual(document, fold)
      ? []
      : [{ kind: kindOf(document, fold), message: `${how} document ${key}: expected ${JSON.stringify(fold)}, found ${JSON.stringify(document)}` }];
  });
}

/** Most documents count: too few events in it, or too many, says what went wrong. */
function kindOf(document: unknown, fold: unknown): Finding['kind'] {
  const [found, expected] = [countIn(document), countIn(fold)];
  if (found === expected) return 'wrong';
  return found < expected ? 'lost' : 'doubled';
}

function countIn(state: unknown): number {
  return typeof state === 'object' && state !== null && 'count' in state && typeof state.count === 'number' ? state.count : 0;
}

/** What commands were decided on while the run went on, and what the next one would be decided on. */
export const statesAreTheFold: Checker = (history) => {
  const folds = new Map([...history.streams].map(([name, events]) => [name, foldsOf(events)]));
  const at = (stream: string, version: number): Order | undefined => folds.get(stream)?.[version];
  const during = history.states
    .filter((line) => isStillThere(history, line))
    .flatMap(({ op, stream, version, state }) => differs(`${op} decided on a state of ${stream}@${version}`, state, at(stream, version)))
    // It loaded before a failover and appended after it: at the same version stands another event now.
    .map((finding) => ({ ...finding, isExpected: history.mayLose }));
  const after = [...history.loaded].flatMap(([stream, { version, state }]) => {
    const length = history.streams.get(stream)?.length ?? 0;
    if (version !== length) return [{ kind: 'wrong' as const, message: `the state of ${stream} is of version ${version}, expected ${length}` }];
    return differs(`the state of ${stream}@${version}`, state, at(stream, version));
  });
  return [...during, ...after];
};

/** The state after each version, from 0 on. */
function foldsOf(events: readonly Logged[]): Order[] {
  const states = [NO_ORDER];
  for (const { data } of events) states.push(ordered(states.at(-1) ?? NO_ORDER, data));
  return states;
}

function differs(what: string, state: unknown, fold: Order | undefined): Finding[] {
  return isDeepStrictEqual(state, fold)
    ? []
    : [{ kind: 'wrong', message: `${what}: expected ${JSON.stringify(fold)}, found ${JSON.stringify(state)}` }];
}

/** A command whose events a failover lost has no state to compare its own with. */
function isStillThere({ mayLose, streams }: History, { op, stream, version }: History['states'][number]): boolean {
  return !mayLose || streams.get(stream)?.[version - 1]?.data.op === op;
}
