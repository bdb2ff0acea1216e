// (b) Whatever an append's outcome, known or not: it is there whole and in one piece, once, or not at all.
import { isProduced } from '../workload/model.ts';
import { type Checker, type Finding, grouped, type Logged, partitionOf } from './finding.ts';

export const wholeAppends: Checker = ({ log }) => {
  const pieces = [...grouped(log, ({ position }) => partitionOf(position)).values()].flatMap(piecesOf);
  const torn = pieces.flatMap(({ op, events }): Finding[] => {
    const { of } = (events[0] as Logged).data;
    const isWhole = events.length === of && events.every(({ data }, index) => data.index === index);
    if (isWhole) return [];
    return [
      { kind: 'wrong', message: `${op} is torn: of its ${of} events these stand together: ${events.map(({ data }) => data.index).join(', ')}` },
    ];
  });
  return [...torn, ...repeated(pieces.filter(({ events }) => events.some(isProduced)).map(({ op }) => op))];
};

interface Piece {
  readonly op: string;
  readonly events: Logged[];
}

/** Neighbours of one operation. */
function piecesOf(events: readonly Logged[]): Piece[] {
  const pieces: Piece[] = [];
  for (const event of events) {
    const last = pieces.at(-1);
    // Behind its last event, one that begins again is another piece.
    if (last?.op === event.data.op && last.events.length < event.data.of) last.events.push(event);
    else pieces.push({ op: event.data.op, events: [event] });
  }
  return pieces;
}

function repeated(ops: readonly string[]): Finding[] {
  const seen = new Set<string>();
  return ops.flatMap((op): Finding[] => (seen.size === seen.add(op).size ? [{ kind: 'wrong', message: `${op} was written more than once` }] : []));
}
