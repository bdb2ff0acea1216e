// How far a reactor is in one partition, whoever runs it, and what it gave up.
import { type Position, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { groupStandsAt } from '../reactor/consumer-group.ts';
import { ageOfNext, type LocalState, projectionProgress } from './progress.ts';
import type { Reactor } from '../reactor/reactor.ts';

/** How far a reactor is in one partition. */
export interface ReactorProgress {
  readonly reactor: string;
  readonly version: number;
  readonly partition: number;
  /** Every event up to here is done with, has become a dead letter, or waits behind one; undefined where that is none. */
  readonly position: Position | undefined;
  /** Events of its categories up to there; with order 'none' all that are done, wherever they stand. */
  readonly eventsDone: number;
  /** Events of its categories behind it, some of which may be done; with order 'none' all that are not. */
  readonly lagEvents: number;
  /** How long ago the first of them was recorded, in milliseconds; 0 when there is none. By this machine's clock. */
  readonly lagMs: number;
  /** Open dead letters. */
  readonly deadLetters: number;
  /** Events that wait behind them. */
  readonly eventsWaiting: number;
  /** Whether this processor holds the lease; with order 'none' whether it takes events. */
  readonly isRunHere: boolean;
  /** Why it stands still here, if it does. */
  readonly error: unknown;
}

export async function reactorProgress(connection: Connection, reactor: Reactor, partition: number, local: LocalState): Promise<ReactorProgress> {
  const { keys, port } = connection;
  const { name, version } = reactor;
  const [deadKey, checkpointKey] = [keys.dead(partition, name, version), keys.checkpoint(partition, name, version)];
  const [{ projection, eventsFolded, ...progress }, deadLetters, eventsWaiting] = await Promise.all([
    projectionProgress(connection, reactor, partition, local),
    port.send(deadKey, ['ZCARD', deadKey]),
    port.send(checkpointKey, ['HGET', checkpointKey, 'parked']),
  ]);
  const where = reactor.order === 'none' ? await groupProgress(connection, reactor, partition, progress.lagEvents) : {};
  return {
    ...progress,
    ...where,
    reactor: projection,
    eventsDone: eventsFolded,
    deadLetters: Number(deadLetters),
    eventsWaiting: Number(eventsWaiting ?? 0),
  };
}

/** The checkpoint follows the groups once a second: they themselves know better. */
async function groupProgress(
  connection: Connection,
  reactor: Reactor,
  partition: number,
  lagEvents: number,
): Promise<Partial<Pick<ReactorProgress, 'position' | 'lagMs'>>> {
  const reached = await groupStandsAt(connection, reactor, partition);
  if (!reached) return {};
  const lagMs = lagEvents === 0 ? 0 : await ageOfNext(connection, reactor, partition, reached.place);
  return { position: positionOf(partition, reached.place), lagMs };
}
