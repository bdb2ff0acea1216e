// Tells whether a projection's documents are whole: whether it has ever folded everything that was there.
import { CorruptEntryError } from '../errors.ts';
import { NotCaughtUpError } from '../processing-errors.ts';
import type { AnyProjection } from '../fold/projection.ts';
import { readHead } from '../log/page.ts';
import type { Connection } from '../redis/connection.ts';
import { hasReached } from './reached.ts';

/** How long it is remembered that a projection is built, in milliseconds: a rewind in another process is heard of after that. */
const REMEMBERED_MS = 1_000;

/** Until when it is remembered, by checkpoint. */
const remembered = new WeakMap<Connection, Map<string, number>>();

/** The partitions whose events may be in documents with these keys. */
export function partitionsOf(
  { keys: { partitions }, keys }: Connection,
  { isKeyedByStream }: AnyProjection,
  documentKeys: readonly string[],
): readonly number[] {
  if (isKeyedByStream || documentKeys.length === 0) return [...new Set(documentKeys.map((key) => keys.partitionOf(key)))];
  return Array.from({ length: partitions }, (_, partition) => partition);
}

/**
 * Throws NotCaughtUpError while a projection is folded from the beginning: a document that is missing then, or old, says nothing. Once it
 * has caught up it may lag, and is built all the same. One that nobody has run yet is not, unless there is nothing to fold.
 */
export async function assertBuilt(connection: Connection, projection: AnyProjection, partitions: readonly number[]): Promise<void> {
  const isBuilt = await Promise.all(partitions.map((partition) => isBuiltIn(connection, projection, partition)));
  const missing = isBuilt.indexOf(false);
  if (missing >= 0) throw notReady(projection, partitions[missing] ?? 0);
}

async function isBuiltIn(connection: Connection, projection: AnyProjection, partition: number): Promise<boolean> {
  const key = connection.keys.checkpoint(partition, projection.name, projection.version);
  const until = memoryOf(connection);
  if (performance.now() < (until.get(key) ?? Number.NEGATIVE_INFINITY)) return true;
  until.delete(key);
  if ((await connection.port.send(key, ['HGET', key, 'built'])) === null) return await hasNothingToFold(connection, projection, partition);
  until.set(key, performance.now() + REMEMBERED_MS);
  return true;
}

function memoryOf(connection: Connection): Map<string, number> {
  const known = remembered.get(connection) ?? new Map<string, number>();
  remembered.set(connection, known);
  return known;
}

async function hasNothingToFold(connection: Connection, projection: AnyProjection, partition: number): Promise<boolean> {
  try {
    return await hasReached(connection, projection, partition, await readHead(connection, partition));
  } catch (error) {
    if (error instanceof CorruptEntryError) return false; // it stands still before that entry
    throw error;
  }
}

function notReady({ name, version }: AnyProjection, partition: number): NotCaughtUpError {
  return new NotCaughtUpError(
    `Projection ${name}@${version} is not ready: it has not yet folded once all that is in partition ${partition}, so its documents are missing or incomplete. ` +
      'Check that a StreamProcessor runs it and how far it is (ProcessorControl.progress), and try again; or read the version that serves, or what is there already with whileBuilding: true.',
  );
}
