// Where a text stops being JSON: engines do not all tell, and those that do say it each in its own way.

export interface JsonProblem {
  /** How many characters stand before it. */
  readonly at: number;
  readonly line: number;
  readonly column: number;
  /** What should have stood there. */
  readonly expected: string;
}

const SPACE = /[ \t\n\r]*/y;
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w)/y;

/** Undefined where the text is JSON. */
export function jsonProblemOf(text: string): JsonProblem | undefined {
  const scanner = new Scanner(text);
  try {
    scanner.whole();
    return undefined;
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    const before = text.slice(0, scanner.at).split('\n');
    return { at: scanner.at, line: before.length, column: (before.at(-1)?.length ?? 0) + 1, expected: error.message };
  }
}

class Misfit extends Error {}

class Scanner {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): void {
    this.#value();
    if (this.at < this.#text.length) throw new Misfit('nothing more');
  }

  #value(): void {
    this.#take(SPACE);
    if (this.#is('{')) this.#list('}', () => this.#property());
    else if (this.#is('[')) this.#list(']', () => this.#value());
    else if (!this.#take(TEXT) && !this.#take(SCALAR))
      throw new Misfit('a value: an object, a list, a text in double quotes, a number, true, false or null');
    this.#take(SPACE);
  }

  #property(): void {
    this.#take(SPACE);
    if (!this.#take(TEXT)) throw new Misfit('a name in double quotes');
    this.#take(SPACE);
    if (!this.#is(':')) throw new Misfit('a colon');
    this.#value();
  }

  #list(end: string, item: () => void): void {
    this.#take(SPACE);
    if (this.#is(end)) return;
    do item();
    while (this.#is(','));
    if (!this.#is(end)) throw new Misfit(`a comma or ${end}`);
  }

  #is(character: string): boolean {
    const isThere = this.#text.startsWith(character, this.at);
    if (isThere) this.at += character.length;
    return isThere;
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    const isThere = pattern.test(this.#text);
    if (isThere) this.at = pattern.lastIndex;
    return isThere;
  }
}
