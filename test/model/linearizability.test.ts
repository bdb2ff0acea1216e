// The checker of histories lets pass what is sound, and finds each fault that is planted.
import { describe, expect, test } from 'vitest';
import { historyFaults, type Operation, orderFaults, type Written } from './linearizability.ts';

const appended = (start: number, end: number, from: number, to: number, expected: Operation['expected'] = 'any'): Operation => ({
  streamName: 's:1',
  start,
  end,
  outcome: { kind: 'appended', from, to },
  expected,
});
const seen = (start: number, end: number, version: number, expected?: Operation['expected']): Operation => ({
  streamName: 's:1',
  start,
  end,
  outcome: { kind: 'seen', version },
  ...(expected !== undefined && { expected }),
});
const stored = (count: number): { streamName: string; streamVersion: number }[] =>
  Array.from({ length: count }, (_, index) => ({ streamName: 's:1', streamVersion: index + 1 }));

test('a sound history has no fault, however its operations overlap', () => {
  const history = [
    appended(0, 10, 3, 4, 'stream-exists'),
    appended(1, 9, 1, 2, 'no-stream'),
    seen(2, 3, 0),
    seen(2, 12, 4, 1),
    seen(11, 12, 4),
    seen(4, 12, 2),
    appended(13, 14, 5, 5, 4),
  ];
  expect(historyFaults(history, stored(5))).toEqual([]);
});

describe('the checker of histories finds', () => {
  const faults: readonly [string, readonly Operation[], number, RegExp][] = [
    ['a lost append', [appended(0, 1, 1, 1), appended(2, 3, 2, 2)], 1, /1 events are stored, and 2 were told/],
    ['an append that was done twice', [appended(0, 1, 1, 1)], 2, /2 events are stored, and 1 were told/],
    [
      'two winners of one version',
      [appended(0, 1, 1, 1, 'no-stream'), appended(0, 1, 1, 1, 'no-stream')],
      1,
      /wrote versions 1 to 1 after version 1/,
    ],
    ['a gap', [appended(0, 1, 1, 1), appended(2, 3, 3, 3)], 3, /wrote versions 3 to 3 after version 1/],
    ['a version that was not the expected one', [appended(0, 1, 1, 1), appended(0, 1, 2, 2, 0)], 2, /expected 0 wrote version 2/],
    ['a conflict without a reason', [appended(0, 1, 1, 1), seen(2, 3, 1, 1)], 1, /expected 1 met a conflict at version 1/],
    ['a stale read', [appended(0, 1, 1, 1), appended(2, 3, 2, 2), seen(4, 5, 1)], 2, /version 1 was found after version 2/],
    ['a read of the future', [appended(0, 1, 1, 1), seen(2, 3, 2), appended(4, 5, 2, 2)], 2, /version 1 was found after version 2/],
    ['reads that go back', [appended(0, 9, 1, 1), seen(1, 2, 1), seen(3, 4, 0)], 1, /version 0 was found after version 1/],
    ['appends in another order than they were made', [appended(0, 1, 2, 2), appended(2, 3, 1, 1)], 2, /version 0 was found after version 2/],
    ['half an append', [appended(0, 1, 1, 2), seen(0, 1, 1)], 2, /in the middle of an append/],
  ];

  test.each(faults)('%s', (_, history, count, fault) => {
    expect(historyFaults(history, stored(count)).join('\n')).toMatch(fault);
  });
});

describe('the checker of the order of all', () => {
  const a = (from: number, to: number, expected: Written['streams'][number]['expected'] = 'any') => ({ streamName: 'a:1', from, to, expected });
  const b = (from: number, to: number, expected: Written['streams'][number]['expected'] = 'any') => ({ streamName: 'b:1', from, to, expected });
  const log = (...names: string[]) => names.map((name) => ({ streamName: `${name[0]}:1`, streamVersion: Number(name.slice(1)) }));

  test('lets pass what is sound', () => {
    const written = [
      { streams: [a(1, 2, 'no-stream'), b(1, 1)], guards: [] },
      { streams: [a(3, 3, 2)], guards: [{ streamName: 'b:1', expected: 1 }] },
    ];
    expect(orderFaults(written, log('a1', 'a2', 'b1', 'a3'))).toEqual([]);
  });

  test('finds a guard that was not met, an append that was torn, and an event of nobody', () => {
    const guarded = [
      { streams: [a(1, 1)], guards: [{ streamName: 'b:1', expected: 0 }] },
      { streams: [b(1, 1)], guards: [] },
    ];
    expect(orderFaults(guarded, log('a1', 'b1'))).toEqual([]);
    expect(orderFaults(guarded, log('b1', 'a1')).join()).toContain('b:1 was at version 1, expected 0');
    expect(
      orderFaults(
        [
          { streams: [a(1, 2)], guards: [] },
          { streams: [b(1, 1)], guards: [] },
        ],
        log('a1', 'b1', 'a2'),
      ).join(),
    ).toContain('does not stand with its append');
    expect(orderFaults([{ streams: [a(1, 1)], guards: [] }], log('a1', 'b1')).join()).toContain('b:1@1 begins no append');
  });
});
