// The user's own code that `--app` names: its projections and reactors, and the codec, for what cannot be done without them.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AnyProjection, Codec, ProcessorControl, Reactor } from '../index.ts';
import { NotFoundError, UsageError } from './failure.ts';

/** What a module exports that a command can use. */
export interface App {
  readonly projections: readonly AnyProjection[];
  readonly reactors: readonly Reactor[];
  readonly codec: Codec | undefined;
}

export const NO_APP: App = { projections: [], reactors: [], codec: undefined };

/** Takes every export that is a projection or reactor, or a list of such; and the one that is named `codec`. */
export async function loadApp(path: string): Promise<App> {
  const exported = await importModule(path);
  const values = Object.values(exported).flatMap((value) => (Array.isArray(value) ? (value as readonly unknown[]) : [value]));
  const projections = values.filter(isProjection);
  const reactors = values.filter(isReactor);
  const codec = exported['codec'] as Codec | undefined;
  if (projections.length + reactors.length === 0 && codec === undefined)
    throw new UsageError(
      `Expected ${path} to export projections or reactors, or lists of them, or a codec; found the exports ${Object.keys(exported).join(', ') || 'none at all'}. Name the module in which they are made.`,
    );
  return { projections: [...new Set(projections)], reactors: [...new Set(reactors)], codec };
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const hint = /\.[cm]?tsx?$/.test(path) ? ' This Node may not run TypeScript: name the compiled module, or use Node 22.18 or newer.' : '';
    throw new UsageError(`The module ${path}, which --app names, cannot be loaded: ${why}.${hint}`);
  }
}

function isProjection(value: unknown): value is AnyProjection {
  return typeof value === 'object' && value !== null && 'evolve' in value && 'keys' in value && 'isKeyedByStream' in value;
}

function isReactor(value: unknown): value is Reactor {
  return typeof value === 'object' && value !== null && 'handle' in value && 'retry' in value && 'startFrom' in value;
}

/** A projection of the app by `name@version`, or by its name alone the version that serves. */
export async function projectionOf({ projections }: App, control: ProcessorControl, nameAndVersion: string): Promise<AnyProjection> {
  const { name, version = await control.servingVersion(name) } = parseNameAndVersion(nameAndVersion);
  const found = projections
    .filter((each) => each.name === name && (version === undefined || each.version === version))
    .sort((a, b) => a.version - b.version)[0];
  if (found) return found;
  const known = projections.map((each) => `${each.name}@${each.version}`).join(', ');
  const what = known === '' ? 'no projection: give the module that exports it with --app' : known;
  throw new NotFoundError(`Expected the code of projection ${nameAndVersion}, which folds its documents; found ${what}.`);
}

/** `name` or `name@version`. */
export function parseNameAndVersion(text: string): { readonly name: string; readonly version: number | undefined } {
  const match = /^([^@]+)(?:@([1-9]\d{0,14}))?$/.exec(text);
  if (!match) throw new UsageError(`Expected a name, or a name with its version like profiles@2; found ${JSON.stringify(text)}.`);
  return { name: match[1] ?? '', version: match[2] === undefined ? undefined : Number(match[2]) };
}
