// The habits that a machine can check, each as a function from files to the sentences that say what is wrong.
import { functionsOf, lineOf, type Source, type TextFile, visit } from './sources.ts';

/** Words that stand in the keys of Redis, between colons. */
const KEY_WORDS = 'log|stream|head|snapshot|checkpoint|removed|writer|result|source|dead|parked|schedule|categories|committed|settings|lease';
const KEY_TEMPLATE = new RegExp(`\\}:|:(?:${KEY_WORDS})(?::|$)`);
const KEY_TEMPLATE_IN_LUA = new RegExp(`(['"])(?:(?!\\1).)*(?:\\}:|:(?:${KEY_WORDS})(?::|\\1))`);

const KEBAB = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;
const DOCUMENT = /^[A-Z]+\.md$|^\d{4}-[a-z0-9-]+\.md$|^LICENSE$/;

/** The first line is a comment of one sentence, which says what the file is for. */
export function withoutPurpose(files: readonly TextFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const first = text.split('\n').find((line) => !line.startsWith('#!')) ?? '';
    const isSentence = /^\/\/ \S.*[^.]\.$/.test(first) && !/[.!?] [A-Z]/.test(first);
    return isSentence ? [] : [`${path}: the first line is no comment of one sentence with a full stop`];
  });
}

/** No `any`, and no `as unknown as`, which is one in disguise. */
export function anyTypes(sources: readonly Source[]): string[] {
  return violations(sources, (node) => {
    if (node.type === 'TSAnyKeyword') return 'any';
    if (node.type !== 'TSAsExpression' || node.expression.type !== 'TSAsExpression') return undefined;
    return node.expression.typeAnnotation.type === 'TSUnknownKeyword' ? 'as unknown as' : undefined;
  });
}

/** The compiler is silenced nowhere but in type tests, where `@ts-expect-error` is the assertion. */
export function silencedCompiler(sources: readonly Source[]): string[] {
  return inComments(sources, /^[\s*]*@ts-(ignore|nocheck|expect-error)/).filter(
    (found) => !found.startsWith('test/types/') || !found.includes('expect-error'),
  );
}

/** Work that was put off belongs into the tracker, not into a comment. */
export function putOff(sources: readonly Source[]): string[] {
  return inComments(sources, /\b(TODO|FIXME|XXX|HACK)\b/);
}

/** Names are in kebab case; documents at the root shout, and decisions begin with their number. */
export function misnamed(paths: readonly string[]): string[] {
  return paths.flatMap((path) =>
    path.split('/').flatMap((name) => (KEBAB.test(name) || DOCUMENT.test(name) ? [] : [`${path}: ${name} is not in kebab case`])),
  );
}

/** Files with more lines than that. */
export function longFiles(files: readonly TextFile[], linesMax: number): string[] {
  return files.flatMap((file) => (lineCountOf(file) > linesMax ? [`${file.path} has ${lineCountOf(file)} lines, more than ${linesMax}`] : []));
}

/** Functions with more lines than that. */
export function longFunctions(sources: readonly Source[], linesMax: number): string[] {
  return sources.flatMap((source) =>
    functionsOf(source)
      .filter(({ lineCount }) => lineCount > linesMax)
      .map(({ name = 'a function', line, lineCount }) => `${source.path}:${line}: ${name} has ${lineCount} lines, more than ${linesMax}`),
  );
}

/** How many lines a file has. */
export function lineCountOf({ text }: TextFile): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

/** The value below which a share of the values lies; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** A Lua script opens with `#!lua`, its purpose, and what it takes and answers: KEYS, ARGV, Reply. */
export function scriptsWithoutContract(scripts: readonly TextFile[]): string[] {
  return scripts.flatMap(({ path, text }) => {
    const lines = text.split('\n');
    const end = lines.findIndex((line, index) => index > 0 && !line.startsWith('--'));
    const header = lines.slice(1, end < 0 ? undefined : end).join('\n');
    const missing = [/^-- KEYS\b/m, /^-- ARGV\b/m, /^-- Reply\b/m].filter((part) => !part.test(header)).map((part) => part.source.slice(4, -2));
    const isMarked = /^#!lua( |$)/.test(lines[0] ?? '');
    return [...(isMarked ? [] : [`${path}: the first line is not #!lua`]), ...missing.map((part) => `${path}: the header does not name ${part}`)];
  });
}

/** Scripts whose name no module of the same room says. */
export function scriptsWithoutCaller(scripts: readonly TextFile[], sources: readonly Source[]): string[] {
  const spoken = new Set<string>();
  for (const { program } of sources) visit(program, (node) => node.type === 'Literal' && typeof node.value === 'string' && spoken.add(node.value));
  return scripts.flatMap(({ path }) => {
    const name = path.replace(/^.*\/|\.lua$/g, '');
    return spoken.has(name) || spoken.has(`${name}.lua`) || spoken.has(`./scripts/${name}.lua`) ? [] : [`${path}: no module runs it`];
  });
}

/** Templates of keys outside their home: one name written twice is a name that will differ. */
export function keyTemplates(sources: readonly Source[], scripts: readonly TextFile[]): string[] {
  const inCode = violations(sources, (node) => {
    const text = node.type === 'TemplateElement' ? node.value.raw : node.type === 'Literal' && typeof node.value === 'string' ? node.value : '';
    return KEY_TEMPLATE.test(text) && !text.startsWith('node:') ? `'${text}' looks like a part of a key` : undefined;
  });
  const inScripts = scripts.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) => (KEY_TEMPLATE_IN_LUA.test(line.replace(/--.*$/, '')) ? [`${path}:${index + 1}: looks like a part of a key`] : [])),
  );
  return [...inCode, ...inScripts];
}

/** Exported errors that nothing makes, or that no test names (by class or by code). */
export function errorsWithoutUse(sources: readonly Source[], tests: readonly TextFile[]): string[] {
  const made = new Set<string>();
  for (const { program } of sources)
    visit(program, (node) => node.type === 'NewExpression' && node.callee.type === 'Identifier' && made.add(node.callee.name));
  // What a room throws to itself alone says so in its comment; callers act on those of errors.ts.
  return sources
    .filter(({ path }) => path.endsWith('errors.ts'))
    .flatMap(errorClassesOf)
    .flatMap(({ name, code, path }) => {
      const isNamed = tests.some(({ text }) => text.includes(name) || (code !== undefined && text.includes(`'${code}'`)));
      return [...(made.has(name) ? [] : [`${path}: ${name} is made nowhere`]), ...(isNamed ? [] : [`${path}: no test names ${name}`])];
    });
}

/**
 * Tests that do not run, and do not say why. `only` is never right. A skip is `context.skip('the reason')`; a modifier
 * (`it.skip`, `describe.skipIf` …) has a comment `// skip: the reason` on its line or on the one above.
 */
export function silentSkips(tests: readonly Source[]): string[] {
  return violations(tests, (node, { text }) => {
    if (node.type !== 'MemberExpression' || node.property.type !== 'Identifier') return undefined;
    const { name } = node.property;
    const isRunner = /^(it|test|describe|suite|bench)\b/.test(text.slice(node.object.start, node.object.end));
    if (name === 'only') return isRunner ? 'only' : undefined;
    if (isRunner) return /^(skip|todo|skipIf|runIf|fails)$/.test(name) && !hasReason(text, node.start) ? `${name} without a reason` : undefined;
    return name === 'skip' && /^\(\s*\)/.test(text.slice(node.end)) ? 'skip without a reason' : undefined;
  });
}

/** Packages that the sources import and the package does not declare. */
export function undeclaredPackages(sources: readonly Source[], declared: readonly string[]): string[] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
      .map((specifier) =>
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      )
      .flatMap((name) => (declared.includes(name) ? [] : [`${path} imports ${name}, which package.json does not declare`])),
  );
}

function hasReason(text: string, offset: number): boolean {
  const line = lineOf(text, offset);
  const [above = '', same = ''] = ['', ...text.split('\n')].slice(line - 1, line + 1);
  return [above, same].some((each) => /\/\/ skip: \S+/.test(each));
}

function errorClassesOf({ path, program }: Source): { name: string; code: string | undefined; path: string }[] {
  const classes: { name: string; code: string | undefined; path: string }[] = [];
  visit(program, (node, parent) => {
    const isExported = node.type === 'ClassDeclaration' && parent?.type === 'ExportNamedDeclaration';
    if (!isExported || node.abstract || !node.id || node.superClass?.type !== 'Identifier' || !node.superClass.name.endsWith('Error')) return;
    const codes = node.body.body.flatMap((member) => {
      const isCode = member.type === 'PropertyDefinition' && member.key.type === 'Identifier' && member.key.name === 'code';
      return isCode && member.value?.type === 'Literal' ? [String(member.value.value)] : [];
    });
    classes.push({ name: node.id.name, code: codes[0], path });
  });
  return classes;
}

function violations(
  sources: readonly Source[],
  check: (node: Parameters<Parameters<typeof visit>[1]>[0], source: Source) => string | undefined,
): string[] {
  return sources.flatMap((source) => {
    const found: string[] = [];
    visit(source.program, (node) => {
      const what = check(node, source);
      if (what !== undefined) found.push(`${source.path}:${lineOf(source.text, node.start)}: ${what}`);
    });
    return found;
  });
}

function inComments(sources: readonly Source[], pattern: RegExp): string[] {
  return sources.flatMap(({ path, text, comments }) =>
    comments.flatMap(({ value, start }) => {
      const match = pattern.exec(value);
      return match ? [`${path}:${lineOf(text, start)}: ${match[0]} in a comment`] : [];
    }),
  );
}
