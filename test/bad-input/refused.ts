// What every refusal of bad input has in common: the right class and code, a message for people, and nothing written.
import { inspect } from 'node:util';
import { InvalidInputError, isMillraceError, type MillraceError } from 'millrace';
import { expect } from 'vitest';
import { connectRaw, type RawClient } from '../support/clients.ts';

/** A password of tests, which no message may show. */
export const SECRET = 's3cret/pa:ss@word';

/**
 * Every key of a namespace with what it holds. Left out are a writer's records, which tell what was asked, and the names of categories,
 * which are noted when they are first asked for.
 */
export async function contentsOf(raw: RawClient, namespace: string): Promise<ReadonlyMap<string, string>> {
  const keys = new Set<string>();
  let cursor = '';
  while (cursor !== '0') {
    const [next, found] = (await raw.send('SCAN', cursor || '0', 'MATCH', `{${namespace}*`, 'COUNT', '1000')) as [string, string[]];
    for (const key of found) if (!/:0\}:(writer:|categories$)/.test(key)) keys.add(key);
    cursor = next;
  }
  const contents = new Map<string, string>();
  for (const key of [...keys].sort()) contents.set(key, String(await raw.send('DUMP', key)));
  return contents;
}

/** Runs something, and fails unless the namespace holds the same before and after. */
export async function writingNothing<T>(namespace: string, work: () => Promise<T>, url?: string): Promise<T> {
  await using raw = await connectRaw(url);
  const before = await contentsOf(raw, namespace);
  const result = await work();
  expect(await contentsOf(raw, namespace)).toEqual(before);
  return result;
}

/** The error that something ends with, thrown at once or later; one of the library's, and fit to be shown. */
export async function refusalOf(work: () => unknown): Promise<MillraceError> {
  let outcome: unknown;
  try {
    outcome = await work();
  } catch (error) {
    if (!isMillraceError(error)) throw new Error(`expected an error of the library, found ${inspect(error).slice(0, 500)}`, { cause: error });
    expectFitToShow(error);
    return error;
  }
  throw new Error(`expected an error, found ${inspect(outcome).slice(0, 500)}`);
}

/** The same for input that cannot be used. */
export async function invalidInputOf(work: () => unknown): Promise<InvalidInputError> {
  const error = await refusalOf(work);
  expect(error).toBeInstanceOf(InvalidInputError);
  expect(error.code).toBe('invalid-input');
  expect(error.message).toMatch(/^Invalid .+: expected .+, found .+\. Nothing was written\.$/);
  return error as InvalidInputError;
}

/** One short line of whole sentences, and no password anywhere in it or behind it. */
export function expectFitToShow(error: MillraceError): void {
  expect(error.name).toBe(error.constructor.name);
  expect(error.message).toMatch(/^[A-Z][^\n\r]{20,900}[.)]$/);
  const seen: string[] = [];
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    seen.push(each.message, each.stack ?? '', JSON.stringify(each), inspect(each, { showHidden: true, depth: 9 }));
  }
  for (const form of [SECRET, encodeURIComponent(SECRET)]) expect(seen.filter((text) => text.includes(form))).toEqual([]);
}

/** Names that must not be: each with what is wrong with it. */
export const badNames: readonly (readonly [wrong: string, name: unknown])[] = [
  ['empty', ''],
  ['with a space', 'a b'],
  ['with a newline', 'a\nb'],
  ['with a tab', 'a\tb'],
  ['with a no-break space', 'a\u00a0b'],
  ['with a line separator', 'a\u2028b'],
  ['with an opening brace', 'a{b'],
  ['with a closing brace', 'a}b'],
  ['with NUL', 'a\u0000b'],
  ['with DEL', 'a\u007fb'],
  ['with a C1 control character', 'a\u009bb'],
  ['1 MiB long', 'a'.repeat(1_048_576)],
  ['a byte too long', `${'é'.repeat(256)}a`],
  ['of the prototype', '__proto__'],
  ['with a lone surrogate', 'a\ud800b'],
  ['with a lone second surrogate', '\udc00'],
  ['a number', 1],
  ['null', null],
  ['undefined', undefined],
  ['an array', ['a']],
  ['an object', { toString: () => 'a' }],
  ['a boxed text', Object('a')],
];
