// (f) Each event reaches each reactor at least once, those of a key in their order; and what a reactor appends is there once for each event.
import type { LineOf } from '../history.ts';
import { answerTo, idOf, isAnswered } from '../workload/model.ts';
import { type Checker, type Finding, type History, grouped, keyOf, type Logged, type ReactorFacts } from './finding.ts';

type Handling = LineOf<'handle' | 'handled'>;

/** Of one event: when a handler first began with it, and when one first was done. */
interface Handled {
  readonly beganAt: number;
  readonly doneAt: number;
}

export const eventsReachReactors: Checker = (history) => history.reactors.flatMap((reactor) => reactorFindings(history, reactor));

function reactorFindings({ handlings, log }: History, { name, isOrdered, categories }: ReactorFacts): Finding[] {
  const handled = firstTimes(handlings.filter(({ reactor }) => reactor === name));
  const events = log.filter(({ streamName }) => categories.includes(categoryOf(streamName)));
  // Events of one id stand in one partition: their order there is that of the log.
  const byKey = isOrdered ? [...grouped(events, ({ streamName }) => idOf(streamName)).values()] : [];
  return [...missed(events, handled, name), ...byKey.flatMap((ofKey) => early(ofKey, handled, name))];
}

function categoryOf(streamName: string): string {
  return streamName.slice(0, streamName.indexOf(':'));
}

function firstTimes(handlings: readonly Handling[]): Map<string, Handled> {
  return new Map(
    [...grouped(handlings, ({ key }) => key)].map(([key, lines]) => [key, { beganAt: firstOf(lines, 'handle'), doneAt: firstOf(lines, 'handled') }]),
  );
}

function firstOf(lines: readonly Handling[], kind: Handling['t']): number {
  return lines.reduce((first, { t, at }) => (t === kind ? Math.min(first, at) : first), Number.POSITIVE_INFINITY);
}

function missed(events: readonly Logged[], handled: ReadonlyMap<string, Handled>, reactor: string): Finding[] {
  return events.flatMap((event): Finding[] =>
    Number.isFinite(handled.get(keyOf(event))?.doneAt)
      ? []
      : [{ kind: 'lost', message: `${reactor} never handled ${keyOf(event)} (${placeOf(event)})` }],
  );
}

function early(events: readonly Logged[], handled: ReadonlyMap<string, Handled>, reactor: string): Finding[] {
  return events.slice(1).flatMap((event, index): Finding[] => {
    const before = events[index] as Logged;
    const [own, last] = [handled.get(keyOf(event)), handled.get(keyOf(before))];
    if (!last || !own || own.beganAt >= last.doneAt) return [];
    return [{ kind: 'unordered', message: `${reactor} began ${placeOf(event)} before ${placeOf(before)} was done` }];
  });
}

function placeOf({ streamName, streamVersion }: Logged): string {
  return `${streamName}@${streamVersion}`;
}

/**
 * After a failover an append may be written again whose first event was answered and is gone; and a reactor that was rewound answers
 * again what it had answered.
 */
export const answersAreThereOnce: Checker = ({ log, mayLose, lostLogs }) => {
  const isRewound = mayLose && lostLogs.some(({ what }) => what === 'answering');
  const answered = grouped(
    log.filter(({ streamName }) => streamName.startsWith('answers:')),
    ({ data }) => data.op,
  );
  return log.filter(isAnswered).flatMap((event): Finding[] => {
    const count = answered.get(answerTo(event.data.op, event.data.index))?.length ?? 0;
    if (count === 1) return [];
    const isExpected = isRewound || (mayLose && count > 1);
    return [{ kind: count === 0 ? 'lost' : 'doubled', message: `${placeOf(event)} has ${count} answers`, isExpected }];
  });
};
