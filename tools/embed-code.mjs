// Writes the code that the documents show from the files that the tests run, and with --check says which is out of date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

// In a document:   <!-- code: examples/first-program.ts -->        the whole file
//                  <!-- code: examples/first-program.ts#append --> what stands between `// #region append` and `// #endregion`
// and in the next line the fence, whose content is replaced.
const MARKED_FENCE = /(<!-- code: (?<path>[^\s#]+)(?:#(?<region>[\w-]+))? -->\n+(?<fence>`{3,})[^\n]*\n)(?<code>[\s\S]*?)(?=^\k<fence>$)/gm;
const MARK_WITHOUT_FENCE = /^<!-- code: \S+ -->\n(?!\n*`{3})/gm;
const REGION_START = /^\s*(?:\/\/|--|#) #region\b ?(.*)$/;
const REGION_END = /^\s*(?:\/\/|--|#) #endregion\b/;
const NOT_OURS = new Set(['node_modules', 'dist', 'build', 'coverage', '.git', '.engines']);

main(process.argv.slice(2));

function main(args) {
  const isCheck = args.includes('--check');
  const root = args.find((arg) => !arg.startsWith('--')) ?? fileURLToPath(new URL('..', import.meta.url));
  let stale = 0;
  for (const path of documentsBelow(root)) {
    const before = readFileSync(path, 'utf8');
    for (const [mark] of before.matchAll(MARK_WITHOUT_FENCE)) {
      console.error(
        `${relative(root, path).split(sep).join('/')}: expected a fence (three backticks) behind ${mark.trim()}, found none: its code would not be shown.`,
      );
      process.exitCode = 1;
    }
    const after = embedded(before, root, relative(root, path));
    if (after === before) continue;
    stale += 1;
    if (isCheck) console.error(`${relative(root, path).split(sep).join('/')} shows code that is out of date. Run: npm run docs`);
    else writeFileSync(path, after);
  }
  if (isCheck && stale > 0) process.exitCode = 1;
}

function embedded(text, root, document) {
  return text.replace(MARKED_FENCE, (...match) => {
    const { path, region, fence } = match.at(-1);
    const code = codeOf(root, path, region, document);
    if (code.includes(fence)) throw new Error(`${document}: ${path} holds the fence ${fence} itself; use a longer one`);
    return match[1] + code;
  });
}

function codeOf(root, path, region, document) {
  const lines = readFileSync(join(root, path), 'utf8').trimEnd().split('\n');
  const kept = region === undefined ? lines : linesOfRegion(lines, region);
  if (kept.length === 0) throw new Error(`${document}: ${path} has no region "${region}"`);
  return withoutIndent(kept.filter((line) => !REGION_START.test(line) && !REGION_END.test(line))).join('\n') + '\n';
}

/** The lines of all regions of that name, in their order; a region inside counts as part of it. */
function linesOfRegion(lines, region) {
  const kept = [];
  const open = [];
  for (const line of lines) {
    const name = REGION_START.exec(line)?.[1]?.trim();
    if (name !== undefined) open.push(name);
    if (open.includes(region)) kept.push(line);
    if (REGION_END.test(line)) open.pop();
  }
  return kept;
}

function withoutIndent(lines) {
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const indent = Math.min(...indents);
  return lines.map((line) => line.slice(indent));
}

function documentsBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : documentsBelow(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}
