// Leases on checkpoints say who works and from where, while the compare-and-set of each commit decides what counts.
import { LogLostError } from '../errors.ts';
import { ProjectionChangedError } from '../processing-errors.ts';
import { checkMark, type Marked } from '../log/mark.ts';
import { entryIdOf, packEntryId } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { acquireLeases, type LeaseReply, releaseLeases } from '../redis/scripts.ts';
import { waitAtMost } from './wait-at-most.ts';

/** How far something is, as it was committed last. */
export interface Checkpoint extends Marked {
  /** Rises with each change of owner and each rewind: a commit with an older one is refused. */
  readonly epoch: string;
  /** How many events of its categories lie up to here. */
  readonly seen: number;
}

/** What has a checkpoint in one partition. The lease sets `checkpoint`; undefined where another process has it, or nobody yet. */
export interface Leased {
  readonly name: string;
  readonly checkpointKey: string;
  /** What it reads: a checkpoint that was made with something else is refused. */
  readonly reads: string;
  checkpoint: Checkpoint | undefined;
  /** The last checkpoint that this process saw in Redis, to notice one that went back. */
  lastKnown: Checkpoint | undefined;
  /** What the last lease came with. */
  terms?: LeaseTerms | undefined;
}

/** What a lease comes with beside the checkpoint. */
export interface LeaseTerms {
  /** Rises with each rewind. */
  readonly generation: string;
  /** Whether everything there was has been folded once. */
  readonly isBuilt: boolean;
}

export interface LeaseOptions {
  readonly owner: string;
  readonly leaseMs: number;
}

/** The entry id of a place, as checkpoints have it; '' for the beginning. */
export function checkpointText(place: number): string {
  return place < 0 ? '' : entryIdOf(place);
}

/** How the leases of a partition are after they were taken, or not. */
export interface HeldLeases {
  /** What is wrong with each, where something is. */
  readonly failures: ReadonlyMap<Leased, Error>;
  /** The shortest time until one runs out that another process holds, in milliseconds; undefined where none does. */
  readonly otherMs: number | undefined;
  /** That other process. */
  readonly otherOwner: string | undefined;
  /** Whether another process asks for one that is held. */
  readonly isWanted: boolean;
  /** Those that nobody is to run for now: paused, or being rewound or dropped. One that is held still is to be finished and given back. */
  readonly halted: ReadonlySet<Leased>;
}

/** Takes or prolongs the leases of one partition. */
export async function holdLeases(connection: Connection, partition: number, leased: readonly Leased[], options: LeaseOptions): Promise<HeldLeases> {
  // A commit may be told while the leases are asked for; what was known before that must be there.
  const known = leased.map(({ lastKnown }) => lastKnown);
  const checkpoints = leased.map(({ checkpointKey, reads }) => ({ key: checkpointKey, reads }));
  const replies = await acquireLeases(connection.port, checkpoints, options);
  const failures = new Map<Leased, Error>();
  for (const [index, each] of leased.entries()) {
    const failure = await takeReply(connection, partition, each, { reply: replies[index] as LeaseReply, lastKnown: known[index] });
    if (failure) failures.set(each, failure);
  }
  const others = replies.filter((reply) => reply.status === 'other');
  return {
    failures,
    otherMs: others.length === 0 ? undefined : Math.min(...others.map(({ remainingMs }) => remainingMs)),
    otherOwner: others[0]?.owner,
    isWanted: replies.some((reply) => reply.status === 'held' && reply.wantedBy !== ''),
    halted: new Set(leased.filter((_, index) => replies[index]?.status === 'halted')),
  };
}

async function takeReply(
  connection: Connection,
  partition: number,
  leased: Leased,
  { reply, lastKnown }: { readonly reply: LeaseReply; readonly lastKnown: Checkpoint | undefined },
): Promise<Error | undefined> {
  if (reply.status === 'halted') return undefined; // what is under way is finished first
  if (reply.status !== 'held') {
    leased.checkpoint = undefined;
    if (reply.status === 'other') return undefined;
    leased.terms = { generation: reply.generation, isBuilt: false };
    return changedError(leased, reply.reads);
  }
  const checkpoint: Checkpoint = {
    epoch: reply.epoch,
    place: reply.position === '' ? -1 : packEntryId(reply.position),
    seen: reply.seen,
    mark: reply.event,
  };
  if (lastKnown && wentBack(checkpoint, lastKnown)) return wentBackError(leased, checkpoint, lastKnown);
  if (leased.checkpoint?.epoch === checkpoint.epoch) return undefined; // only prolonged: what is under way counts on
  leased.checkpoint = checkpoint;
  leased.lastKnown = checkpoint;
  leased.terms = { generation: reply.generation, isBuilt: reply.isBuilt };
  try {
    await checkMark(connection, partition, checkpoint);
    return undefined;
  } catch (error) {
    if (!(error instanceof LogLostError)) throw error;
    leased.checkpoint = undefined;
    return error;
  }
}

// A later place in the same epoch is that of a commit of our own whose reply was lost; an earlier one in a later epoch is a rewind.
function wentBack(found: Checkpoint, known: Checkpoint): boolean {
  const [epoch, before] = [Number(found.epoch), Number(known.epoch)];
  return epoch < before || (epoch === before && found.place < known.place);
}

/**
 * Of those that stand still, which were rewound since: they begin anew, whatever it was. A generation that is gone says nothing: the
 * whole checkpoint may be.
 */
export async function rewoundOf<Each extends Leased>({ port }: Connection, standing: readonly Each[]): Promise<readonly Each[]> {
  const generations = await Promise.all(
    standing.map(({ checkpointKey }) => port.send(checkpointKey, ['HMGET', checkpointKey, 'generation', 'clearing'])),
  );
  return standing.filter((each, index) => {
    const [generation, clearing] = generations[index] as readonly (string | null)[];
    return clearing === null && Number(generation ?? 0) > Number(each.terms?.generation ?? 0);
  });
}

function changedError({ name, reads }: Leased, stored: string): ProjectionChangedError {
  return new ProjectionChangedError(
    `Expected the checkpoint of ${name} to be made with the categories ${stored}, found a definition with ${reads}: its documents lack the events of the categories that are new. ` +
      'Nothing was folded. Raise the version of the projection, or rewind it with ProcessorControl, so that it is folded from the beginning; or give it its former categories.',
  );
}

function wentBackError({ name, checkpointKey }: Leased, found: Checkpoint, known: Checkpoint): LogLostError {
  return new LogLostError(
    `The checkpoint of ${name} in ${checkpointKey} stood at ${checkpointText(known.place)}, and now ${found.place < 0 ? 'it is gone' : `it stands at ${checkpointText(found.place)}`}, though nobody else worked on it. ` +
      'A flush, a restored backup or a failover that lost writes does this. Nothing was folded. Look at what is left of the log, and start the processor again to go on from there; or fold it again from the beginning with ProcessorControl.rewind.',
  );
}

/** How long a stop waits for leases to be given back, in milliseconds. */
const GIVE_BACK_MS_MAX = 2_000;

/** Waits for leases to be given back, but not for a server that does not answer: they run out by themselves. */
export async function givenBack(giving: Promise<unknown>): Promise<void> {
  await waitAtMost(GIVE_BACK_MS_MAX, giving);
}

/**
 * Gives leases back, so that another process may take them at once; with `keptMs` only one that asked, for so long. It also takes back
 * what this process asked for.
 */
export async function giveBack(connection: Connection, leased: readonly Leased[], owner: string, keptMs = 0): Promise<void> {
  if (leased.length === 0) return;
  const keys = leased.map(({ checkpointKey }) => checkpointKey);
  await releaseLeases(connection.port, keys, owner, keptMs);
  for (const each of leased) each.checkpoint = undefined;
}
