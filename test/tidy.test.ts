// Style as a test: the habits that CONTRIBUTING.md names, checked on the repository's own files.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { brokenLinks, missingCommands, missingFiles } from './tidy/documents.ts';
import { filesWithoutImporter, importCircles, misplacedImports } from './tidy/rooms.ts';
import * as rules from './tidy/rules.ts';
import { functionsOf, readFiles, readSources, ROOT } from './tidy/sources.ts';

/** A ratchet: these numbers may only go down. */
const RATCHET = {
  sourceFileLinesMax: 300,
  sourceFileLinesMedian: 150,
  otherFileLinesMax: 400,
  functionLinesMax: 70,
  functionLinesP95: 40,
  functionLinesMedian: 9,
};

interface Manifest {
  readonly scripts: Record<string, string>;
  readonly exports: Record<string, string | { readonly default: string }>;
  readonly bin?: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
/** What the build puts into one file, with the packages that it uses. */
const BUNDLED = 'src/dashboard/page/';
const source = readSources(['src']);
const tests = readSources(['test']);
const others = readSources(['bench', 'examples', 'faults', 'tools', 'vitest.config.ts']);
const scripts = readFiles(['src'], /\.lua$/);
const documents = readFiles(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs', 'examples', 'bench'], /\.md$/);
const everything = [...source, ...tests, ...others];

describe('every file', () => {
  test('begins with a comment that says its purpose in one sentence', () => {
    expect(rules.withoutPurpose(everything)).toEqual([]);
  });

  test('has a name in kebab case', () => {
    const named = readFiles(['src', 'test', 'bench', 'examples', 'faults', 'tools', 'docs'], /./);
    expect(rules.misnamed(named.map(({ path }) => path))).toEqual([]);
  });

  test('is short', () => {
    expect(rules.longFiles(source, RATCHET.sourceFileLinesMax)).toEqual([]);
    expect(rules.longFiles([...tests, ...others], RATCHET.otherFileLinesMax)).toEqual([]);
    expect(rules.percentile(source.map(rules.lineCountOf), 0.5)).toBeLessThanOrEqual(RATCHET.sourceFileLinesMedian);
  });

  test('is free of any, and of casts that are one', () => {
    expect(rules.anyTypes(everything)).toEqual([]);
  });

  test('leaves the compiler its voice', () => {
    expect(rules.silencedCompiler(everything)).toEqual([]);
  });

  test('puts nothing off in a comment', () => {
    expect(rules.putOff(everything)).toEqual([]);
  });
});

describe('functions', () => {
  test('are never longer than a screen', () => {
    expect(rules.longFunctions([...source, ...others], RATCHET.functionLinesMax)).toEqual([]);
  });

  test('are mostly a few lines long', () => {
    const lines = source.flatMap(functionsOf).flatMap(({ name, lineCount }) => (name === undefined ? [] : [lineCount]));
    expect(rules.percentile(lines, 0.5)).toBeLessThanOrEqual(RATCHET.functionLinesMedian);
    expect(rules.percentile(lines, 0.95)).toBeLessThanOrEqual(RATCHET.functionLinesP95);
  });
});

describe('the rooms of src', () => {
  test('import only what stands above them in the floor plan', () => {
    expect(misplacedImports(source)).toEqual([]);
  });

  test('hold no circle of imports, types included', () => {
    expect(importCircles(source)).toEqual([]);
  });

  test('hold no file that nothing imports', () => {
    const targets = Object.values(manifest.exports).map((target) => (typeof target === 'string' ? target : target.default));
    const entryPoints = [...targets, ...Object.values(manifest.bin ?? {})].map((path) => path.replace(/^(\.\/)?dist\/(.*)\.js$/, 'src/$2.ts'));
    expect(filesWithoutImporter(source, [...entryPoints, 'src/dashboard/page/main.tsx'])).toEqual([]);
  });

  test('import only packages that package.json declares', () => {
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    expect(
      rules.undeclaredPackages(
        source.filter(({ path }) => !path.startsWith(BUNDLED)),
        declared,
      ),
    ).toEqual([]);
  });
});

describe('Redis', () => {
  test('scripts open with their contract', () => {
    expect(rules.scriptsWithoutContract(scripts)).toEqual([]);
  });

  test('scripts are all run by something', () => {
    expect(rules.scriptsWithoutCaller(scripts, source)).toEqual([]);
  });

  test('keys have templates only in redis/keys.ts', () => {
    const elsewhere = source.filter(({ path }) => path !== 'src/redis/keys.ts');
    expect(rules.keyTemplates(elsewhere, scripts)).toEqual([]);
  });
});

describe('errors and tests', () => {
  test('every exported error is made somewhere and named in a test', () => {
    const elsewhere = tests.filter(({ path }) => !path.startsWith('test/tidy'));
    expect(rules.errorsWithoutUse(source, elsewhere)).toEqual([]);
  });

  test('no test is left out without a reason', () => {
    expect(rules.silentSkips(tests)).toEqual([]);
  });
});

describe('documents', () => {
  test('link only to what exists', () => {
    expect(brokenLinks(documents)).toEqual([]);
  });

  test('name only files and commands that exist', () => {
    expect(missingFiles(documents)).toEqual([]);
    expect(missingCommands(documents, manifest.scripts)).toEqual([]);
  });

  test('show code as it stands in the files that are tested', () => {
    expect(() => execFileSync(process.execPath, ['tools/embed-code.mjs', '--check'], { cwd: ROOT, stdio: 'pipe' })).not.toThrow();
  });
});
