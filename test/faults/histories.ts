// Makes histories for the checkers' tests: a sound one, and changes that plant one fault each.
import type { Documents, Finding, History, Logged } from '../../faults/checkers/finding.ts';
import { type Line, recordingOf } from '../../faults/history.ts';
import { isProduced, NO_TALLY, type Noted, NO_ORDER, ordered, type Order, tallied, type Tally } from '../../faults/workload/model.ts';

export function logged(streamName: string, streamVersion: number, place: number, data: Noted): Logged {
  return { streamName, streamVersion, position: `1800000000000-${place}`, data };
}

function noted(op: string, index: number, of: number, n: number): Noted {
  return { op, index, of, n };
}

/** p.1 appends twice to one stream, p.2 wins at version 2, p.3 loses there, p.4 writes two streams at once, p.5 is unknown and there, p.6 unknown and not. The third order is billed. */
const LOG: readonly Logged[] = [
  logged('orders:1', 1, 8, noted('p.1', 0, 2, 5)),
  logged('orders:1', 2, 9, noted('p.1', 1, 2, 6)),
  logged('orders:1', 3, 10, noted('p.2', 0, 1, 7)),
  logged('orders:2', 1, 11, noted('p.4', 0, 2, 10)),
  logged('ledger:2', 1, 12, noted('p.4', 1, 2, 9)),
  logged('ledger:1', 1, 13, noted('p.5', 0, 1, 1)),
  logged('bills:1', 1, 14, noted('bill 3 of 1', 0, 1, 3)),
];

const LINES: readonly Line[] = [
  { t: 'invoke', op: 'p.1', kind: 'append', at: 1, parts: [{ stream: 'orders:1', events: 2, expected: 'any' }] },
  { t: 'ok', op: 'p.1', at: 2, versions: [2], position: '1800000000000-9' },
  { t: 'invoke', op: 'p.2', kind: 'expecting', at: 3, parts: [{ stream: 'orders:1', events: 1, expected: 2 }] },
  { t: 'invoke', op: 'p.3', kind: 'expecting', at: 3, parts: [{ stream: 'orders:1', events: 1, expected: 2 }] },
  { t: 'ok', op: 'p.2', at: 5, versions: [3], position: '1800000000000-10' },
  { t: 'fail', op: 'p.3', at: 5, code: 'version-conflict' },
  {
    t: 'invoke',
    op: 'p.4',
    kind: 'all',
    at: 6,
    parts: [
      { stream: 'orders:2', events: 1, expected: 'any' },
      { stream: 'ledger:2', events: 1, expected: 'any' },
    ],
  },
  { t: 'ok', op: 'p.4', at: 7, versions: [1, 1], position: '1800000000000-12' },
  { t: 'invoke', op: 'p.5', kind: 'append', at: 8, parts: [{ stream: 'ledger:1', events: 1, expected: 'any' }] },
  { t: 'unknown', op: 'p.5', at: 9, code: 'outcome-unknown' },
  { t: 'invoke', op: 'p.6', kind: 'append', at: 8, parts: [{ stream: 'ledger:1', events: 1, expected: 'any' }] },
  { t: 'read', op: 'p.2', at: 9, stream: 'orders:1', needs: 3, saw: 3 },
  { t: 'state', op: 'p.2', stream: 'orders:1', version: 3, state: foldOf(LOG.slice(0, 3)) },
  ...LOG.map(({ position, data }): Line => ({ t: 'followed', follower: 'f/1', position, key: `${data.op}#${data.index}` })),
  ...LOG.slice(0, -1).flatMap((event, index) => handling(event, 10 + 2 * index)),
];

export function handling({ streamName, streamVersion, data }: Logged, at: number): Line[] {
  const of = { reactor: 'mail', stream: streamName, version: streamVersion, key: `${data.op}#${data.index}` };
  return [
    { t: 'handle', ...of, at },
    { t: 'handled', ...of, at: at + 1 },
  ];
}

function foldOf(events: readonly Logged[]): Order {
  return events.reduce((state, { data }) => ordered(state, data), NO_ORDER);
}

/** What may be other than in the sound history. */
export interface Change extends Partial<Omit<History, keyof ReturnType<typeof recordingOf>>> {
  readonly lines?: readonly Line[];
}

export const sound: { readonly log: readonly Logged[]; readonly lines: readonly Line[] } = { log: LOG, lines: LINES };

/** Where the log is changed, streams, documents and states follow it, unless they are changed too. */
export function history({ lines = LINES, log = LOG, ...changes }: Change = {}): History {
  const streams = streamsOf(log);
  return {
    ...recordingOf(lines),
    log,
    streams,
    documents: [tallyDocuments(log)],
    loaded: new Map(
      [...streams].filter(([name]) => name.startsWith('orders:')).map(([name, events]) => [name, { version: events.length, state: foldOf(events) }]),
    ),
    reactors: [{ name: 'mail', isOrdered: true, categories: ['orders', 'ledger'] }],
    followersAtEnd: ['f/1'],
    drain: { tookMs: 100, limitMs: 30_000, left: [] },
    mayLose: false,
    ...changes,
  };
}

export function streamsOf(log: readonly Logged[]): Map<string, Logged[]> {
  const streams = new Map<string, Logged[]>();
  for (const event of log) streams.set(event.streamName, [...(streams.get(event.streamName) ?? []), event]);
  return streams;
}

/** The documents as they should be. */
export function tallyDocuments(log: readonly Logged[]): Documents {
  const folded = new Map<string, Tally>();
  for (const event of log.filter(isProduced)) {
    const [, id = ''] = event.streamName.split(':');
    folded.set(id, tallied(folded.get(id) ?? NO_TALLY, event));
  }
  return { how: 'stored tally', found: folded, folded };
}

/** The sound lines, some of them changed or left out. */
export function linesWith(change: (line: Line) => Line | undefined): Line[] {
  return LINES.flatMap((line) => change(line) ?? []);
}

export function messagesOf(findings: readonly Finding[]): string[] {
  return findings.map(({ kind, message }) => `${kind}: ${message}`);
}
