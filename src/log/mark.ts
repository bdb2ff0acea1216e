// Marks the event that a reader stands at, and notices when the log is not the one that was read: lost, rewound or rewritten.
import { LogLostError } from '../errors.ts';
import type { RecordedEvent } from '../event.ts';
import { entryIdOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { RawEntry } from '../redis/scripts.ts';
import { decodeEntry } from './entry.ts';
import { readHead } from './page.ts';

/** Where a reader stands, and what it saw there ('' where it saw nothing yet). */
export interface Marked {
  readonly place: number;
  readonly mark: string;
}

/** What is remembered of an event: enough to tell it from another one at the same place. */
export function markOf({ streamName, type, id }: RecordedEvent): string {
  return JSON.stringify([streamName.slice(0, streamName.indexOf(':')), type, id]);
}

/** Throws LogLostError unless the log reaches to this place and still holds the marked event there. */
export async function checkMark(connection: Connection, partition: number, { place, mark }: Marked): Promise<void> {
  if (place < 0) return;
  const [head, found] = await Promise.all([readHead(connection, partition), mark === '' ? mark : readMark(connection, partition, { place, mark })]);
  const at = `${entryIdOf(place)} of partition ${partition}`;
  if (head < place) throw logLost(`the log ends at ${head < 0 ? 'nothing' : entryIdOf(head)}, before position ${at}, which was read already`);
  if (found !== mark) throw logLost(`at position ${at} stood ${mark}, and now there is ${found === '' ? 'nothing' : found}`);
}

async function readMark(connection: Connection, partition: number, { place, mark }: Marked): Promise<string> {
  const [category] = JSON.parse(mark) as [string];
  const key = connection.keys.log(partition, category);
  const id = entryIdOf(place);
  const [entry] = (await connection.port.send(key, ['XRANGE', key, id, id])) as readonly RawEntry[];
  return entry ? markOf(decodeEntry(connection, { partition, category }, entry).event) : '';
}

function logLost(what: string): LogLostError {
  return new LogLostError(
    `The log is not the one that was read before: ${what}. A flush, a restored backup or a failover that lost writes does this. ` +
      'Nothing was passed over: what was read before is no longer in the log. Restore the log; or, to go on with the log as it is, call ProcessorControl.rewind: documents are folded again from the beginning.',
  );
}
