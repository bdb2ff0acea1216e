// Checks of the documents: links lead somewhere, files and commands that they name exist.
import { posix } from 'node:path';
import { exists, type TextFile } from './sources.ts';

const LINK = /\[[^\]]*\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g;
const NAMED_FILE = /`((?:src|test|bench|docs|examples|tools)\/[\w./-]+\.\w+)`/g;
const NAMED_COMMAND = /\bnpm run ([\w:-]+)/g;

/** Relative links, and anchors within the documents, that lead nowhere. */
export function brokenLinks(documents: readonly TextFile[]): string[] {
  const anchors = new Map(documents.map(({ path, text }) => [path, anchorsOf(text)]));
  return documents.flatMap(({ path, text }) =>
    [...withoutFences(text).matchAll(LINK)].flatMap(([, target = '']) => {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return [];
      const [file = '', anchor] = target.split('#');
      const at = file === '' ? path : posix.join(posix.dirname(path), decodeURIComponent(file));
      if (!exists(at) && !anchors.has(at)) return [`${path}: ${target} does not exist`];
      const isKnown = anchor === undefined || (anchors.get(at)?.has(anchor) ?? true);
      return isKnown ? [] : [`${path}: ${target} has no such heading`];
    }),
  );
}

/** Files of this repository that a document names and that do not exist. */
export function missingFiles(documents: readonly TextFile[]): string[] {
  return matches(documents, NAMED_FILE).flatMap(([path, named]) => (exists(named) ? [] : [`${path}: ${named} does not exist`]));
}

/** Commands `npm run …` that a document names and package.json does not have. */
export function missingCommands(documents: readonly TextFile[], scripts: Readonly<Record<string, string>>): string[] {
  return matches(documents, NAMED_COMMAND).flatMap(([path, named]) => (named in scripts ? [] : [`${path}: npm run ${named} does not exist`]));
}

function matches(documents: readonly TextFile[], pattern: RegExp): [path: string, named: string][] {
  return documents.flatMap(({ path, text }) => [...text.matchAll(pattern)].map(([, named = '']): [string, string] => [path, named]));
}

/** The anchors that code hosts make from headings: lower case, spaces to hyphens, other signs left out. */
function anchorsOf(text: string): Set<string> {
  const headings = [...withoutFences(text).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading = '']) => heading);
  const anchors = headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
  return new Set(
    anchors.map((anchor, index) => {
      const earlier = anchors.slice(0, index).filter((each) => each === anchor).length;
      return earlier === 0 ? anchor : `${anchor}-${earlier}`;
    }),
  );
}

function withoutFences(text: string): string {
  return text.replace(/^(`{3,})[\s\S]*?^\1`*$/gm, '');
}
