// The checkers find what they are for: each is shown a sound history and ones with planted faults.
import type { Position } from 'millrace';
import { describe, expect, test } from 'vitest';
import { documentFaults, foldAll, lossFaults, orderFaults, positionFaults, type Recorded, versionFaults } from './history.ts';

function event(streamName: string, streamVersion: number, position: string): Recorded {
  return { id: `${streamName}@${streamVersion}`, streamName, streamVersion, position: position as Position, data: { n: streamVersion } };
}

/** Compared as text, 9 would come after 10. */
function at(place: number): string {
  return `1800000000000-${place}`;
}

const first = event('a:1', 1, at(9));
const second = event('a:1', 2, at(10));
const other = event('b:1', 1, at(11));
const elsewhere = event('b:2', 1, `${at(5)}@1`);
const sound = [first, second, other, elsewhere];
const keys = sound.map(({ id }) => id);
const keyOf = ({ id }: Recorded): string => id;
const count = (events: readonly Recorded[]): Map<string, number> => foldAll(events, 0, (n) => n + 1);

describe('a checker of histories', () => {
  test('finds nothing in a sound one', () => {
    const byStream = new Map([
      ['a:1', [first, second]],
      ['b:1', [other]],
      ['b:2', [elsewhere]],
    ]);
    expect(
      [
        versionFaults(sound),
        positionFaults(sound),
        lossFaults(keys, sound, keyOf),
        orderFaults(sound, byStream),
        documentFaults(count(sound), count(sound)),
      ].flat(),
    ).toEqual([]);
  });

  test.each([
    ['a lost event', [first, other, elsewhere], ['a:1@2 is lost']],
    ['one that came twice: no deduplication', [first, second, second, other, elsewhere], ['a:1@2 is there twice']],
    ['one that nobody was told of', [...sound, event('a:1', 3, at(12))], ['a:1@3 is there, and nobody was told so']],
  ])('of losses finds %s', (_, events, faults) => {
    expect(lossFaults(keys, events, keyOf)).toEqual(faults);
  });

  test.each([
    ['a gap', [first, event('a:1', 3, at(12))], ['a:1: expected version 2, found 3']],
    ['a version that comes twice: taken from the length of a trimmed log', [first, event('a:1', 1, at(12))], ['a:1: expected version 2, found 1']],
    ['a first version that is not 1', [event('a:1', 0, at(9))], ['a:1: expected version 1, found 0']],
  ])('of versions finds %s', (_, events, faults) => {
    expect(versionFaults(events)).toEqual(faults);
  });

  test.each([
    ['two in the wrong order', [second, first], [`position ${at(9)} comes after ${at(10)}`]],
    ['one place taken twice', [first, event('b:1', 1, at(9))], [`position ${at(9)} comes after ${at(9)}`]],
  ])('of positions finds %s', (_, events, faults) => {
    expect(positionFaults(events)).toEqual(faults);
  });

  test('of orders finds a stream that stands differently in the order of all', () => {
    const found = orderFaults(
      [second, first],
      new Map([
        ['a:1', [first, second]],
        ['b:1', []],
      ]),
    );
    expect(found).toEqual(['a:1: its events stand in another order in its stream than in the order of all']);
    expect(orderFaults([], new Map([['a:1', [first]]]))).toHaveLength(1);
  });

  test.each([
    [
      'an event that counted twice',
      new Map([
        ['1', 4],
        ['2', 1],
      ]),
      ['document 1: expected 3, found 4'],
    ],
    [
      'one that did not count',
      new Map([
        ['1', 2],
        ['2', 1],
      ]),
      ['document 1: expected 3, found 2'],
    ],
    ['a document that is missing', new Map([['1', 3]]), ['document 2: expected 1, found undefined']],
    [
      'one that should not be',
      new Map([
        ['1', 3],
        ['2', 1],
        ['3', 1],
      ]),
      ['document 3: expected undefined, found 1'],
    ],
  ])('of documents finds %s', (_, documents, faults) => {
    expect(documentFaults(documents, count(sound))).toEqual(faults);
  });
});
