// Shows any value in a message, short and on one line.

/** What was found, told in words, where the value itself must not or need not be shown. */
export class InWords {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const SHOWN_MAX = 80;

/** Shows a value in a message: short, on one line, whatever it is. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > SHOWN_MAX ? `${quoted(value.slice(0, 60))}… (${value.length} characters)` : quoted(value);
    case 'bigint':
      return shortened(`the BigInt ${value}n`);
    case 'symbol':
      return shortened(String(value));
    case 'function':
      return `a function (${nameOf(value) || 'anonymous'})`;
    case 'object':
      return showObject(value);
    default:
      return Object.is(value, -0) ? '-0' : String(value);
  }
}

function showObject(value: object | null): string {
  if (value === null) return 'null';
  if (value instanceof InWords) return value.text;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : `the Date ${value.toISOString()}`;
  const prototype = Object.getPrototypeOf(value) as { constructor?: unknown } | null;
  return `an object (${prototype === null ? 'without prototype' : nameOf(prototype.constructor)})`;
}

/** A class may have a static property `name` that is anything. */
function nameOf(named: unknown): string {
  const name: unknown = typeof named === 'function' ? named.name : undefined;
  return typeof name === 'string' ? shortened(name) : 'anonymous';
}

function shortened(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, 60)}… (${text.length} characters)` : text;
}

/** As JSON has it, and what moves a terminal's cursor or turns the direction of writing escaped too. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What a cause says, as a sentence of another message, which itself tells what was written. */
export function reasonIn(cause: unknown): string {
  const text = cause instanceof Error ? cause.message.replace(/ Nothing was written\.$/, '') : show(cause);
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
