// How far a reactor is in one partition, whoever runs it, and what it gave up.
import type { Position } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { type LocalState, projectionProgress } from './progress.ts';
import type { Reactor } from './reactor.ts';

/** How far a reactor is in one partition. */
export interface ReactorProgress {
  readonly reactor: string;
  readonly version: number;
  readonly partition: number;
  /** Every event up to here is done with, has become a dead letter, or waits behind one; undefined at the beginning. */
  readonly position: Position | undefined;
  /** Events of its categories up to there. */
  readonly eventsDone: number;
  /** Events of its categories behind it, some of which may be done. */
  readonly lagEvents: number;
  /** How long ago the first of them was recorded, in milliseconds; 0 when there is none. By this machine's clock. */
  readonly lagMs: number;
  /** Open dead letters. */
  readonly deadLetters: number;
  /** Events that wait behind them. */
  readonly eventsWaiting: number;
  /** Whether this processor holds the lease. */
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
  return { ...progress, reactor: projection, eventsDone: eventsFolded, deadLetters: Number(deadLetters), eventsWaiting: Number(eventsWaiting ?? 0) };
}
