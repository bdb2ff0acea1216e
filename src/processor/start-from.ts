// Where a reactor without a checkpoint begins in a partition, and how many events lie before that.
import { InvalidInputError } from '../errors.ts';
import type { Marked } from '../log/mark.ts';
import { readForward, readHead } from '../log/page.ts';
import { placesFrom } from '../log/read.ts';
import type { Connection } from '../redis/connection.ts';
import type { Reactor } from './reactor.ts';

/** A beginning: `seen` events of the reactor's categories lie at or before its place. */
export interface Start extends Marked {
  readonly seen: number;
}

const BEGINNING: Start = { place: -1, mark: '', seen: 0 };
const COUNT = 1_000;

/** Throws InvalidInputError for a position with several partitions, or what is no place at all. */
export async function startOf(connection: Connection, { startFrom, categories }: Reactor, partition: number): Promise<Start> {
  if (startFrom === 'start') return BEGINNING;
  if (startFrom === ('end' as string))
    throw new InvalidInputError('startFrom', "'start', 'now', a cursor, a Date, or with one partition a position", startFrom);
  const head = await readHead(connection, partition);
  const asked = startFrom === 'now' ? head : (placesFrom(connection, startFrom, 'forward').get(partition) ?? -1);
  // A time may lie ahead: from now on, then. A place that is ahead stays so, and shows that the log was lost.
  const place = startFrom instanceof Date ? Math.min(asked, head) : asked;
  return place < 0 ? BEGINNING : { place, mark: '', seen: await countUpTo(connection, partition, { categories, place }) };
}

/** From the end, for most reactors begin near it. */
async function countUpTo(
  connection: Connection,
  partition: number,
  { categories, place }: { readonly categories: readonly string[]; readonly place: number },
): Promise<number> {
  const { keys, port } = connection;
  const lengths = await Promise.all(categories.map((category) => port.send(keys.log(partition, category), ['XLEN', keys.log(partition, category)])));
  let count = lengths.reduce<number>((sum, length) => sum + Number(length), 0);
  for (let after = place; ; ) {
    const { events, through, isEnd } = await readForward(connection, partition, categories, { after, count: COUNT });
    count -= events.length;
    after = through;
    if (isEnd) return Math.max(0, count);
  }
}
