// Where a reactor begins in a partition: at its checkpoint, or where a new one is told to.
import { InvalidInputError } from '../errors.ts';
import type { Marked } from '../log/mark.ts';
import { packEntryId } from '../position.ts';
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

/** What the last owner left, or nobody. */
export interface Beginning {
  readonly start: Start & { readonly isNew: boolean };
  /** The last commit's name. */
  readonly turn: string;
  /** Events finished before others that stand in front of them. */
  readonly finished: ReadonlySet<number>;
  readonly mayBeBlocked: boolean;
  /** How many events wait behind dead letters. */
  readonly waiting: number;
}

/** Reads where the last owner left off, or where it is to begin. */
export async function readBeginning(connection: Connection, reactor: Reactor, partition: number): Promise<Beginning> {
  const { keys, port } = connection;
  const { name, version } = reactor;
  const [checkpointKey, finishedKey] = [keys.checkpoint(partition, name, version), keys.finished(partition, name, version)];
  const blockedKey = keys.blocked(partition, name, version);
  const [stored, finished, blocked] = await Promise.all([
    port.send(checkpointKey, ['HMGET', checkpointKey, 'position', 'seen', 'event', 'turn', 'parked', 'begun']),
    port.send(finishedKey, ['ZRANGE', finishedKey, '0', '-1']),
    port.send(blockedKey, ['HLEN', blockedKey]),
  ]);
  const [position, seen, event, turn, parked, begun] = stored as (string | null)[];
  const isNew = !position && !begun;
  const asked = isNew ? await startOf(connection, reactor, partition) : BEGINNING;
  // An empty log has no place to stand at; 'now' must not mean a later time at the next start.
  if (isNew && asked.place < 0) await port.send(checkpointKey, ['HSET', checkpointKey, 'begun', '1']);
  const start = position ? { place: packEntryId(position), seen: Number(seen ?? 0), mark: event ?? '' } : asked;
  return {
    start: { ...start, isNew: isNew && asked.place >= 0 },
    turn: turn ?? '',
    finished: new Set((finished as string[]).map(Number)),
    mayBeBlocked: Number(blocked) > 0,
    waiting: Number(parked ?? 0),
  };
}

/** Throws InvalidInputError for a position with several partitions, or what is no place at all. */
export async function startOf(
  connection: Connection,
  { startFrom, categories }: Pick<Reactor, 'startFrom' | 'categories'>,
  partition: number,
): Promise<Start> {
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
