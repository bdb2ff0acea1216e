// Holds the reference to what is exported.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as millrace from 'millrace';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const reference = read('docs/reference.md');

/** The names in the export lists of an index, and those that it declares itself. */
function exportedNames(path: string): string[] {
  const text = read(path);
  const listed = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, names = '']) => names.split(','));
  const declared = [...text.matchAll(/^export (?:abstract )?(?:async )?(?:class|function|interface|type|const) (\w+)/gm)].map(
    ([, name = '']) => name,
  );
  return [...listed.map((name) => name.replace(/\btype\b/, '').trim()).filter(Boolean), ...declared];
}

test.each(['src/index.ts', 'src/embedded/index.ts', 'src/errors.ts'])('the reference names everything that %s exports', (path) => {
  const internal = ['show', 'InWords'];
  const missing = exportedNames(path).filter((name) => !internal.includes(name) && !new RegExp(`\`[^\`]*\\b${name}\\b[^\`]*\``).test(reference));
  expect(missing).toEqual([]);
});

test('the reference tells the code of every error', () => {
  const codes = [...read('src/errors.ts').matchAll(/readonly code = '([\w-]+)'/g)].map(([, code = '']) => code);
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => !reference.includes(`| \`${code}\` |`))).toEqual([]);
});

test('the reference tells the limits as they are', () => {
  const numbers = { ...millrace.appendLimits, ...millrace.projectionLimits };
  expect(numbers).toEqual({
    eventBytes: 1_048_576,
    eventsOfAnAppend: 1_000,
    bytesOfAnAppend: 16_777_216,
    streamsOfAnAppend: 1_000,
    missedEvents: 100,
    documentBytes: 4_194_304,
    cachedDocuments: 50_000,
    commitBytes: 1_048_576,
  });
});

test('the README names, for each guarantee, a test that exists', () => {
  const rows = read('README.md').match(/^\| .*\]\(test\/.*$/gm) ?? [];
  const named = rows.map((row) => /\[([^\]]+)\]\((test\/[^)]+)\) \|$/.exec(row) ?? []);
  expect(named.length).toBeGreaterThan(10);
  const withoutTest = named.filter(([, name = '', path = '']) => !read(path).includes(name));
  expect(withoutTest.map(([row]) => row)).toEqual([]);
});
