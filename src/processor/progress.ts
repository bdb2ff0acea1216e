// How far a processor's projections and sources are: values to look at, read from Redis.
import { CorruptEntryError } from '../errors.ts';
import type { Source } from '../fold/source.ts';
import { readForward } from '../log/page.ts';
import { packEntryId, type Position, positionOf, roughPlaceOf, timeOfPacked } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { Followed } from '../snapshot/reached.ts';
import { readSourceMark } from './source-loop.ts';

/** How far a projection is in one partition, whoever runs it. */
export interface ProjectionProgress {
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  /** The checkpoint; undefined at the beginning. */
  readonly position: Position | undefined;
  readonly eventsFolded: number;
  /** Events of its categories that it has yet to fold. */
  readonly lagEvents: number;
  /** How long ago the first of them was recorded, in milliseconds; 0 when there is none. By this machine's clock. */
  readonly lagMs: number;
  /** Whether somebody paused it, by ProcessorControl; also while it is rewound or dropped. */
  readonly isPaused: boolean;
  /** Whether this processor holds the lease. */
  readonly isRunHere: boolean;
  /** Why it stands still here, if it does. */
  readonly error: unknown;
}

/** How far the import of a source is. */
export interface SourceProgress {
  readonly sourceKey: string;
  /** The last entry taken; `0-0` at the beginning. */
  readonly entryId: string;
  /** Entries that could not be decoded and were passed over, as its `onError: 'skip'` says. */
  readonly entriesSkipped: number;
  readonly error: unknown;
}

/** What a processor knows of itself. */
export interface LocalState {
  readonly isRunHere: boolean;
  readonly error: unknown;
}

export async function projectionProgress(
  connection: Connection,
  projection: Followed,
  partition: number,
  local: LocalState,
): Promise<ProjectionProgress> {
  const { place, eventsFolded, lagEvents, isPaused } = await readCounts(connection, projection, partition);
  return {
    projection: projection.name,
    version: projection.version,
    partition,
    position: place < 0 ? undefined : positionOf(partition, place),
    eventsFolded,
    lagEvents,
    lagMs: lagEvents === 0 ? 0 : await ageOfNext(connection, projection, partition, place),
    isPaused,
    ...local,
  };
}

/** What a checkpoint says, and how long the logs behind it are. */
export interface Counts {
  readonly place: number;
  readonly eventsFolded: number;
  readonly lagEvents: number;
  readonly isPaused: boolean;
  /** What is under way, or was broken off, in place of the folding. */
  readonly unfinished: 'rewind' | 'drop' | undefined;
}

export async function readCounts({ port, keys }: Connection, { name, version, categories }: Followed, partition: number): Promise<Counts> {
  const checkpointKey = keys.checkpoint(partition, name, version);
  const logs = categories.map((category) => keys.log(partition, category));
  const [stored, ...lengths] = await Promise.all([
    port.send(checkpointKey, ['HMGET', checkpointKey, 'position', 'seen', 'paused', 'clears']),
    ...logs.map((key) => port.send(key, ['XLEN', key])),
  ]);
  const [entryId, seen, paused, clears] = stored as readonly (string | null)[];
  const total = lengths.reduce<number>((sum, length) => sum + Number(length), 0);
  return {
    place: entryId ? packEntryId(entryId) : -1,
    eventsFolded: Number(seen ?? 0),
    lagEvents: Math.max(0, total - Number(seen ?? 0)),
    isPaused: (clears ?? paused) !== null,
    unfinished: clears === 'rewind' || clears === 'drop' ? clears : undefined,
  };
}

/** How long ago the first event behind the place was recorded, in milliseconds; 0 where there is none. */
export async function ageOfNext(connection: Connection, { categories }: Followed, partition: number, place: number): Promise<number> {
  const next = await timeOfNext(connection, { partition, categories, after: place });
  return next === undefined ? 0 : Math.max(0, Date.now() - next);
}

/** An entry of somebody else's, at which the projection stands still, has the time of its id. */
async function timeOfNext(
  connection: Connection,
  { partition, categories, after }: { readonly partition: number; readonly categories: readonly string[]; readonly after: number },
): Promise<number | undefined> {
  try {
    const { events } = await readForward(connection, partition, categories, { after, count: 1 });
    return events[0]?.event.recordedAt.getTime();
  } catch (error) {
    if (!(error instanceof CorruptEntryError)) throw error;
    return timeOfPacked(roughPlaceOf(error.entryId));
  }
}

export async function sourceProgress(connection: Connection, { key }: Source, error: unknown): Promise<SourceProgress> {
  const { entryId, skipped } = await readSourceMark(connection, key);
  return { sourceKey: key, entryId, entriesSkipped: skipped, error };
}
