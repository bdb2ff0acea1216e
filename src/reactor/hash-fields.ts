// Walks the names of a hash's fields, page by page.
import type { Connection } from '../redis/connection.ts';

const COUNT = 500;

/** One may come twice, and one that comes or goes meanwhile may be missing or there. */
export async function* fieldsOf({ port }: Connection, hashKey: string): AsyncGenerator<readonly string[], undefined, undefined> {
  let cursor = '0';
  do {
    const [next, found] = (await port.send(hashKey, ['HSCAN', hashKey, cursor, 'COUNT', String(COUNT)])) as [string, string[]];
    yield found.filter((_, at) => at % 2 === 0);
    cursor = next;
  } while (cursor !== '0');
}
