// Tells whether a projection or reactor has caught up with where the log ended, and notes that it did.
import { PausedError } from '../processing-errors.ts';
import type { Connection } from '../redis/connection.ts';
import { markBuilt } from '../redis/control-scripts.ts';
import { type Followed, hasReached } from '../snapshot/reached.ts';
import { groupHasReached } from '../reactor/consumer-group.ts';
import type { Task } from '../loop/task.ts';

/** Whether it has folded, or is done with, everything up to `head`, whoever did. Throws PausedError where nobody will. */
export async function hasCaughtUp(connection: Connection, task: Task, what: Followed & { readonly order?: string }, head: number): Promise<boolean> {
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
