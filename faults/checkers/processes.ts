// (f) for process managers: what one emits, at once or by a schedule, is there exactly once for each event, and at once in the order of its events.
import { idOf } from '../workload/model.ts';
import { billsOf, remindersOf } from '../workload/process.ts';
import type { Checker, Finding, History, Logged } from './finding.ts';

/** A process manager that was rewound after a failover has folded some events twice, and says so nowhere: that is counted, too. */
export const processesActOnce: Checker = ({ streams, mayLose, lostLogs }) => {
  const isExpected = mayLose && lostLogs.some(({ what }) => what === 'billing');
  return idsOf(streams).flatMap((id) => findingsOf(streams, id).map((finding) => ({ ...finding, isExpected })));
};

function findingsOf(streams: History['streams'], id: string): Finding[] {
  const count = streams.get(`orders:${id}`)?.length ?? 0;
  const billed = opsOf(streams.get(`bills:${id}`));
  return [
    ...differing(billed, billsOf(id, count)),
    ...differing(opsOf(streams.get(`reminders:${id}`)), remindersOf(id, count)),
    ...(inOrder(billed, id, count) ? [] : [{ kind: 'unordered' as const, message: `the bills of ${id} are not in the order of its orders` }]),
  ];
}

function idsOf(streams: History['streams']): string[] {
  return [...new Set([...streams.keys()].filter((name) => /^(orders|bills|reminders):/.test(name)).map(idOf))];
}

function opsOf(events: readonly Logged[] = []): string[] {
  return events.map(({ data }) => data.op);
}

function differing(found: readonly string[], expected: readonly string[]): Finding[] {
  return [...new Set([...found, ...expected])].flatMap((op): Finding[] => {
    const [count, wanted] = [found, expected].map((ops) => ops.filter((each) => each === op).length) as [number, number];
    return count === wanted ? [] : [{ kind: count < wanted ? 'lost' : 'doubled', message: `${op} is there ${count} times, expected ${wanted}` }];
  });
}

/** Each bill at its first appearance: doubled ones are found elsewhere. */
function inOrder(found: readonly string[], id: string, count: number): boolean {
  const expected = billsOf(id, count).filter((op) => found.includes(op));
  const first = [...new Set(found)].filter((op) => expected.includes(op));
  return first.join() === expected.join();
}

/** What is scheduled and not yet there: to be waited for. */
export function remindersMissing(streams: History['streams']): number {
  return idsOf(streams).reduce((missing, id) => {
    const there = new Set(opsOf(streams.get(`reminders:${id}`)));
    return missing + remindersOf(id, streams.get(`orders:${id}`)?.length ?? 0).filter((op) => !there.has(op)).length;
  }, 0);
}
