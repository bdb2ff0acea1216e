// Where a text stops being JSON, as the editor of a dead letter tells it.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { jsonProblemOf } from '../../../src/dashboard/page/json-problem.ts';

describe('the place where a text stops being JSON', () => {
  test.each([
    ['{ "type": nonsense }', 1, 11, 'a value'],
    ['{\n  "a": 1,\n}', 3, 1, 'a name in double quotes'],
    ['{ "a" 1 }', 1, 7, 'a colon'],
    ['{ "a": 1 "b": 2 }', 1, 10, 'a comma or }'],
    ['[1, 2', 1, 6, 'a comma or ]'],
    ['[01]', 1, 2, 'a value'],
    ["{ 'a': 1 }", 1, 3, 'a name in double quotes'],
    ['"\u0001"', 1, 1, 'a value'],
    ['{} {}', 1, 4, 'nothing more'],
    ['', 1, 1, 'a value'],
  ])('of %j is line %i, column %i', (text, line, column, expected) => {
    expect(() => JSON.parse(text) as unknown).toThrow();
    expect(jsonProblemOf(text)).toMatchObject({ line, column, expected: expect.stringContaining(expected) as string });
  });

  test.each(['{}', '[]', ' null ', '-0.5e+3', '"\\u0041\\n"', '{"a":[1,{"b":"\\"}"}],"c":true}', readFileSync('package-lock.json', 'utf8')])(
    'is none in what is JSON',
    (text) => {
      expect(() => JSON.parse(text) as unknown).not.toThrow();
      expect(jsonProblemOf(text)).toBeUndefined();
    },
  );
});
