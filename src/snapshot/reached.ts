// Tells whether a projection has folded everything up to a place, and waits for it.
import { LogLostError } from '../errors.ts';
import { NotCaughtUpError } from '../processing-errors.ts';
import type { AnyProjection } from '../fold/projection.ts';
import { readForward, readHead } from '../log/page.ts';
import { entryIdOf, packEntryId, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { isPassing } from '../redis/public-error.ts';
import type { Places } from '../token.ts';

/** How long a wait sleeps at most: a told commit wakes it at once, and one that was told while the connection was cut is found by this. */
const POLL_MS = 250;

/** What has a checkpoint behind the events of some categories: a projection, or a reactor. */
export type Followed = Pick<AnyProjection, 'name' | 'version' | 'categories'>;

/** How far a projection is in a partition; -1 at the beginning. */
export async function readCheckpoint({ port, keys }: Connection, { name, version }: Followed, partition: number): Promise<number> {
  const key = keys.checkpoint(partition, name, version);
  const entryId = await port.send(key, ['HGET', key, 'position']);
  return typeof entryId === 'string' && entryId !== '' ? packEntryId(entryId) : -1;
}

/** Whether no event of the projection's categories lies between its checkpoint and `place`. Throws LogLostError for a place beyond the head. */
export async function hasReached(connection: Connection, projection: Followed, partition: number, place: number): Promise<boolean> {
  const checkpoint = await readCheckpoint(connection, projection, partition);
  if (checkpoint >= place) return true;
  const [head, { events }] = await Promise.all([
    readHead(connection, partition),
    readForward(connection, partition, projection.categories, { after: checkpoint, count: 1 }),
  ]);
  if (head < place) {
    throw new LogLostError(
      `The log of partition ${partition} ends at ${head < 0 ? 'nothing' : entryIdOf(head)}, before position ${positionOf(partition, place)}, which was appended. ` +
        'A flush, a restored backup or a failover that lost writes does this. Append again what was lost.',
    );
  }
  const next = events[0];
  return next === undefined || next.place > place;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Waits until the projection has reached all the places. Throws NotCaughtUpError when that takes longer than `timeoutMs`. */
export async function waitUntilReached(
  connection: Connection,
  projection: Followed,
  places: Places,
  { timeoutMs, signal }: WaitOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  await Promise.all(
    [...places].map(([partition, place]) => waitInPartition(connection, projection, { partition, place, deadline, timeoutMs, signal })),
  );
}

interface PartitionWait extends WaitOptions {
  readonly partition: number;
  readonly place: number;
  readonly deadline: number;
}

async function waitInPartition(connection: Connection, projection: Followed, wait: PartitionWait): Promise<void> {
  const { partition, place, deadline, signal } = wait;
  if (await hasReached(connection, projection, partition, place)) return;
  const bell = new Bell();
  const { name, version } = projection;
  const stopListening = await connection.port.listen(connection.keys.committedChannel(partition, name, version), () => bell.ring());
  try {
    while (!(await hasReachedNow(connection, projection, partition, place))) {
      signal?.throwIfAborted();
      connection.closed.throwIfAborted();
      if (performance.now() >= deadline) throw notCaughtUp(projection, wait);
      await bell.wait(Math.min(POLL_MS, Math.max(1, deadline - performance.now())), signal);
    }
  } finally {
    await stopListening();
  }
}

/** A lost connection is waited out, up to the deadline. */
async function hasReachedNow(connection: Connection, projection: Followed, partition: number, place: number): Promise<boolean> {
  try {
    return await hasReached(connection, projection, partition, place);
  } catch (error) {
    if (!isPassing(error)) throw error;
    return false;
  }
}

function notCaughtUp({ name, version }: Followed, { partition, place, timeoutMs }: PartitionWait): NotCaughtUpError {
  return new NotCaughtUpError(
    `Projection ${name}@${version} did not reach position ${positionOf(partition, place)} within ${timeoutMs} ms. ` +
      'Check that a StreamProcessor runs it and how far behind it is (processor.progress()); or wait longer (timeoutMs), or read without atLeast.',
  );
}

/** Wakes one waiting; a ring before the wait is remembered. */
class Bell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  async wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#hasRung) await this.#sleep(ms, signal);
    this.#hasRung = false;
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake, { once: true });
      this.#wake = wake;
    });
  }
}
