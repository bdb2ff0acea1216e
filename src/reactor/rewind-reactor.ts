// Sets a reactor back, or forward, to a place of the log: what stands behind it is forgotten and handled again as it comes.
import { InvalidInputError } from '../errors.ts';
import type { Connection } from '../redis/connection.ts';
import { forgetLetters, resetGroup, takeGroup } from '../redis/group-scripts.ts';
import { beginRewind, finishRewind, rewindKey } from '../redis/reaction-scripts.ts';
import { groupKeysOf } from './consumer-group.ts';
import { removeProcesses } from './drop-reactor.ts';
import { fieldsOf } from './hash-fields.ts';
import { checkpointText } from '../loop/lease.ts';
import type { KeptReactor, StartFrom } from './reactor.ts';
import { type Start, startOf } from './start-from.ts';

/**
 * In each partition: the checkpoint is taken away, letters and waiting events behind the place are removed, then it stands there. Safe at
 * every step: where the process dies in between nobody handles anything, and the same call again finishes it.
 */
export async function rewindReactor(connection: Connection, reactor: KeptReactor, to: StartFrom, signal: AbortSignal | undefined): Promise<void> {
  if (reactor.hasStates) assertWhereStatesAllow(to);
  const partitions = Array.from({ length: connection.keys.partitions }, (_, partition) => partition);
  const starts = await Promise.all(partitions.map((partition) => startOf(connection, { categories: reactor.categories, startFrom: to }, partition)));
  const rewindOne = reactor.order === 'none' ? rewindGroup : rewindPartition;
  for (const [partition, start] of starts.entries()) await rewindOne(connection, reactor, { partition, start, signal });
}

interface Rewind {
  readonly partition: number;
  readonly start: Start;
  readonly signal: AbortSignal | undefined;
}

async function rewindPartition(connection: Connection, reactor: KeptReactor, { partition, start, signal }: Rewind): Promise<void> {
  const { keys, port } = connection;
  const { name, version } = reactor;
  const position = checkpointText(start.place);
  const checkpointKey = keys.checkpoint(partition, name, version);
  await beginRewind(port, checkpointKey, position);
  if (reactor.hasStates && start.place < 0)
    await removeProcesses(connection, reactor, { partition, removal: { what: 'rewind', to: position }, signal });
  const blockedKey = keys.blocked(partition, name, version);
  for await (const page of fieldsOf(connection, blockedKey))
    for (const key of page) {
      signal?.throwIfAborted();
      const blocked = {
        checkpointKey,
        blockedKey,
        retryingKey: keys.retrying(partition, name, version),
        deadKey: keys.dead(partition, name, version),
        lettersKey: keys.letters(partition, name, version),
        parkedKey: keys.parked(partition, name, version, key),
      };
      while (await rewindKey(port, blocked, { position, place: start.place, key }));
    }
  await finishRewind(port, { checkpointKey, finishedKey: keys.finished(partition, name, version) }, { position, seen: start.seen });
}

/** What workers have in hand from before may still be handled to its end, but what they acknowledge does not count. */
async function rewindGroup(connection: Connection, reactor: KeptReactor, { partition, start, signal }: Rewind): Promise<void> {
  const { keys, port } = connection;
  const { name, version } = reactor;
  const position = checkpointText(start.place);
  const groupKeys = groupKeysOf(connection, reactor, partition);
  const { checkpointKey } = groupKeys;
  await beginRewind(port, checkpointKey, position);
  await takeGroup(port, groupKeys, position);
  const letters = {
    checkpointKey,
    deadKey: keys.dead(partition, name, version),
    lettersKey: keys.letters(partition, name, version),
    retryingKey: keys.retrying(partition, name, version),
  };
  while (await forgetLetters(port, letters, { position, place: start.place })) signal?.throwIfAborted();
  await resetGroup(port, groupKeys, { position, seen: start.seen });
}

/** Each state holds the events of its process so far, and passes over those that it has. */
function assertWhereStatesAllow(to: StartFrom): void {
  if (to === 'start' || to === 'now') return;
  throw new InvalidInputError(
    'option to',
    "'start' or 'now' for a process manager: its states hold all events before, and cannot be set back to a place",
    to,
  );
}
