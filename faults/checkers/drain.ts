// (i) Once the faults have healed everything is folded and handled within a stated time, without a restart; and nothing failed that no fault explains.
import type { Checker, Finding } from './finding.ts';

export const everythingDrains: Checker = ({ drain: { left, limitMs } }) =>
  left.map((what): Finding => ({ kind: 'late', message: `${what}, ${limitMs} ms after the faults had healed` }));

export const nothingElseFailed: Checker = ({ errors, lostLogs, mayLose }) => [
  ...errors.map(({ who, message }): Finding => ({ kind: 'wrong', message: `${who}: ${message}` })),
  // A log that was lost is to be told where a failover may lose it, and nowhere else.
  ...lostLogs.flatMap(({ who, message }): Finding[] =>
    mayLose ? [] : [{ kind: 'wrong', message: `${who} says that the log is lost, and it is not: ${message}` }],
  ),
];
