// Folds the events of one stream onto a state, from where it stands to the end.
import { splitStreamName } from '../event.ts';
import type { Connection } from '../redis/connection.ts';
import { type RawEntry, readStreams } from '../redis/scripts.ts';
import { decodeEntry, type LogEvent } from './entry.ts';

/** A stream, and where its keys lie. */
export interface StreamKeys {
  readonly partition: number;
  readonly category: string;
  readonly streamName: string;
  readonly indexKey: string;
  readonly logKey: string;
}

export function streamKeys({ keys }: Connection, streamName: string): StreamKeys {
  const { category, id } = splitStreamName(streamName);
  const partition = keys.partitionOf(id);
  return { partition, category, streamName, indexKey: keys.stream(partition, streamName), logKey: keys.log(partition, category) };
}

/** How many events are asked for at once. */
export const EVENTS_AT_ONCE = 1_000;

/** The events of a stream behind `version`, oldest first, to the end as it was at the last page. */
export async function readTail(connection: Connection, stream: StreamKeys, version: number): Promise<readonly LogEvent[]> {
  const { indexKey, logKey } = stream;
  const events: LogEvent[] = [];
  for (let start = version; ; start += EVENTS_AT_ONCE) {
    const [part] = await readStreams(connection.port, [{ indexKey, logKey, start, stop: start + EVENTS_AT_ONCE - 1 }]);
    for (const event of decodeAll(connection, stream, part?.entries ?? [])) events.push(event);
    if (start + EVENTS_AT_ONCE >= (part?.length ?? 0)) return events;
  }
}

export function decodeAll(connection: Connection, stream: StreamKeys, entries: readonly RawEntry[]): readonly LogEvent[] {
  return entries.map((entry) => decodeEntry(connection, stream, entry));
}
