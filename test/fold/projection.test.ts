// What a projection and a source refuse to be made of, and what they make of what they are given.
import { category, type Event, InvalidInputError, projection, type RecordedEvent, type SourceEntry, source } from 'millrace';
import { describe, expect, test } from 'vitest';

type Happened = Event<'Happened', { readonly n: number }>;

const things = category<Happened>('things');
const definition = { name: 'p', categories: [things], initialState: () => 0, evolve: (n: number) => n + 1 } as const;
const event = { type: 'Happened', data: { n: 7 }, streamName: 'things:a:b' } as RecordedEvent<Happened>;

describe('a projection', () => {
  test.each(['', 'a b', 'a\n', 'a{b', 'a}b', 'a:b', 'a@b', '\0', '\ud800', 7, undefined])('is refused the name %j', (name) => {
    expect(() => projection({ ...definition, name: name as string })).toThrow(InvalidInputError);
  });

  test('is refused a name of a million characters', () => {
    expect(() => projection({ ...definition, name: 'x'.repeat(1_000_000) })).toThrow(InvalidInputError);
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53, '1'])('is refused the version %j', (version) => {
    expect(() => projection({ ...definition, version: version as number })).toThrow(InvalidInputError);
  });

  test('is refused no category at all', () => {
    expect(() => projection({ ...definition, categories: [] })).toThrow(InvalidInputError);
  });

  test('reads each category once, whichever order they are named in', () => {
    const others = category<Happened>('others');
    expect(projection({ ...definition, categories: [things, others, things] }).categories).toEqual(['others', 'things']);
  });

  test('is keyed by the id of the stream, which may hold colons', () => {
    const keyed = projection(definition);
    expect(keyed.isKeyedByStream).toBe(true);
    expect(keyed.keys(event)).toEqual(['a:b']);
  });

  test('takes one key, several, each once, or none', () => {
    const keysOf = (key: string | readonly string[] | undefined): readonly string[] => projection({ ...definition, key: () => key }).keys(event);
    expect(keysOf('x')).toEqual(['x']);
    expect(keysOf(['x', 'y', 'x'])).toEqual(['x', 'y']);
    expect(keysOf([])).toEqual([]);
    expect(keysOf(undefined)).toEqual([]);
    expect(keysOf('ü'.repeat(512))).toHaveLength(1);
  });

  test.each([
    ['that is empty', ''],
    ['of more than 1,024 bytes', 'ü'.repeat(513)],
    ['with a lone surrogate', '\ud800'],
  ])('is refused a key %s', (_, key) => {
    expect(() => projection({ ...definition, key: () => key }).keys(event)).toThrow(InvalidInputError);
    expect(() => projection({ ...definition, key: () => ['fine', key] }).keys(event)).toThrow(InvalidInputError);
  });

  test('cannot be changed', () => {
    expect(Object.isFrozen(projection(definition))).toBe(true);
  });
});

describe('a source', () => {
  const entry: SourceEntry = { id: '1-1', time: new Date(1), fields: {}, pairs: [] };
  const decoding = (decoded: unknown) => source({ key: 'k', into: things, decode: () => decoded as undefined });

  test.each(['', '\ud800', 7, undefined])('is refused the key %j', (key) => {
    expect(() => source({ key: key as string, into: things, decode: () => undefined })).toThrow(InvalidInputError);
  });

  test('gives one event, several, or none', () => {
    const one = { id: 'a', event: { type: 'Happened', data: { n: 1 } } };
    expect(decoding(one).decode(entry)).toEqual([one]);
    expect(decoding([one, one]).decode(entry)).toEqual([one, one]);
    expect(decoding(undefined).decode(entry)).toEqual([]);
    expect(decoding([]).decode(entry)).toEqual([]);
  });

  test.each(['', 'a b', 'a\n', '{', '\0', 7, undefined])('throws for the stream id %j', (id) => {
    expect(() => decoding({ id, event: { type: 'Happened', data: { n: 1 } } }).decode(entry)).toThrow(InvalidInputError);
  });
});
