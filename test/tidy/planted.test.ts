// Plants one violation of every rule of style and sees that it is found, so that a rule which finds nothing means something.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { brokenLinks, missingCommands, missingFiles } from './documents.ts';
import { filesWithoutImporter, importCircles, misplacedImports } from './rooms.ts';
import * as rules from './rules.ts';
import { functionsOf, parseSource, ROOT, type Source } from './sources.ts';

const file = (path: string, text: string): Source => parseSource({ path, text });

describe('the floor plan', () => {
  test('finds a room that imports what stands below it, by type too', () => {
    expect(misplacedImports([file('src/log/read.ts', "import type { S } from '../snapshot/snapshot-store.ts';")])).toHaveLength(1);
    expect(misplacedImports([file('src/fold/category.ts', "export { x } from '../redis/keys.ts';")])).toHaveLength(1);
    expect(misplacedImports([file('src/log/append.ts', "type P = import('../processor/lease.ts').Lease;")])).toHaveLength(1);
    expect(misplacedImports([file('src/event.ts', "const x = await import('./fold/category.ts');")])).toHaveLength(1);
    expect(misplacedImports([file('src/loop/lease.ts', "import '../event-store.ts'; import '../redis/keys.ts'; import './loop.ts';")])).toEqual([]);
  });

  test('finds the write side and the read side talking to each other', () => {
    expect(misplacedImports([file('src/log/append.ts', "import './read.ts';")])).toHaveLength(1);
    expect(misplacedImports([file('src/log/read.ts', "import './append.ts';")])).toHaveLength(1);
    expect(misplacedImports([file('src/snapshot/snapshot-store.ts', "import '../log/append-batch.ts';")])).toHaveLength(1);
    expect(misplacedImports([file('src/snapshot/snapshot-store.ts', "import '../log/read.ts';")])).toEqual([]);
  });

  test('finds a file without a room, the table of contents imported, and a client outside redis/', () => {
    expect(misplacedImports([file('src/utils/text.ts', '')])).toHaveLength(1);
    expect(misplacedImports([file('src/log/read.ts', "import '../index.ts';")])).toHaveLength(1);
    expect(misplacedImports([file('src/cli/main.ts', "import '../index.ts';")])).toEqual([]);
    expect(misplacedImports([file('src/event-store.ts', "import { Redis } from 'ioredis';")])).toHaveLength(1);
    expect(misplacedImports([file('src/redis/ioredis.ts', "import { Redis } from 'ioredis';")])).toEqual([]);
  });

  test('finds circles, of types and of a file with itself', () => {
    const circle = [
      file('src/a.ts', "import type { B } from './b.ts';"),
      file('src/b.ts', "export * from './c.js';"),
      file('src/c.ts', "import './a.ts';"),
    ];
    expect(importCircles(circle)).toEqual(['src/a.ts → src/b.ts → src/c.ts → src/a.ts']);
    expect(importCircles([file('src/a.ts', "import './a.ts';")])).toHaveLength(1);
    expect(importCircles(circle.slice(0, 2))).toEqual([]);
  });

  test('finds files that nothing imports', () => {
    const files = [
      file('src/index.ts', "import './a.ts'; new URL('./worker.js', import.meta.url);"),
      file('src/a.ts', ''),
      file('src/worker.ts', ''),
      file('src/lost.ts', ''),
    ];
    expect(filesWithoutImporter(files, ['src/index.ts'])).toEqual(['src/lost.ts']);
  });
});

describe('the habits', () => {
  test('find a first line that is no comment, no sentence, or two', () => {
    const bad = ["import './a.ts';", '// no full stop', '// One thing. Another thing.', '/* A block. */', '// …', ''];
    expect(rules.withoutPurpose(bad.map((text) => ({ path: 'src/a.ts', text })))).toHaveLength(bad.length);
    expect(rules.withoutPurpose([{ path: 'tools/a.mjs', text: '#!/usr/bin/env node\n// Does one thing, e.g. this.\n' }])).toEqual([]);
  });

  test('find any and its disguise', () => {
    expect(
      rules.anyTypes([file('src/a.ts', 'let a: any; let b = 1 as unknown as string; let c: Array<any>; const any = 1 as number;')]),
    ).toHaveLength(3);
  });

  test('find a compiler that is silenced', () => {
    const text = '// @ts-ignore: because\nconst a = 1;\n// @ts-expect-error\nconst b = 2;';
    expect(rules.silencedCompiler([file('src/a.ts', text)])).toHaveLength(2);
    expect(rules.silencedCompiler([file('test/types/a.test-d.ts', text)])).toHaveLength(1);
  });

  test('find work that was put off', () => {
    expect(rules.putOff([file('src/a.ts', "// TODO: later\n/* FIXME */ const a = 'TODO';")])).toHaveLength(2);
  });

  test('find names in another case', () => {
    expect(rules.misnamed(['src/eventStore.ts', 'src/Log/read.ts', 'test/a_b.test.ts'])).toHaveLength(3);
    expect(rules.misnamed(['src/event-store.ts', 'docs/decisions/0001-one-log.md', 'examples/README.md', 'test/types/fold.test-d.ts'])).toEqual([]);
  });

  test('find long files and long functions, and measure functions of every kind', () => {
    expect(rules.longFiles([{ path: 'src/a.ts', text: '\n'.repeat(301) }], 300)).toHaveLength(1);
    expect(rules.longFunctions([file('src/a.ts', `const long = () => {${'\n'.repeat(70)}};`)], 70)).toHaveLength(1);
    expect(rules.longFunctions([file('src/a.ts', `const long = () => {${'\n'.repeat(69)}};`)], 70)).toEqual([]);
    const kinds = 'function a() {} const b = () => 1; class C { d() {} #e = () => 2; get f() { return 3; } } const g = { h() {} }; i(() => 4);';
    expect(functionsOf(file('src/a.ts', kinds)).map(({ name }) => name)).toEqual(['a', 'b', 'd', 'e', 'f', 'h', undefined]);
    expect(rules.percentile([3, 1, 2, 10], 0.5)).toBe(2);
  });

  test('find scripts without a contract or a caller', () => {
    const good = { path: 'src/redis/scripts/append.lua', text: '#!lua\n-- Appends.\n-- KEYS 1 head\n-- ARGV none\n-- Reply nothing\nreturn 1\n' };
    expect(rules.scriptsWithoutContract([good])).toEqual([]);
    expect(rules.scriptsWithoutContract([{ path: 'a.lua', text: 'return 1 -- KEYS' }])).toHaveLength(4);
    expect(rules.scriptsWithoutCaller([good], [file('src/redis/scripts.ts', "load('append');")])).toEqual([]);
    expect(rules.scriptsWithoutCaller([good], [file('src/redis/scripts.ts', "load('appends');")])).toHaveLength(1);
  });

  test('find templates of keys, in code and in scripts', () => {
    const text = 'const a = `{${ns}:0}:log:${name}`; const b = `${tag}:head`; const c = "{x}:y"; const d = "a head: none";';
    expect(rules.keyTemplates([file('src/log/read.ts', text)], [])).toHaveLength(3);
    const script = "local a = tag .. ':log:' .. name\nlocal b = ':' -- ':log:'\nlocal c = \"{x}:y\"\n";
    expect(rules.keyTemplates([], [{ path: 'a.lua', text: script }])).toHaveLength(2);
  });

  test('find errors that nothing makes or no test names', () => {
    const errors = file(
      'src/errors.ts',
      "export abstract class Base extends Error {}\nexport class LostError extends BaseError { readonly code = 'lost'; }",
    );
    const use = file('src/a.ts', 'throw new LostError();');
    expect(rules.errorsWithoutUse([errors], [])).toHaveLength(2);
    expect(rules.errorsWithoutUse([errors, use], [{ path: 'test/a.test.ts', text: "code: 'lost'" }])).toEqual([]);
  });

  test('find tests that are left out in silence', () => {
    const silent = "it.only('a'); describe.skip('b'); test.skipIf(true)('c'); it.each([1]).skip('d'); context.skip();";
    expect(rules.silentSkips([file('test/a.test.ts', silent)])).toHaveLength(5);
    const spoken = "// skip: needs a network namespace\ntest.skipIf(true)('c');\ncontext.skip('no engine');\nevents.only('x');";
    expect(rules.silentSkips([file('test/a.test.ts', spoken)])).toEqual([]);
  });

  test('find packages that are not declared', () => {
    const imports = "import 'node:fs'; import './b.ts'; import 'lru-cache'; import '@scope/name/deep';";
    expect(rules.undeclaredPackages([file('src/a.ts', imports)], ['lru-cache'])).toEqual([
      'src/a.ts imports @scope/name, which package.json does not declare',
    ]);
  });
});

describe('the linter', () => {
  const lint = (text: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-lint-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'a.ts'), `declare function append(): Promise<number>;\n${text}`);
    writeFileSync(join(folder, 'tsconfig.json'), '{ "compilerOptions": { "strict": true, "target": "es2022" } }');
    const linter = join(ROOT, 'node_modules/oxlint/bin/oxlint');
    return spawnSync(process.execPath, [linter, '--type-aware', '-c', join(ROOT, '.oxlintrc.json'), '-f', 'unix', folder], { encoding: 'utf8' })
      .stdout;
  };

  test.each([
    ['a forgotten await', 'export function f(): void { append(); }', 'no-floating-promises'],
    ['a promise as a condition', 'export async function f(): Promise<void> { if (append()) await append(); }', 'no-misused-promises'],
    ['an async callback that nobody awaits', '[1].forEach(async () => { await append(); });', 'no-misused-promises'],
    ['an await of what is no promise', 'export async function f(): Promise<void> { await 1; }', 'await-thenable'],
    [
      'a promise returned out of its try',
      'export async function f(): Promise<number> { try { return append(); } catch { return 0; } }',
      'return-await',
    ],
    ['any', 'export const a: any = 1;', 'no-explicit-any'],
  ])('refuses %s', (_, text, rule) => {
    expect(lint(text)).toContain(rule);
  });

  test('has nothing against promises that are awaited', () => {
    expect(lint('export async function f(): Promise<void> { await append(); void append(); }')).toBe('');
  });
});

describe('the documents', () => {
  test('are found to link to what does not exist', () => {
    const text =
      '# Two words\n[a](#two-words) [b](#three) [c](no-such.md) [d](LICENSE) [e](https://example.org/x) `src/no-such.ts` npm run nonsense\n```\n[f](nowhere)\n```\n';
    const document = { path: 'README.md', text };
    expect(brokenLinks([document])).toEqual(['README.md: #three has no such heading', 'README.md: no-such.md does not exist']);
    expect(missingFiles([document])).toHaveLength(1);
    expect(missingCommands([document], { test: '' })).toHaveLength(1);
  });

  test('are found to show code that is out of date, and are mended', () => {
    const root = mkdtempSync(join(tmpdir(), 'millrace-embed-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, 'code.ts'), 'const before = 0;\n  // #region middle\n  const a = 1;\n    a;\n  // #endregion\nconst after = 2;\n');
    writeFileSync(join(root, 'a.md'), 'x\n<!-- code: code.ts#middle -->\n```ts\nold\n```\n\n<!-- code: code.ts -->\n\n```ts\n```\ny\n');
    const tool = join(ROOT, 'tools/embed-code.mjs');
    expect(spawnSync(process.execPath, [tool, root, '--check']).status).toBe(1);
    execFileSync(process.execPath, [tool, root]);
    const whole = 'const before = 0;\n  const a = 1;\n    a;\nconst after = 2;\n';
    const mended = `x\n<!-- code: code.ts#middle -->\n\`\`\`ts\nconst a = 1;\n  a;\n\`\`\`\n\n<!-- code: code.ts -->\n\n\`\`\`ts\n${whole}\`\`\`\ny\n`;
    expect(readFileSync(join(root, 'a.md'), 'utf8')).toBe(mended);
    expect(spawnSync(process.execPath, [tool, root, '--check']).status).toBe(0);
    writeFileSync(join(root, 'a.md'), '<!-- code: code.ts#no-such -->\n```ts\n```\n');
    expect(spawnSync(process.execPath, [tool, root, '--check']).status).toBe(1);
  });
});
