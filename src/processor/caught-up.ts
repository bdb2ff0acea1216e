// Tells whether projections, reactors and sources have caught up with where their logs ended, and notes that they did.
import { PausedError } from '../processing-errors.ts';
import type { Connection } from '../redis/connection.ts';
import { markBuilt } from '../redis/control-scripts.ts';
import { type Followed, hasReached } from '../snapshot/reached.ts';
import { groupHasReached } from '../reactor/consumer-group.ts';
import type { Task } from '../loop/task.ts';
import type { Source } from '../fold/source.ts';
import { hasImported, lastEntryId, readSourceMark } from './source-loop.ts';

/** Whether it has folded, or is done with, everything up to `head`, whoever did. Throws PausedError where nobody will. */
async function hasCaughtUp(connection: Connection, task: Task, what: FollowedTask['what'], head: number): Promise<boolean> {
  const { partition, checkpointKey, reads } = task;
  // Read first: what is reached afterwards was reached by this generation, or a later one, which mark-built tells.
  const command = ['HMGET', checkpointKey, 'reads', 'generation', 'built', 'clears', 'paused'];
  const [stored, generation, built, clears, paused] = (await connection.port.send(checkpointKey, command)) as readonly (string | null)[];
  const isReached = what.order === 'none' ? groupHasReached : hasReached;
  if (!(await isReached(connection, what, partition, head))) {
    if (clears ?? paused) throw pausedError(task, clears ?? 'pause');
    return false;
  }
  // One that was reached with other categories is not this one's: its loop is about to say so.
  if (stored !== null && stored !== undefined && stored !== reads) return false;
  if (built === null) await markBuilt(connection.port, checkpointKey, generation ?? '0');
  return true;
}

function pausedError({ title, partition }: Task, why: string): PausedError {
  const isPause = why === 'pause';
  return new PausedError(
    `The ${title} cannot catch up in partition ${partition}: ${isPause ? 'it is paused' : `a ${why} of it is not finished`}. Nothing was lost. ` +
      (isPause ? 'Let it go on with ProcessorControl.resume.' : `If nobody is at it any more, finish it with ProcessorControl.${why}.`),
  );
}

/** A task, and what it folds or handles. */
export interface FollowedTask {
  readonly task: Task;
  readonly what: Followed & { readonly order?: string };
}

/** Whether each has reached the heads of the partitions, or is done with what lies before them. */
export async function haveCaughtUp(connection: Connection, followed: readonly FollowedTask[], heads: readonly number[]): Promise<boolean> {
  for (const { task, what } of followed) if (!(await hasCaughtUp(connection, task, what, heads[task.partition] ?? -1))) return false;
  return true;
}

/** The last entries of sources, by their keys; undefined where one has none. */
export async function endsOfSources(connection: Connection, sources: readonly Source[]): Promise<ReadonlyMap<string, string | undefined>> {
  return new Map(await Promise.all(sources.map(async ({ key }) => [key, await lastEntryId(connection, key)] as const)));
}

/** Whether each is imported up to its end as it was. */
export async function haveImported(connection: Connection, ends: ReadonlyMap<string, string | undefined>): Promise<boolean> {
  for (const [key, end] of ends) {
    if (end !== undefined && !hasImported(await readSourceMark(connection, key), end)) return false;
  }
  return true;
}
