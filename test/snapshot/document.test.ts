// A state as fields: what any Redis client reads, and that it comes back as it was.
import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { jsonCodec } from 'millrace';
import { describe, expect, test } from 'vitest';
import { decodeDocument, documentFields, encodeState, placeOfDocument, positionFields } from '../../src/snapshot/document.ts';

const KEY = 'the-key';

function back(state: unknown): unknown {
  return decodeDocument(jsonCodec, [...positionFields(7), ...encodeState(jsonCodec, state)], KEY).state;
}

function fieldOf(value: unknown): string | undefined {
  return encodeState(jsonCodec, { value })[1];
}

describe('a property', () => {
  test.each([
    ['Duffy', 'Duffy'],
    ['', ''],
    ['null and void', 'null and void'],
    [12, '12'],
    ['12', '"12"'],
    [true, 'true'],
    ['true', '"true"'],
    ['false', '"false"'],
    ['null', '"null"'],
    [null, 'null'],
    ['{', '"{"'],
    ['[1]', '"[1]"'],
    ['"', String.raw`"\""`],
    ['-', '"-"'],
    [' x', '" x"'],
    [[], '[]'],
    [{ a: [] }, '{"a":[]}'],
    ['\ud800', String.raw`"\ud800"`],
    ['\0\n', '\0\n'],
  ])('of %j stands there as %j, and comes back', (value, field) => {
    expect(fieldOf(value)).toBe(field);
    expect(back({ value })).toEqual({ value });
  });

  test('whose name begins with a colon has it doubled', () => {
    expect(encodeState(jsonCodec, { ':position': 'mine', '::': 'x' })).toEqual(['::position', 'mine', ':::', 'x']);
  });

  test('of any text and any name comes back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue())), (state) => {
        const expected: unknown = JSON.parse(JSON.stringify(state));
        deepStrictEqual(back(expected), expected);
      }),
      { numRuns: 2_000, seed: 3 },
    );
  });

  test('is written by any codec so that it cannot be taken for plain text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ maxLength: 3 }), (text, sign) => {
        // Its texts may begin with anything, a space and a quote too.
        const codec = {
          encode: (value: unknown): string => sign + JSON.stringify(value),
          decode: (encoded: string): unknown => JSON.parse(encoded.slice(sign.length)) as unknown,
        };
        const state = { text, number: 1, list: [text] };
        for (const each of [state, [state], text]) deepStrictEqual(decodeDocument(codec, encodeState(codec, each), KEY).state, each);
      }),
      { numRuns: 2_000, seed: 5 },
    );
  });
});

describe('a document', () => {
  test('of no fields is none', () => {
    expect(decodeDocument(jsonCodec, [], KEY).state).toBeUndefined();
    expect(placeOfDocument(decodeDocument(jsonCodec, [], KEY))).toBe(-1);
  });

  test('of a state without properties is there', () => {
    expect(back({})).toEqual({});
    expect(back({ gone: undefined })).toEqual({});
  });

  test('that is marked as deleted is none', () => {
    expect(decodeDocument(jsonCodec, [documentFields.deleted, '1', 'name', 'Duffy'], KEY).state).toBeUndefined();
  });

  test('says up to where it was folded', () => {
    expect(placeOfDocument(decodeDocument(jsonCodec, positionFields(4_097), KEY))).toBe(4_097);
  });

  test.each([['text'], [1], [true], [[1, 2]], [[]], [{ 'a\ud800': 1 }]])('of the state %j is in one field', (state) => {
    const fields = encodeState(jsonCodec, state);
    expect(fields[0]).toBe(documentFields.state);
    expect(fields).toHaveLength(2);
    expect(back(state)).toEqual(state);
  });
});
