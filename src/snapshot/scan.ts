// Walks the documents of a projection in one partition, with SCAN over the whole keyspace: for maintenance, not for queries.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '../redis/connection.ts';
import { patternOf } from '../redis/keys.ts';
import { reading } from '../redis/public-error.ts';

const SCAN_COUNT = 500;
/** Before the walk begins anew, because the partition moved to another node meanwhile. */
const PAUSE_MS = 100;

/** A projection's name and version: whose documents they are. */
export interface Versioned {
  readonly name: string;
  readonly version: number;
}

/** Options of `scanDocuments`. */
export interface ScanOptions {
  /** What their keys, those of the documents, begin with. */
  readonly startsWith?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The Redis keys of documents, page by page; a key may come twice, and one that comes or goes meanwhile may be missing or there. */
export async function* scanDocuments(
  connection: Connection,
  { name, version }: Versioned,
  partition: number,
  { startsWith = '', signal }: ScanOptions = {},
): AsyncGenerator<readonly string[], undefined, undefined> {
  const prefix = connection.keys.snapshotPrefix(partition, name, version);
  for (let isWhole = false; !isWhole; ) {
    const before = await placeOf(connection, prefix);
    for (let cursor = ''; cursor !== '0'; ) {
      signal?.throwIfAborted();
      const command = ['SCAN', cursor || '0', 'MATCH', patternOf(`${prefix}${startsWith}`), 'COUNT', String(SCAN_COUNT)];
      const [next, found] = (await reading('scan for documents', connection.port.send(prefix, command))) as [string, string[]];
      cursor = next;
      if (found.length > 0) yield found;
    }
    isWhole = (await placeOf(connection, prefix)) === before;
    if (!isWhole) await delay(PAUSE_MS, undefined, { signal });
  }
}

/**
 * Changes when another node serves the partition, or stands in for it by halves. SCAN has no key, so a node that serves the partition no more
 * would answer it all the same; a call with a key is sent on, and so noticed.
 */
async function placeOf({ port }: Connection, key: string): Promise<number> {
  await reading('scan for documents', port.send(key, ['EXISTS', key]));
  return port.epoch;
}
