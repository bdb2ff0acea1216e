// A typed function for each script that removes what is kept of a reactor.
import type { RedisPort } from './port.ts';
import { load, run } from './scripts.ts';

const scripts = {
  beginDrop: load('begin-drop'),
  removeKeys: load('remove-keys'),
  removeGroup: load('remove-group'),
  removeReactions: load('remove-reactions'),
  finishDrop: load('finish-drop'),
} as const;

/** The epoch of the drop, or who keeps it from being dropped. */
export type DropReply = { readonly status: 'begun'; readonly epoch: string } | { readonly status: 'held'; readonly heldBy: string };

/** Takes the checkpoint away. */
export async function beginDrop(port: RedisPort, checkpointKey: string): Promise<DropReply> {
  const [isBegun, said] = await run<[number, string]>(port, scripts.beginDrop, [checkpointKey], []);
  return isBegun === 1 ? { status: 'begun', epoch: said } : { status: 'held', heldBy: said };
}

/** Why keys are removed: as long as that is so they belong to nobody. `to` is the position that is rewound to, '' for the beginning. */
export type Removal = { readonly what: 'rewind'; readonly to: string } | { readonly what: 'drop'; readonly to: '' };

/** Removes keys of the checkpoint's partition; whether they were still to be removed. */
export async function removeKeys(port: RedisPort, checkpointKey: string, keys: readonly string[], { what, to }: Removal): Promise<boolean> {
  return (await run(port, scripts.removeKeys, [checkpointKey, ...keys], [what, to])) === 1;
}

/** Removes the consumer groups of a reactor that is being dropped. */
export async function removeGroup(
  port: RedisPort,
  checkpointKey: string,
  { group, logs }: { readonly group: string; readonly logs: readonly string[] },
): Promise<void> {
  await run(port, scripts.removeGroup, [checkpointKey, ...logs], [group]);
}

/** Removes what handlers of a reactor that is being dropped appended into another partition. */
export async function removeReactions(port: RedisPort, reactionsKey: string, epoch: string): Promise<void> {
  await run(port, scripts.removeReactions, [reactionsKey], [epoch]);
}

/** Removes the checkpoint, the last that is left. */
export async function finishDrop(
  port: RedisPort,
  checkpointKey: string,
  { droppedKey, field }: { readonly droppedKey: string; readonly field: string },
): Promise<void> {
  await run(port, scripts.finishDrop, [checkpointKey, droppedKey], [field]);
}

/** The epoch that a reactor had which was dropped; 0 for none. */
export async function readDroppedEpoch(
  port: RedisPort,
  { droppedKey, field }: { readonly droppedKey: string; readonly field: string },
): Promise<number> {
  return Number((await port.send(droppedKey, ['HGET', droppedKey, field])) ?? 0);
}
