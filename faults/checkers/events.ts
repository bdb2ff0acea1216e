// (a) Every acknowledged event is readable exactly once, where it was said to be; versions are contiguous, positions strictly increasing.
import { comparePositions, type Position } from 'millrace';
import type { Operation } from '../history.ts';
import { isProduced } from '../workload/model.ts';
import { type Checker, type Finding, grouped, keyOf, type Logged, partitionOf } from './finding.ts';

export const acknowledgedEvents: Checker = ({ operations, log, mayLose }) => {
  const byKey = grouped(log, keyOf);
  return [...operations.flatMap((operation) => operationFindings(operation, byKey, mayLose)), ...doubled(grouped(log.filter(isProduced), keyOf))];
};

function operationFindings(operation: Operation, byKey: ReadonlyMap<string, readonly Logged[]>, mayLose: boolean): Finding[] {
  const { op, outcome, parts, code } = operation;
  const count = parts.reduce((sum, { events }) => sum + events, 0);
  const there = Array.from({ length: count }, (_, index) => byKey.get(`${op}#${index}`)?.[0]);
  if (outcome === 'failed' && there.some((event) => event))
    return [{ kind: 'wrong', message: `${op} failed (${code}), which says that nothing was written, and its events are there` }];
  if (outcome !== 'ok') return [];
  const expected = parts.flatMap(({ stream, events }, part) =>
    Array.from({ length: events }, (_, index) => ({ stream, version: (operation.versions[part] ?? 0) - events + 1 + index })),
  );
  return there.flatMap((event, index): Finding[] => {
    const { stream, version } = expected[index] as { stream: string; version: number };
    if (!event) return [{ kind: 'lost', message: `${op}#${index} was acknowledged as ${stream}@${version}, and is lost`, isExpected: mayLose }];
    if (event.streamName === stream && event.streamVersion === version) return [];
    return [{ kind: 'wrong', message: `${op}#${index} was acknowledged as ${stream}@${version}, and is ${event.streamName}@${event.streamVersion}` }];
  });
}

function doubled(byKey: ReadonlyMap<string, readonly Logged[]>): Finding[] {
  return [...byKey].flatMap(([key, events]): Finding[] =>
    events.length === 1
      ? []
      : [{ kind: 'doubled', message: `${key} is there ${events.length} times: ${events.map(({ position }) => position).join(', ')}` }],
  );
}

export const contiguousVersions: Checker = ({ streams }) =>
  [...streams].flatMap(([name, events]) =>
    events.flatMap(({ streamVersion }, index): Finding[] =>
      streamVersion === index + 1 ? [] : [{ kind: 'wrong', message: `${name}: expected version ${index + 1}, found ${streamVersion}` }],
    ),
  );

export const increasingPositions: Checker = ({ log }) => {
  const last = new Map<string, string>();
  return log.flatMap(({ position }): Finding[] => {
    const before = last.get(partitionOf(position));
    last.set(partitionOf(position), position);
    if (before === undefined || comparePositions(before as Position, position as Position) < 0) return [];
    return [{ kind: 'unordered', message: `position ${position} comes after ${before}` }];
  });
};
