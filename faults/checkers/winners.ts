// (c) Of the appends that expect a version of a stream, one wins; and no two appends are told the same version.
import type { Operation } from '../history.ts';
import { type Checker, type Finding, grouped, survivors } from './finding.ts';

interface Claim {
  readonly op: string;
  readonly stream: string;
  readonly version: number;
}

export const oneWinner: Checker = (history) => {
  const there = survivors(history);
  // Of two that won before and after a failover, the first one is lost, and found so elsewhere.
  const won = history.operations.filter(({ outcome, op }) => outcome === 'ok' && (!history.mayLose || there.has(op)));
  return [...twice(won.flatMap(expectations), 'won at version'), ...twice(won.flatMap(claims), 'were told version'), ...won.flatMap(misplaced)];
};

function expectations({ op, parts }: Operation): Claim[] {
  return parts.flatMap(({ stream, expected }) => (typeof expected === 'number' ? [{ op, stream, version: expected }] : []));
}

function claims({ op, parts, versions }: Operation): Claim[] {
  return parts.flatMap(({ stream, events }, part) =>
    Array.from({ length: events }, (_, index) => ({ op, stream, version: (versions[part] ?? 0) - index })),
  );
}

function twice(claimed: readonly Claim[], what: string): Finding[] {
  return [...grouped(claimed, ({ stream, version }) => `${version} of ${stream}`)].flatMap(([at, all]): Finding[] =>
    all.length === 1 ? [] : [{ kind: 'wrong', message: `${all.map(({ op }) => op).join(' and ')} ${what} ${at}` }],
  );
}

function misplaced({ op, parts, versions }: Operation): Finding[] {
  return parts.flatMap(({ stream, events, expected }, part): Finding[] =>
    typeof expected !== 'number' || versions[part] === expected + events
      ? []
      : [{ kind: 'wrong', message: `${op} expected version ${expected} of ${stream}, appended ${events}, and was told ${versions[part]}` }],
  );
}
