// All checkers of a history by their names, and what they found.
import { everythingDrains, nothingElseFailed } from './checkers/drain.ts';
import { acknowledgedEvents, contiguousVersions, increasingPositions } from './checkers/events.ts';
import type { Checker, Finding, History } from './checkers/finding.ts';
import { documentsAreTheFold, statesAreTheFold } from './checkers/folds.ts';
import { followersSeeTheLog, orderOfTime, streamsAgreeWithAll } from './checkers/order.ts';
import { processesActOnce } from './checkers/processes.ts';
import { answersAreThereOnce, eventsReachReactors } from './checkers/reactions.ts';
import { readsSeeTheirAppends } from './checkers/reads.ts';
import { wholeAppends } from './checkers/whole.ts';
import { oneWinner } from './checkers/winners.ts';

export const CHECKERS: ReadonlyMap<string, Checker> = new Map<string, Checker>([
  ['(a) acknowledged events are there once', acknowledgedEvents],
  ['(a) versions are contiguous', contiguousVersions],
  ['(a) positions increase', increasingPositions],
  ['(b) appends are whole', wholeAppends],
  ['(c) one winner for each version', oneWinner],
  ['(d) streams agree with the order of all', streamsAgreeWithAll],
  ['(d) the order is that of time', orderOfTime],
  ['(d) followers see the log', followersSeeTheLog],
  ['(e) reads see their appends', readsSeeTheirAppends],
  ['(f) events reach reactors in order', eventsReachReactors],
  ['(f) reactors append once', answersAreThereOnce],
  ['(f) process managers act once', processesActOnce],
  ['(g) documents are the fold', documentsAreTheFold],
  ['(h) states are the fold', statesAreTheFold],
  ['(i) everything drains', everythingDrains],
  ['nothing else failed', nothingElseFailed],
]);

/** What one checker found. */
export interface Checked {
  readonly name: string;
  readonly violations: readonly Finding[];
  /** What asynchronous replication lost: counted. */
  readonly expected: readonly Finding[];
}

export function check(history: History): readonly Checked[] {
  return [...CHECKERS].map(([name, checker]) => {
    const findings = checker(history);
    return { name, violations: findings.filter((each) => each.isExpected !== true), expected: findings.filter((each) => each.isExpected === true) };
  });
}
