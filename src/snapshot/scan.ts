// Walks the documents of a projection in one partition, with SCAN over the whole keyspace: for maintenance, not for queries.
import type { Connection } from '../redis/connection.ts';
import { patternOf } from '../redis/keys.ts';
import { reading } from '../redis/public-error.ts';

const SCAN_COUNT = 500;

/** A projection's name and version: whose documents they are. */
export interface Versioned {
  readonly name: string;
  readonly version: number;
}

/** The Redis keys of documents, page by page; a key may come twice, and one that comes or goes meanwhile may be missing or there. */
export async function* scanDocuments(
  connection: Connection,
  { name, version }: Versioned,
  partition: number,
  signal?: AbortSignal,
): AsyncGenerator<readonly string[], undefined, undefined> {
  const prefix = connection.keys.snapshotPrefix(partition, name, version);
  for (let cursor = ''; cursor !== '0'; ) {
    signal?.throwIfAborted();
    const command = ['SCAN', cursor || '0', 'MATCH', patternOf(prefix), 'COUNT', String(SCAN_COUNT)];
    const [next, found] = (await reading('scan for documents', connection.port.send(prefix, command))) as [string, string[]];
    cursor = next;
    if (found.length > 0) yield found;
  }
}
