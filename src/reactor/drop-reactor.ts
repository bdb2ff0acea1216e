// Removes all that is kept of a reactor, safe against a kill at every step.
import type { Connection } from '../redis/connection.ts';
import { beginDrop, finishDrop, readDroppedEpoch, type Removal, removeGroup, removeKeys, removeReactions } from '../redis/drop-scripts.ts';
import { scanDocuments, type Versioned } from '../snapshot/scan.ts';
import { heldError } from '../snapshot/clearing.ts';
import { groupKeysOf } from './consumer-group.ts';
import type { KeptReactor } from './reactor.ts';
import { fieldsOf } from './hash-fields.ts';

const KEYS_AT_ONCE = 100;
const DROP: Removal = { what: 'drop', to: '' };

/**
 * 1. The checkpoint of every partition is taken away: nobody commits, stores a step or takes a lease any more.
 * 2. In each partition all is removed that hangs on it, what tells of other keys behind those.
 * 3. The checkpoint goes last.
 *
 * Where the process dies in between nobody handles anything, and the same call again finishes it. Throws InUseError where somebody runs it.
 */
export async function dropReactor(connection: Connection, reactor: KeptReactor, signal: AbortSignal | undefined): Promise<void> {
  const epochs: string[] = [];
  for (let partition = 0; partition < connection.keys.partitions; partition += 1) {
    signal?.throwIfAborted();
    const reply = await beginDrop(connection.port, checkpointKeyOf(connection, reactor, partition));
    if (reply.status === 'held') throw heldError(`Reactor ${reactor.name}@${reactor.version}`, partition, reply.heldBy);
    epochs.push(reply.epoch);
  }
  for (const [partition, epoch] of epochs.entries()) await dropPartition(connection, reactor, { partition, epoch, signal });
}

interface Drop {
  readonly partition: number;
  readonly epoch: string;
  readonly signal: AbortSignal | undefined;
}

async function dropPartition(connection: Connection, reactor: KeptReactor, { partition, epoch, signal }: Drop): Promise<void> {
  const { keys, port } = connection;
  const { name, version } = reactor;
  const checkpointKey = checkpointKeyOf(connection, reactor, partition);
  const blockedKey = keys.blocked(partition, name, version);
  for await (const page of fieldsOf(connection, blockedKey)) {
    signal?.throwIfAborted();
    const lists = page.map((key) => keys.parked(partition, name, version, key));
    if (!(await removeKeys(port, checkpointKey, lists, DROP))) return;
  }
  if (reactor.hasStates) await removeProcesses(connection, reactor, { partition, removal: DROP, signal });
  if (reactor.order === 'none') await removeGroup(port, checkpointKey, groupKeysOf(connection, reactor, partition));
  const others = Array.from({ length: keys.partitions }, (_, target) => target).filter((target) => target !== partition);
  await Promise.all(others.map((target) => removeReactions(port, keys.reactions(target, name, version, partition), epoch)));
  const rest = [
    keys.finished(partition, name, version),
    keys.dead(partition, name, version),
    keys.letters(partition, name, version),
    keys.retrying(partition, name, version),
    keys.reactions(partition, name, version, partition),
    blockedKey,
  ];
  if (await removeKeys(port, checkpointKey, rest, DROP)) await finishDrop(port, checkpointKey, droppedAt(connection, reactor, partition));
}

/** Removes the states of a process manager in a partition whose checkpoint was taken away, and what is noted of processes that ended. */
export async function removeProcesses(
  connection: Connection,
  manager: Versioned,
  { partition, removal, signal }: { readonly partition: number; readonly removal: Removal; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { keys, port } = connection;
  const checkpointKey = checkpointKeyOf(connection, manager, partition);
  // One that moved between nodes of a cluster meanwhile is found by the next walk.
  for (let found = -1; found !== 0; ) {
    found = 0;
    for await (const documents of scanDocuments(connection, manager, partition, { signal })) {
      found += documents.length;
      for (let from = 0; from < documents.length; from += KEYS_AT_ONCE)
        if (!(await removeKeys(port, checkpointKey, documents.slice(from, from + KEYS_AT_ONCE), removal))) return;
    }
  }
  await removeKeys(port, checkpointKey, [keys.reactions(partition, manager.name, manager.version, partition)], removal);
}

/** The epoch that a reactor of this name had before it was dropped, in this partition: whoever runs one that was made anew needs a higher one. */
export async function epochBeforeDrop(connection: Connection, reactor: Versioned, partition: number): Promise<number> {
  return await readDroppedEpoch(connection.port, droppedAt(connection, reactor, partition));
}

function droppedAt({ keys }: Connection, { name, version }: Versioned, partition: number): { readonly droppedKey: string; readonly field: string } {
  return { droppedKey: keys.dropped(partition), field: `${name}@${version}` };
}

function checkpointKeyOf({ keys }: Connection, { name, version }: Versioned, partition: number): string {
  return keys.checkpoint(partition, name, version);
}
