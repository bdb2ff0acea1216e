// The typed function of the script that reads what is scheduled.
import type { RedisPort, Script } from './port.ts';
import { load, run } from './scripts.ts';

const script: Script = load('read-scheduled');

/** What is scheduled, as it lies in Redis. */
export interface RawScheduled {
  readonly id: string;
  readonly dueMs: number;
  /** '' where somebody else removed it. */
  readonly payload: string;
}

/** Which of it to read, in the order of due time and id. */
export interface ScheduledRange {
  readonly which: 'due' | 'all';
  readonly count: number;
  readonly bytes: number;
  readonly after?: { readonly id: string; readonly dueMs: number } | undefined;
}

/** A part of what is scheduled; `nextMs` is how long it is until the one behind is due, undefined where there is none. */
export async function readScheduled(
  port: RedisPort,
  keys: { readonly scheduleKey: string; readonly scheduledKey: string },
  { which, count, bytes, after }: ScheduledRange,
): Promise<{ readonly entries: readonly RawScheduled[]; readonly nextMs: number | undefined }> {
  const args = [which, String(count), String(bytes), after ? String(after.dueMs) : '', after?.id ?? ''];
  const [next, ...flat] = await run<[number, ...string[]]>(port, script, [keys.scheduleKey, keys.scheduledKey], args);
  const entries: RawScheduled[] = [];
  for (let i = 0; i < flat.length; i += 3) entries.push({ id: flat[i] as string, dueMs: Number(flat[i + 1]), payload: flat[i + 2] as string });
  return { entries, nextMs: next < 0 ? undefined : next };
}
