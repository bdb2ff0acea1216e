// A typed function for each script that acts on what processors of every process do.
import type { RedisPort } from './port.ts';
import { load, run } from './scripts.ts';

const scripts = {
  pause: load('pause'),
  beginClearing: load('begin-clearing'),
  clearDocuments: load('clear-documents'),
  finishClearing: load('finish-clearing'),
  markBuilt: load('mark-built'),
  serve: load('serve'),
} as const;

/** What was found at a checkpoint that is paused now. */
export interface PauseReply {
  /** Who has the lease and has not given it up yet; '' where nobody can commit any more. */
  readonly owner: string;
  readonly remainingMs: number;
}

/** Keeps processes from running what has these checkpoints. */
export async function pause(port: RedisPort, checkpointKeys: readonly string[]): Promise<readonly PauseReply[]> {
  const reply = await run<[string, number][]>(port, scripts.pause, checkpointKeys, []);
  return reply.map(([owner, remainingMs]) => ({ owner, remainingMs }));
}

/** Why documents are removed: to fold them again from the beginning, or for good. */
export type Clearing = 'rewind' | 'drop';

/** The keys of a projection in a partition whose documents are removed, and the generation that begins with it. */
export interface ClearedPartition {
  readonly checkpointKey: string;
  readonly removedKey: string;
  readonly generation: number;
}

/** `heldBy` tells who keeps it from being dropped. */
export type BeginReply = { readonly status: 'begun' | 'superseded' } | { readonly status: 'held'; readonly heldBy: string };

/** Takes the checkpoint away. */
export async function beginClearing(port: RedisPort, { checkpointKey, generation }: ClearedPartition, what: Clearing): Promise<BeginReply> {
  const reply = await run<string>(port, scripts.beginClearing, [checkpointKey], [String(generation), what]);
  return reply === 'begun' || reply === 'superseded' ? { status: reply } : { status: 'held', heldBy: reply };
}

/** Removes documents, and with `isLast` says that there are no more; whether there was still something to be cleared. */
export async function clearDocuments(
  port: RedisPort,
  { checkpointKey, removedKey, generation }: ClearedPartition,
  documentKeys: readonly string[],
  { isLast }: { readonly isLast: boolean },
): Promise<boolean> {
  const keys = [checkpointKey, removedKey, ...documentKeys];
  return (await run(port, scripts.clearDocuments, keys, [String(generation), isLast ? '1' : '0'])) === 1;
}

/** Lets it begin anew, or be gone; whether it was this call that did so. */
export async function finishClearing(port: RedisPort, { checkpointKey, removedKey, generation }: ClearedPartition, what: Clearing): Promise<boolean> {
  return (await run(port, scripts.finishClearing, [checkpointKey, removedKey], [String(generation), what])) === 1;
}

/** Notes that a projection's documents are whole in a partition; false where it was rewound since. */
export async function markBuilt(port: RedisPort, checkpointKey: string, generation: string): Promise<boolean> {
  return (await run(port, scripts.markBuilt, [checkpointKey], [generation])) === 1;
}

/** Flips the readers of a projection: `version` '' for none; `from` is what must serve now, '' for nothing. */
export interface Flip {
  readonly settingsKey: string;
  readonly field: string;
  readonly channel: string;
  readonly version: string;
  readonly from: string;
}

/** Whether it was flipped, and what serves ('' for nothing). */
export async function serveVersion(
  port: RedisPort,
  { settingsKey, field, channel, version, from }: Flip,
): Promise<{ readonly isSet: boolean; readonly serves: string }> {
  const [isSet, serves] = await run<[number, string]>(port, scripts.serve, [settingsKey], [field, version, from, channel]);
  return { isSet: isSet === 1, serves };
}
