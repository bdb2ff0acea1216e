// (d) Each stream's order agrees with the order of all, with that of time, and with what followers were given.
import { comparePositions, type Position } from 'millrace';
import type { Operation } from '../history.ts';
import { type Checker, type Finding, grouped, keyOf, partitionOf } from './finding.ts';

export const streamsAgreeWithAll: Checker = ({ log, streams }) => {
  const inLog = grouped(log, ({ streamName }) => streamName);
  return [...new Set([...inLog.keys(), ...streams.keys()])].flatMap((name): Finding[] => {
    const [all, own] = [inLog.get(name) ?? [], streams.get(name) ?? []];
    const differs = Math.max(all.length, own.length) !== 0 && all.map(placeOf).join() !== own.map(placeOf).join();
    return differs
      ? [{ kind: 'unordered', message: `${name}: ${own.length} events by stream differ from the ${all.length} in the order of all` }]
      : [];
  });
};

function placeOf(event: Parameters<typeof keyOf>[0] & { readonly position: string }): string {
  return `${keyOf(event)} ${event.position}`;
}

interface Placed {
  readonly op: string;
  readonly position: Position;
  readonly invokedAt: number;
  readonly endedAt: number;
}

/** What was acknowledged before something else was asked for stands before it. */
export const orderOfTime: Checker = ({ operations, log }) => {
  const last = new Map(log.map(({ data, position }) => [data.op, position as Position]));
  const placed = operations.flatMap(({ op, invokedAt, endedAt, outcome }: Operation): Placed[] => {
    const position = last.get(op);
    return position === undefined || outcome === 'failed' ? [] : [{ op, position, invokedAt, endedAt }];
  });
  return [...grouped(placed, ({ position }) => partitionOf(position)).values()].flatMap(overtaken);
};

/** Sweeps over the invocations in the order of time, with the furthest that had been acknowledged before each. */
function overtaken(placed: readonly Placed[]): Finding[] {
  const byEnd = placed.toSorted((a, b) => a.endedAt - b.endedAt);
  const findings: Finding[] = [];
  let furthest: Placed | undefined;
  let ended = 0;
  for (const later of placed.toSorted((a, b) => a.invokedAt - b.invokedAt)) {
    for (let next = byEnd[ended]; next && next.endedAt < later.invokedAt; next = byEnd[(ended += 1)]) {
      if (!furthest || comparePositions(furthest.position, next.position) < 0) furthest = next;
    }
    if (furthest && comparePositions(furthest.position, later.position) > 0)
      findings.push({
        kind: 'unordered',
        message: `${later.op} at ${later.position} was asked for after ${furthest.op} was acknowledged at ${furthest.position}`,
      });
  }
  return findings;
}

/** Each follower was given the log from its start on: nothing passed over, nothing twice. Those that were killed, a part of it. */
export const followersSeeTheLog: Checker = ({ log, followed, followersAtEnd, mayLose }) => {
  const partitions = grouped(log, ({ position }) => partitionOf(position));
  const byFollower = grouped(followed, ({ follower }) => follower);
  // After a failover, what one was given that did not live to see it may be gone.
  const followers = mayLose ? followersAtEnd : [...new Set([...byFollower.keys(), ...followersAtEnd])];
  return followers.flatMap((follower) =>
    [...partitions].flatMap(([partition, events]): Finding[] => {
      const given = (byFollower.get(follower) ?? []).filter(({ position }) => partitionOf(position) === partition);
      const wrong = given.findIndex(({ position, key }, index) => events[index]?.position !== position || keyOf(events[index]) !== key);
      if (wrong >= 0)
        return [
          {
            kind: 'unordered',
            message: `${follower} was given ${given[wrong]?.key} at ${given[wrong]?.position}, and next was ${events[wrong]?.position ?? 'nothing'}`,
          },
        ];
      if (!followersAtEnd.includes(follower) || given.length === events.length) return [];
      return [{ kind: 'late', message: `${follower} was given ${given.length} of ${events.length} events of partition ${partition}` }];
    }),
  );
};
