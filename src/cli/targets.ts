// Finds what people name on the command line among what processors registered.
import type { Inspector, ProcessorFacts } from '../index.ts';
import { parseNameAndVersion } from './app.ts';
import { NotFoundError, UsageError } from './failure.ts';

export type Kind = ProcessorFacts['kind'];

const WORDS: Readonly<Record<Kind, string>> = {
  source: 'source',
  projection: 'projection',
  reactor: 'reactor',
  'process-manager': 'process manager',
};

export function kindText(kind: Kind): string {
  return WORDS[kind];
}

/** A source has no versions. */
export function titleOf({ name, version, kind }: Pick<ProcessorFacts, 'name' | 'version'> & { readonly kind?: Kind }): string {
  return kind === 'source' ? name : `${name}@${version}`;
}

/** The one that `name` or `name@version` means; without a version the only one. Throws NotFoundError, or UsageError where several could be meant. */
export async function findTarget(facts: Inspector, text: string, kinds: readonly Kind[]): Promise<ProcessorFacts> {
  return targetAmong(await facts.processors(), text, kinds);
}

export function targetAmong(all: readonly ProcessorFacts[], text: string, kinds: readonly Kind[]): ProcessorFacts {
  const allowed = all.filter(({ kind }) => kinds.includes(kind));
  // The name of a source may hold anything.
  const source = allowed.find(({ kind, name }) => kind === 'source' && name === text);
  if (source) return source;
  const { name, version } = parseNameAndVersion(text);
  const found = allowed.filter((each) => each.name === name && (version === undefined || each.version === version));
  const [only, ...others] = found;
  if (!only) throw new NotFoundError(notFound(text, kinds, allowed));
  if (others.length === 0) return only;
  throw new UsageError(`Expected one of several versions, found only the name ${JSON.stringify(text)}. Name one: ${found.map(titleOf).join(', ')}.`);
}

function notFound(text: string, kinds: readonly Kind[], known: readonly ProcessorFacts[]): string {
  const what = kinds
    .map(kindText)
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1');
  const those = known.length === 0 ? 'nothing of that kind: processors tell what they run when they start' : `only ${known.map(titleOf).join(', ')}`;
  return `Expected a ${what} that is called ${JSON.stringify(text)}, found ${those}.`;
}
