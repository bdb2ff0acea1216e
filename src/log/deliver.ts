// What is due: reads it, and appends it with the very script that takes it out of the schedule.
import type { MillraceError } from '../errors.ts';
import { CorruptScheduleError } from '../processing-errors.ts';
import type { PreparedStream } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { type RawScheduled, readScheduled } from '../redis/read-scheduled.ts';
import { failedError } from './append-outcome.ts';
import { decodePayload } from './prepare-schedule.ts';
import { takingOut } from './schedule.ts';

/** Events that are due, or what is wrong with them. */
export interface Due {
  readonly id: string;
  readonly dueMs: number;
  readonly stream: (PreparedStream & { readonly bytes: number }) | CorruptScheduleError;
}

/** What one page is bounded by: Redis should not be held for more than some milliseconds. */
const PAGE_BYTES = 1_048_576;

/** What is due by the server's clock, behind the last one that was read; and how long it is until the next look is worth while. */
export async function readDue(
  { port, keys }: Connection,
  partition: number,
  { count, after }: { readonly count: number; readonly after?: Due | undefined },
): Promise<{ readonly due: readonly Due[]; readonly nextMs: number | undefined }> {
  const [scheduleKey, scheduledKey] = [keys.schedule(partition), keys.scheduled(partition)];
  const { entries, nextMs } = await readScheduled(port, { scheduleKey, scheduledKey }, { which: 'due', count, bytes: PAGE_BYTES, after });
  return { due: entries.map((entry) => dueOf(scheduledKey, entry)), nextMs };
}

function dueOf(scheduledKey: string, { id, dueMs, payload }: RawScheduled): Due {
  return { id, dueMs, stream: decodePayload(payload) ?? new CorruptScheduleError(scheduledKey, id, payload) };
}

/**
 * Appends them in this order and takes them out of the schedule, all or nothing. 'gone': one of them was delivered or cancelled
 * meanwhile, and nothing was written. An error: Redis could not write one of them.
 * Rejects where the server cannot be reached, or refuses: then they are still there, or delivered, whichever the next look shows.
 */
export async function deliver(connection: Connection, partition: number, due: readonly Due[]): Promise<'delivered' | 'gone' | MillraceError> {
  const streams = due.flatMap(({ stream }) => (stream instanceof CorruptScheduleError ? [] : [stream]));
  const ids = due.map(({ id }) => id);
  const outcome = await connection.writer.append(partition, {
    kind: 'multi',
    streams,
    guards: [],
    ...takingOut(connection, partition, ids),
    result: undefined,
    bytes: streams.reduce((sum, { bytes }) => sum + bytes, 0),
  });
  if (outcome.kind === 'failed') return failedError(outcome.message);
  return outcome.kind === 'mark-conflict' ? 'gone' : 'delivered';
}
