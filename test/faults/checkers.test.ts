// Each checker of a fault run finds what it is for: it is shown a sound history, and ones with one planted fault each.
import { describe, expect, test } from 'vitest';
import { everythingDrains, nothingElseFailed } from '../../faults/checkers/drain.ts';
import { acknowledgedEvents, contiguousVersions, increasingPositions } from '../../faults/checkers/events.ts';
import type { Checker, Logged } from '../../faults/checkers/finding.ts';
import { documentsAreTheFold, statesAreTheFold } from '../../faults/checkers/folds.ts';
import { followersSeeTheLog, orderOfTime, streamsAgreeWithAll } from '../../faults/checkers/order.ts';
import { answersAreThereOnce, eventsReachReactors } from '../../faults/checkers/reactions.ts';
import { processesActOnce } from '../../faults/checkers/processes.ts';
import { readsSeeTheirAppends } from '../../faults/checkers/reads.ts';
import { wholeAppends } from '../../faults/checkers/whole.ts';
import { oneWinner } from '../../faults/checkers/winners.ts';
import { check } from '../../faults/checks.ts';
import { hasViolation } from '../../faults/report.ts';
import { type Change, history, linesWith, logged, messagesOf, sound, streamsOf, tallyDocuments } from './histories.ts';

const { log, lines } = sound;
const [first, second, third, fourth, fifth, sixth] = log as [Logged, Logged, Logged, Logged, Logged, Logged];

function tallyOf(id: string): Record<string, unknown> {
  return tallyDocuments(log).folded.get(id) as Record<string, unknown>;
}

/** The stored documents with one of them other than it should be; without it, where it is undefined. */
function documentsWith(id: string, document: unknown): Change {
  const { how, folded } = tallyDocuments(log);
  const found = new Map<string, unknown>(folded);
  if (document === undefined) found.delete(id);
  else found.set(id, document);
  return { documents: [{ how, found, folded }] };
}

test('a sound history is found to be sound by every checker', () => {
  expect(check(history()).flatMap(({ violations }) => messagesOf(violations))).toEqual([]);
});

test('a history in which one checker finds something is a violation', () => {
  expect(hasViolation(check(history()))).toBe(false);
  expect(hasViolation(check(history({ log: log.slice(1) })))).toBe(true);
});

const plants: readonly (readonly [of: Checker, what: string, change: Change, found: readonly string[]])[] = [
  [acknowledgedEvents, 'a lost event', { log: log.filter((event) => event !== second) }, ['lost: p.1#1 was acknowledged as orders:1@2, and is lost']],
  [
    acknowledgedEvents,
    'a doubled one: no deduplication',
    { log: [...log, logged('ledger:1', 2, 15, sixth.data)] },
    ['doubled: p.5#0 is there 2 times: 1800000000000-13, 1800000000000-15'],
  ],
  [
    acknowledgedEvents,
    'one at another version than was told: taken from the length of the log',
    { lines: linesWith((line) => (line.t === 'ok' && line.op === 'p.2' ? { ...line, versions: [2] } : line)) },
    ['wrong: p.2#0 was acknowledged as orders:1@2, and is orders:1@3'],
  ],
  [
    acknowledgedEvents,
    'one whose append was refused',
    { log: [...log, logged('orders:1', 4, 15, { op: 'p.3', index: 0, of: 1, n: 1 })] },
    ['wrong: p.3 failed (version-conflict), which says that nothing was written, and its events are there'],
  ],
  [contiguousVersions, 'a gap', { log: [first, { ...second, streamVersion: 3 }] }, ['wrong: orders:1: expected version 2, found 3']],
  [
    contiguousVersions,
    'a version that comes twice',
    { log: [first, { ...second, streamVersion: 1 }] },
    ['wrong: orders:1: expected version 2, found 1'],
  ],
  [
    increasingPositions,
    'two in the wrong order, which as text were in the right one',
    { log: [third, second] },
    ['unordered: position 1800000000000-9 comes after 1800000000000-10'],
  ],
  [wholeAppends, 'a torn append', { log: log.filter((event) => event !== fifth) }, ['wrong: p.4 is torn: of its 2 events these stand together: 0']],
  [
    wholeAppends,
    'an append of unknown outcome that was written twice',
    { log: [...log, logged('ledger:1', 2, 15, sixth.data)] },
    ['wrong: p.5 was written more than once'],
  ],
  [
    wholeAppends,
    'one between the events of another',
    { log: [fourth, third, fifth] },
    [
      'wrong: p.4 is torn: of its 2 events these stand together: 0',
      'wrong: p.4 is torn: of its 2 events these stand together: 1',
      'wrong: p.4 was written more than once',
    ],
  ],
  [
    oneWinner,
    'two winners',
    { lines: linesWith((line) => (line.t === 'fail' ? { t: 'ok', op: line.op, at: line.at, versions: [3], position: '1800000000000-14' } : line)) },
    ['wrong: p.2 and p.3 won at version 2 of orders:1', 'wrong: p.2 and p.3 were told version 3 of orders:1'],
  ],
  [
    oneWinner,
    'a winner behind the version that it expected',
    { lines: linesWith((line) => (line.t === 'ok' && line.op === 'p.2' ? { ...line, versions: [4] } : line)) },
    ['wrong: p.2 expected version 2 of orders:1, appended 1, and was told 4'],
  ],
  [
    streamsAgreeWithAll,
    'a stream that stands in another order than in that of all',
    { streams: new Map([...streamsOf(log), ['orders:1', [second, first, third]]]) },
    ['unordered: orders:1: 3 events by stream differ from the 3 in the order of all'],
  ],
  [
    streamsAgreeWithAll,
    'a stream that lacks one',
    { streams: new Map([...streamsOf(log), ['orders:1', [first, second]]]) },
    ['unordered: orders:1: 2 events by stream differ from the 3 in the order of all'],
  ],
  [
    orderOfTime,
    'an append that stands before one that was acknowledged before it began',
    { log: [...log.slice(0, 3), { ...sixth, position: '1800000000000-7' }, fourth, fifth] },
    ['unordered: p.5 at 1800000000000-7 was asked for after p.4 was acknowledged at 1800000000000-12'],
  ],
  [
    followersSeeTheLog,
    'one that was passed over',
    { lines: linesWith((line) => (line.t === 'followed' && line.key === 'p.2#0' ? undefined : line)) },
    ['unordered: f/1 was given p.4#0 at 1800000000000-11, and next was 1800000000000-10'],
  ],
  [
    followersSeeTheLog,
    'a follower that did not come to the end',
    { lines: linesWith((line) => (line.t === 'followed' && line.key === 'bill 3 of 1#0' ? undefined : line)) },
    ['late: f/1 was given 6 of 7 events of partition 0'],
  ],
  [
    readsSeeTheirAppends,
    'a stale read',
    { lines: linesWith((line) => (line.t === 'read' ? { ...line, saw: 2 } : line)) },
    ['wrong: a read with the token of p.2 (orders:1@3) saw version 2'],
  ],
  [
    eventsReachReactors,
    'an event that none handled: acknowledged before it was',
    { lines: linesWith((line) => (line.t === 'handled' && line.key === 'p.2#0' ? undefined : line)) },
    ['lost: mail never handled p.2#0 (orders:1@3)', 'unordered: mail began ledger:1@1 before orders:1@3 was done'],
  ],
  [
    eventsReachReactors,
    'one that was begun before the one before it was done',
    { lines: linesWith((line) => (line.t === 'handle' && line.key === 'p.2#0' ? { ...line, at: 12.5 } : line)) },
    ['unordered: mail began orders:1@3 before orders:1@2 was done'],
  ],
  [
    answersAreThereOnce,
    'an answer that is missing',
    { log: [logged('orders:1', 1, 9, { op: 'p.1', index: 0, of: 1, n: 8 })] },
    ['lost: orders:1@1 has 0 answers'],
  ],
  [
    answersAreThereOnce,
    'an answer that was appended twice',
    {
      log: [
        logged('orders:1', 1, 9, { op: 'p.1', index: 0, of: 1, n: 8 }),
        logged('answers:1', 1, 10, { op: 'answer to p.1#0', index: 0, of: 1, n: 8 }),
        logged('answers:1', 2, 11, { op: 'answer to p.1#0', index: 0, of: 1, n: 8 }),
      ],
    },
    ['doubled: orders:1@1 has 2 answers'],
  ],
  [
    processesActOnce,
    'a bill that is missing: its state was stored, and not what came of it',
    { log: log.slice(0, -1) },
    ['lost: bill 3 of 1 is there 0 times, expected 1'],
  ],
  [
    processesActOnce,
    'a bill that is there twice',
    { log: [...log, logged('bills:1', 2, 15, { op: 'bill 3 of 1', index: 0, of: 1, n: 3 })] },
    ['doubled: bill 3 of 1 is there 2 times, expected 1'],
  ],
  [
    processesActOnce,
    'a bill that nothing led to',
    { log: [...log, logged('bills:2', 1, 15, { op: 'bill 3 of 2', index: 0, of: 1, n: 3 })] },
    ['doubled: bill 3 of 2 is there 1 times, expected 0'],
  ],
  [
    processesActOnce,
    'bills in another order than that of the orders',
    {
      log: [
        ...Array.from({ length: 6 }, (_, index) => logged('orders:1', index + 1, index, { op: `p.${index}`, index: 0, of: 1, n: 1 })),
        logged('reminders:1', 1, 6, { op: 'reminder 4 of 1', index: 0, of: 1, n: 4 }),
        logged('bills:1', 1, 7, { op: 'bill 6 of 1', index: 0, of: 1, n: 6 }),
        logged('bills:1', 2, 8, { op: 'bill 3 of 1', index: 0, of: 1, n: 3 }),
      ],
    },
    ['unordered: the bills of 1 are not in the order of its orders'],
  ],
  [
    documentsAreTheFold,
    'an event that counted twice',
    documentsWith('2', { ...tallyOf('2'), count: 3 }),
    [`doubled: stored tally document 2: expected ${JSON.stringify(tallyOf('2'))}, found ${JSON.stringify({ ...tallyOf('2'), count: 3 })}`],
  ],
  [
    documentsAreTheFold,
    'a document that is missing',
    documentsWith('2', undefined),
    [`lost: stored tally document 2: expected ${JSON.stringify(tallyOf('2'))}, found undefined`],
  ],
  [
    documentsAreTheFold,
    'one that should not be',
    documentsWith('9', { count: 0 }),
    ['wrong: stored tally document 9: expected undefined, found {"count":0}'],
  ],
  [
    documentsAreTheFold,
    'one folded in another order',
    documentsWith('2', { ...tallyOf('2'), hash: 1 }),
    [`wrong: stored tally document 2: expected ${JSON.stringify(tallyOf('2'))}, found ${JSON.stringify({ ...tallyOf('2'), hash: 1 })}`],
  ],
  [
    statesAreTheFold,
    'a command that was decided on another state',
    { lines: linesWith((line) => (line.t === 'state' ? { ...line, state: { count: 2, hash: 1 } } : line)) },
    ['wrong: p.2 decided on a state of orders:1@3: expected {"count":3,"hash":5991}, found {"count":2,"hash":1}'],
  ],
  [
    statesAreTheFold,
    'a snapshot without its tail',
    { loaded: new Map([['orders:1', { version: 2, state: { count: 2, hash: 1 } }]]) },
    ['wrong: the state of orders:1 is of version 2, expected 3'],
  ],
  [
    everythingDrains,
    'what does not drain',
    { drain: { tookMs: 30_001, limitMs: 30_000, left: ['tallies lacks 3 events of partition 0'] } },
    ['late: tallies lacks 3 events of partition 0, 30000 ms after the faults had healed'],
  ],
  [
    nothingElseFailed,
    'an error that no fault explains',
    { lines: [...lines, { t: 'error', who: 'producer-1.1', at: 3, message: 'TypeError' }] },
    ['wrong: producer-1.1: TypeError'],
  ],
  [
    nothingElseFailed,
    'a log that is said to be lost, and cannot be',
    { lines: [...lines, { t: 'lost-log', who: 'projector-1.1', what: 'tallies', at: 3, message: 'LogLostError' }] },
    ['wrong: projector-1.1 says that the log is lost, and it is not: LogLostError'],
  ],
];

describe('a checker finds', () => {
  test.each(plants.map(([checker, what, change, found]) => ({ checker, what, change, found })))('$what', ({ checker, change, found }) => {
    expect(messagesOf(checker(history(change)))).toEqual(found);
  });
});

describe('after a failover that may have lost writes', () => {
  const lost = {
    log: log.slice(0, 2),
    mayLose: true,
    lines: linesWith((line) => (line.t === 'followed' && !line.key.startsWith('p.1#') ? undefined : line)),
  };

  test('what is lost is counted, and is no violation', () => {
    const [events] = check(history(lost));
    expect(messagesOf(events?.expected ?? [])).toEqual([
      'lost: p.2#0 was acknowledged as orders:1@3, and is lost',
      'lost: p.4#0 was acknowledged as orders:2@1, and is lost',
      'lost: p.4#1 was acknowledged as ledger:2@1, and is lost',
    ]);
    expect(hasViolation(check(history(lost)))).toBe(false);
  });

  test('what a rewound reactor did again is counted, and is no violation', () => {
    const twice = [first, second, third, fourth].map((event, index) => logged(event.streamName, event.streamVersion, index, { ...event.data, n: 4 }));
    const told = { t: 'lost-log', who: 'reactor-1.1', what: 'answering', at: 3, message: 'LogLostError' } as const;
    const findings = answersAreThereOnce(history({ log: twice, lines: [...lines, told], mayLose: true }));
    expect(findings.map(({ isExpected }) => isExpected)).toEqual([true, true, true, true]);
    expect(answersAreThereOnce(history({ log: twice, mayLose: true })).map(({ isExpected }) => isExpected)).toEqual([false, false, false, false]);
  });

  test('a document that still holds what is lost is a violation: nobody noticed', () => {
    const documents = [{ ...tallyDocuments(log), folded: tallyDocuments(lost.log).folded }];
    expect(messagesOf(documentsAreTheFold(history({ ...lost, documents })))).toHaveLength(2);
  });
});
