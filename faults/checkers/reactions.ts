// (f) Each event reaches each reactor at least once, and those of a stream in their order: the next begins after the one before is done.
import type { LineOf } from '../history.ts';
import { type Checker, type Finding, type History, grouped, keyOf, type Logged } from './finding.ts';

type Handling = LineOf<'handle' | 'handled'>;

/** Of one event: when a handler first began with it, and when one first was done. */
interface Handled {
  readonly beganAt: number;
  readonly doneAt: number;
}

export const eventsReachReactors: Checker = (history) => history.reactors.flatMap((reactor) => reactorFindings(history, reactor));

function reactorFindings({ handlings, streams }: History, reactor: string): Finding[] {
  const handled = firstTimes(handlings.filter((line) => line.reactor === reactor));
  return [...streams].flatMap(([name, events]) => [...missed(events, handled, reactor), ...early(name, events, handled)]);
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
      : [{ kind: 'lost', message: `${keyOf(event)} (${event.streamName}@${event.streamVersion}) never was handled by ${reactor}` }],
  );
}

function early(name: string, events: readonly Logged[], handled: ReadonlyMap<string, Handled>): Finding[] {
  return events.slice(1).flatMap((event, index): Finding[] => {
    const before = handled.get(keyOf(events[index] as Logged));
    const own = handled.get(keyOf(event));
    if (!before || !own || own.beganAt >= before.doneAt) return [];
    return [{ kind: 'unordered', message: `${name}@${event.streamVersion} was begun before ${name}@${event.streamVersion - 1} was done` }];
  });
}
