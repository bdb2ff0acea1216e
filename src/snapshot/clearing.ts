// Removes a projection's documents with its checkpoints, to fold it anew or for good, safe against a kill at every step.
import { InUseError } from '../processing-errors.ts';
import type { Connection } from '../redis/connection.ts';
import { beginClearing, type ClearedPartition, clearDocuments, type Clearing, finishClearing } from '../redis/control-scripts.ts';
import { scanDocuments, type Versioned } from './scan.ts';

const DOCUMENTS_AT_ONCE = 100;

/**
 * 1. The checkpoint of every partition is taken away: nobody commits or takes a lease any more.
 * 2. In every partition documents of the generation before are refused, and those that are there are removed.
 * 3. Every partition begins anew, with the new generation, or is gone.
 *
 * A step begins when the one before is done in all partitions, for a document may lie in another one than its events. Where the process
 * dies in between, nobody folds, and the same call again does what is left: with the generation that was begun. Several calls at the same
 * time do the same work together. Throws InUseError where somebody runs what is to be dropped.
 */
export async function clearProjection(connection: Connection, target: Versioned, what: Clearing, signal: AbortSignal | undefined): Promise<void> {
  const generation = await generationToMake(connection, target, what);
  const begun: (ClearedPartition & { readonly partition: number })[] = [];
  for (let partition = 0; partition < connection.keys.partitions; partition += 1) {
    signal?.throwIfAborted();
    const cleared = { partition, generation, ...keysOf(connection, target, partition) };
    const reply = await beginClearing(connection.port, cleared, what);
    if (reply.status === 'held') throw heldError(`Projection ${target.name}@${target.version}`, partition, reply.heldBy);
    if (reply.status === 'begun') begun.push(cleared);
  }
  for (const cleared of begun) await clearPartition(connection, target, cleared, signal);
  for (const cleared of begun) await finishClearing(connection.port, cleared, what);
}

/** The one that was begun, to finish it; else the next one. */
async function generationToMake(connection: Connection, target: Versioned, what: Clearing): Promise<number> {
  const { port, keys } = connection;
  let [latest, unfinished] = [0, 0];
  for (let partition = 0; partition < keys.partitions; partition += 1) {
    const { checkpointKey } = keysOf(connection, target, partition);
    const found = (await port.send(checkpointKey, ['HMGET', checkpointKey, 'generation', 'clearing', 'clears'])) as readonly (string | null)[];
    const [generation, clearing, clears] = found;
    latest = Math.max(latest, Number(generation ?? 0), Number(clearing ?? 0));
    if (clears === what) unfinished = Math.max(unfinished, Number(clearing));
  }
  return unfinished === latest && unfinished > 0 ? unfinished : latest + 1;
}

function keysOf({ keys }: Connection, { name, version }: Versioned, partition: number): Omit<ClearedPartition, 'generation'> {
  return { checkpointKey: keys.checkpoint(partition, name, version), removedKey: keys.removed(partition, name, version) };
}

/** Walks the keyspace until none is found: one that moved between nodes of a cluster meanwhile is found by the next walk. */
async function clearPartition(
  connection: Connection,
  target: Versioned,
  cleared: ClearedPartition & { readonly partition: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { port } = connection;
  if (!(await clearDocuments(port, cleared, [], { isLast: false }))) return;
  for (let found = -1; found !== 0; ) {
    found = 0;
    for await (const keys of scanDocuments(connection, target, cleared.partition, { signal })) {
      found += keys.length;
      for (let from = 0; from < keys.length; from += DOCUMENTS_AT_ONCE) {
        if (!(await clearDocuments(port, cleared, keys.slice(from, from + DOCUMENTS_AT_ONCE), { isLast: false }))) return;
      }
    }
  }
  await clearDocuments(port, cleared, [], { isLast: true });
}

/** Why it is not dropped while somebody runs it. */
export function heldError(what: string, partition: number, owner: string): InUseError {
  return new InUseError(
    `${what} is run in partition ${partition} by ${owner}. Nothing was dropped. Stop the processors that have this version, or pause it with ProcessorControl.pause, and drop it then.`,
  );
}
