// Reads the repository's own files and parses its TypeScript, for the checks of style.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Node, type ParseResult, parseSync } from 'oxc-parser';

/** The root of the repository. */
export const ROOT: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** One text file, named by its path from the root, with forward slashes. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** One file of code, parsed. */
export interface Source extends TextFile {
  readonly program: Node;
  readonly comments: ParseResult['comments'];
  /** What it imports or re-exports, as written, types included. */
  readonly imports: readonly string[];
  /** Files that it starts or loads by `new URL('./x', import.meta.url)`. */
  readonly urls: readonly string[];
}

/** A function, with how many lines it takes. */
export interface FunctionFact {
  readonly name: string | undefined;
  readonly lineCount: number;
  readonly line: number;
}

const CODE = /\.(tsx?|mts|mjs|js)$/;
const NOT_OURS = new Set(['node_modules', 'dist', 'build', 'coverage', '.git', '.engines']);

/** Every file below the given folders (or the given files themselves) whose name matches. Those that do not exist are passed over. */
export function readFiles(roots: readonly string[], name: RegExp): TextFile[] {
  return roots
    .flatMap((root) => pathsBelow(root))
    .flatMap((path) => (name.test(path) ? [{ path, text: readFileSync(join(ROOT, path), 'utf8') }] : []));
}

/** Every file of code below the given folders, parsed. */
export function readSources(roots: readonly string[]): Source[] {
  return readFiles(roots, CODE).map(parseSource);
}

/** Parses one file. Throws where it is no TypeScript. */
export function parseSource(file: TextFile): Source {
  const { program, comments, module, errors } = parseSync(file.path, file.text);
  if (errors[0] !== undefined) throw new Error(`${file.path}: ${errors[0].message}`);
  const imports = new Set<string>();
  for (const { moduleRequest } of module.staticImports) imports.add(moduleRequest.value);
  for (const { entries } of module.staticExports) for (const { moduleRequest } of entries) if (moduleRequest) imports.add(moduleRequest.value);
  const urls = new Set<string>();
  visit(program, (node) => {
    if ((node.type === 'ImportExpression' || node.type === 'TSImportType') && isText(node.source)) imports.add(node.source.value);
    if (node.type === 'NewExpression' && node.callee.type === 'Identifier' && node.callee.name === 'URL' && isText(node.arguments[0])) {
      urls.add(node.arguments[0].value);
    }
  });
  return { ...file, program: program as Node, comments, imports: [...imports], urls: [...urls] };
}

/** Calls `enter` for every node of a syntax tree, parents first. */
export function visit(node: object, enter: (node: Node, parent: Node | undefined) => void, parent?: Node): void {
  if ('type' in node) enter(node as Node, parent);
  const next = 'type' in node ? (node as Node) : parent;
  for (const [key, value] of Object.entries(node)) {
    if (key !== 'parent' && typeof value === 'object' && value !== null) visit(value as object, enter, next);
  }
}

/** The functions of a file that have a body. A name is had by declarations, methods, and functions that a variable or property holds. */
export function functionsOf({ program, text }: Source): FunctionFact[] {
  const facts: FunctionFact[] = [];
  visit(program, (node, parent) => {
    const isFunction = node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression';
    if (!isFunction || !node.body) return;
    const line = lineOf(text, node.start);
    facts.push({ name: nameOf(node, parent), line, lineCount: lineOf(text, node.end) - line + 1 });
  });
  return facts;
}

/** The number of the line in which a place of a text stands, from 1. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/** The path from the root that a relative import of a file names; undefined for a package. `.js` names its `.ts` where that is meant. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = posix.join(posix.dirname(from), specifier);
  return path.startsWith('src/') ? path.replace(/\.js$/, '.ts') : path;
}

/** Whether a path from the root exists. */
export function exists(path: string): boolean {
  return existsSync(join(ROOT, path));
}

function nameOf(node: Node, parent: Node | undefined): string | undefined {
  if (node.type === 'FunctionDeclaration') return node.id?.name ?? 'default';
  if (parent?.type === 'VariableDeclarator' && parent.id.type === 'Identifier') return parent.id.name;
  const holds = parent?.type === 'MethodDefinition' || parent?.type === 'PropertyDefinition' || parent?.type === 'Property';
  if (!holds) return undefined;
  return parent.key.type === 'Identifier' || parent.key.type === 'PrivateIdentifier' ? parent.key.name : '(computed)';
}

function isText(node: unknown): node is { value: string } {
  return typeof node === 'object' && node !== null && 'value' in node && typeof node.value === 'string';
}

function pathsBelow(path: string): string[] {
  if (!exists(path)) return [];
  if (/\.\w+$/.test(path)) return [path];
  const entries = readdirSync(join(ROOT, path), { withFileTypes: true }).filter((entry) => !NOT_OURS.has(entry.name));
  return entries.flatMap((entry) => (entry.isDirectory() ? pathsBelow(posix.join(path, entry.name)) : [posix.join(path, entry.name)])).sort();
}
