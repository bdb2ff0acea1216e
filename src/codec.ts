// Turns event data and states into text and back, and refuses what would not come back as it was.
import { InvalidInputError, isMillraceError } from './errors.ts';
import { InWords, show } from './show.ts';

/**
 * How event data, metadata and documents' values are written. Replaceable, for dates, compression or encryption, say.
 * Text in, text out: `decode(encode(value))` must be deep-equal to `value`, in every process that shares the store.
 */
export interface Codec {
  /** Throws for a value that would not come back. */
  encode(value: unknown): string;
  decode(text: string): unknown;
}

/** How many levels deep a value may be nested: much deeper ones overflow the stack of whatever walks through them. */
const LEVELS_MAX = 1_000;

const WRITABLE = 'what JSON can hold: text, finite numbers but -0, booleans, null, arrays, plain objects, or what has a toJSON';

/**
 * JSON. A date becomes its ISO text and stays one; a property that is undefined is absent; whatever else JSON would lose is refused,
 * and what is nested deeper than 1,000 levels.
 */
export const jsonCodec: Codec = {
  encode(value) {
    let text: string | undefined;
    try {
      if (isWritable(value, LEVELS_MAX)) text = JSON.stringify(value);
    } catch (error) {
      throw new InvalidInputError('value', 'one whose getters and toJSON do not throw', value, { cause: error });
    }
    if (text === undefined) throw findUnwritable(value, [], []) ?? new InvalidInputError('value', WRITABLE, value);
    return text;
  },
  decode: (text) => JSON.parse(text) as unknown,
};

/** Whether JSON loses nothing of it. Says no more than that, for it looks at everything that is written; `findUnwritable` says why not. */
function isWritable(value: unknown, levels: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      return value === null || (levels > 0 && isWritableInside(value, levels - 1));
    default:
      return false;
  }
}

function isWritableInside(value: object, levels: number): boolean {
  if (Array.isArray(value)) {
    // By number, for `every` passes over holes, which come back as null.
    for (let index = 0; index < value.length; index += 1) if (!isWritable(value[index], levels)) return false;
    return true;
  }
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') {
    const written: unknown = toJSON.call(value, '');
    if (written !== value) return written !== null && isWritable(written, levels);
  }
  if (!isPlain(value) || Object.getOwnPropertySymbols(value).length > 0) return false;
  for (const name in value) {
    const property = (value as Record<string, unknown>)[name];
    if (property !== undefined && !isWritable(property, levels)) return false;
  }
  return true;
}

/** A Map becomes {} in JSON, and an instance comes back without its class. An object of another realm is plain too. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** Goes the same way again, and says what cannot be written and where. `around` holds what it is in, from the top. */
function findUnwritable(value: unknown, path: readonly string[], around: readonly object[]): InvalidInputError | undefined {
  if (typeof value !== 'object') return isWritable(value, 0) ? undefined : new InvalidInputError(at(path), WRITABLE, value);
  if (value === null) return undefined;
  const circle = around.indexOf(value);
  if (circle >= 0) return new InvalidInputError(at(path), 'no cycle', new InWords(`a reference back to the ${at(path.slice(0, circle))}`));
  if (around.length === LEVELS_MAX) return new InvalidInputError('value', `at most ${LEVELS_MAX} levels`, new InWords('more'));
  const inside = [...around, value];
  const { toJSON } = value as { toJSON?: unknown };
  const written: unknown = !Array.isArray(value) && typeof toJSON === 'function' ? toJSON.call(value, '') : value;
  if (written === null || written === undefined) return new InvalidInputError(at(path), 'one whose toJSON gives a value', value);
  if (written !== value) return findUnwritable(written, path, inside);
  return findInside(value, path, inside);
}

function findInside(value: object, path: readonly string[], inside: readonly object[]): InvalidInputError | undefined {
  const isArray = Array.isArray(value);
  if (!isArray && !isPlain(value)) return new InvalidInputError(at(path), WRITABLE, value);
  const [symbol] = isArray ? [] : Object.getOwnPropertySymbols(value);
  if (symbol) return new InvalidInputError(at(path), 'properties with text for names', new InWords(`one named ${show(symbol)}`));
  const names = isArray ? Array.from(value, (_, index) => String(index)) : Object.keys(value);
  for (const name of names) {
    const property = (value as Record<string, unknown>)[name];
    const found = property === undefined && !isArray ? undefined : findUnwritable(property, [...path, name], inside);
    if (found) return found;
  }
  return undefined;
}

const PATH_NAMES_SHOWN = 8;

/** "value at a.0.b", short whatever its names are. */
function at(path: readonly string[]): string {
  if (path.length === 0) return 'value';
  const shown = path.slice(0, PATH_NAMES_SHOWN).map((name) => (/^[\w$-]{1,60}$/.test(name) ? name : show(name)));
  return `value at ${shown.join('.')}${path.length > shown.length ? '…' : ''}`;
}

/** A codec of the caller's own, whose failures are told as those of `jsonCodec` are. */
export function checkedCodec(codec: Codec): Codec {
  if (codec === jsonCodec) return codec;
  const isCodec = typeof codec === 'object' && codec !== null && typeof codec.encode === 'function' && typeof codec.decode === 'function';
  if (!isCodec) throw new InvalidInputError('option codec', 'an object with the functions encode and decode', codec);
  return { encode: (value) => encodeChecked(codec, value), decode: (text) => codec.decode(text) };
}

function encodeChecked(codec: Codec, value: unknown): string {
  let text: unknown;
  try {
    text = codec.encode(value);
  } catch (error) {
    if (isMillraceError(error)) throw error;
    const says = error instanceof Error ? error.message : show(error);
    throw new InvalidInputError('value', 'what the codec of this store can encode', new InWords(`${show(value)}, at which it threw: ${says}`), {
      cause: error,
    });
  }
  if (typeof text !== 'string') throw new InvalidInputError('codec', 'one whose encode returns a text', text);
  // A lone surrogate that JSON.stringify did not escape would come back as another character.
  if (!text.isWellFormed()) throw new InvalidInputError('codec', 'one whose encode returns well-formed text (no lone surrogate)', text);
  return text;
}

/** An error of encoding, said of what the value is: `data of event "Renamed" at a.b`. Any other error comes back as it is. */
export function saidOf(what: string, error: unknown): unknown {
  if (!(error instanceof InvalidInputError)) return error;
  return new InvalidInputError(
    error.what.replace(/^value/, () => what),
    error.expected,
    new InWords(error.found),
    { cause: error.cause },
  );
}

/**
 * Throws for an encoded text that holds a lone surrogate. JSON.stringify escapes those, and only those, as \udXXX; an even number of
 * backslashes before it is text that looks so.
 */
export function assertNoLoneSurrogate(text: string): void {
  if (!text.includes('\\ud') && text.isWellFormed()) return;
  const escaped = /(?<!\\)(?:\\\\)*\\ud[89a-f]/.exec(text);
  if (!escaped && text.isWellFormed()) return;
  const end = escaped ? escaped.index + escaped[0].length + 2 : 40;
  throw new InvalidInputError(
    'value',
    'well-formed text (no lone surrogate)',
    new InWords(`…${text.slice(Math.max(0, end - 40), end).toWellFormed()}…`),
  );
}
