// Turns event data and states into text and back, and refuses what would not come back as it was.
import { InvalidInputError } from './errors.ts';

/**
 * How event data, metadata and documents' values are written. Replaceable, for dates, compression or encryption, say.
 * Text in, text out: `decode(encode(value))` must be deep-equal to `value`, in every process that shares the store.
 */
export interface Codec {
  /** Throws for a value that would not come back. */
  encode(value: unknown): string;
  decode(text: string): unknown;
}

/** JSON. A date becomes its ISO text and stays one; a property that is undefined is absent; whatever else JSON would lose is refused. */
export const jsonCodec: Codec = {
  encode(value) {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      throw new InvalidInputError('value', 'what JSON can hold', value, { cause: error });
    }
    if (text === undefined) throw new InvalidInputError('value', 'what JSON can hold', value);
    assertNothingLost(value, '');
    return text;
  },
  decode: (text) => JSON.parse(text) as unknown,
};

/** Walks what JSON.stringify went through before (so it ends), and throws at what it dropped or changed. */
function assertNothingLost(value: unknown, path: string): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (Number.isFinite(value) && !Object.is(value, -0)) return;
      break;
    case 'object':
      if (value === null) return;
      assertNothingLostInside(value, path);
      return;
    default:
  }
  throw new InvalidInputError(path === '' ? 'value' : `value at ${path.slice(1)}`, 'what JSON can hold', value);
}

function assertNothingLostInside(value: object, path: string): void {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) assertNothingLost(value[index], `${path}.${index}`);
    return;
  }
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') {
    const written: unknown = toJSON.call(value, '');
    if (written === null || written === undefined) throw new InvalidInputError(`value at ${path.slice(1)}`, 'one whose toJSON gives a value', value);
    if (written !== value) assertNothingLost(written, path);
    return;
  }
  assertPlain(value, path);
  for (const name in value) {
    const property = (value as Record<string, unknown>)[name];
    if (property !== undefined) assertNothingLost(property, `${path}.${name}`);
  }
}

/** A Map becomes {} in JSON, and an instance comes back without its class. */
function assertPlain(value: object, path: string): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null) return;
  throw new InvalidInputError(`value at ${path.slice(1) || 'the top'}`, 'a plain object, array or primitive (or one with toJSON)', value);
}

/**
 * Throws for an encoded text that holds a lone surrogate. JSON.stringify escapes those, and only those, as \udXXX; an even number of
 * backslashes before it is text that looks so.
 */
export function assertNoLoneSurrogate(text: string): void {
  const isEscaped = text.includes('\\ud') && /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(text);
  if (isEscaped || !text.isWellFormed()) throw new InvalidInputError('value', 'well-formed text (no lone surrogate)', text);
}
