// A typed function for each script of reactors and their dead letters: what goes in, what comes out.
import type { RedisPort } from './port.ts';
import { load, run } from './scripts.ts';

const scripts = {
  commitReactions: load('commit-reactions'),
  raiseFence: load('raise-fence'),
  raiseEpoch: load('raise-epoch'),
  beginRewind: load('begin-rewind'),
  rewindKey: load('rewind-key'),
  finishRewind: load('finish-rewind'),
  retryLetters: load('retry-letters'),
  discardLetters: load('discard-letters'),
} as const;

/** What became of one event, or of a key, for the commit of a reactor. */
export type ReactionStep =
  | { readonly what: 'finished'; readonly place: number }
  | { readonly what: 'dead'; readonly key: string; readonly place: number; readonly letter: string }
  | { readonly what: 'again'; readonly key: string; readonly place: number; readonly letter: string; readonly asked: string }
  | { readonly what: 'park'; readonly key: string; readonly entry: string }
  | { readonly what: 'shift'; readonly key: string }
  | { readonly what: 'close'; readonly key: string; readonly place: number }
  | { readonly what: 'free'; readonly key: string };

export interface ReactionsCommit {
  readonly checkpointKey: string;
  readonly finishedKey: string;
  readonly deadKey: string;
  readonly lettersKey: string;
  readonly blockedKey: string;
  readonly retryingKey: string;
  readonly parkedKey: (key: string) => string;
  readonly channel: string;
  readonly epoch: string;
  /** The name of the commit before, and that of this one: sent again, it changes nothing. */
  readonly fromTurn: string;
  readonly toTurn: string;
  /** Where the checkpoint moves to; undefined where it stays. */
  readonly to: { readonly position: string; readonly place: number } | undefined;
  /** Undefined where it stays as it is. */
  readonly seen: number | undefined;
  readonly event: string;
  readonly leaseMs: number;
  readonly steps: readonly ReactionStep[];
}

/** Moves a reactor's checkpoint and notes what became of events; whether the lease is still the one of this epoch. */
export async function commitReactions(port: RedisPort, commitment: ReactionsCommit): Promise<boolean> {
  const { checkpointKey, finishedKey, deadKey, lettersKey, blockedKey, retryingKey, epoch, to, seen, event, leaseMs, channel } = commitment;
  const keys = [checkpointKey, finishedKey, deadKey, lettersKey, blockedKey, retryingKey];
  const lists = new Map<string, string>();
  const listOf = (key: string): string => {
    const known = lists.get(key) ?? String(keys.push(commitment.parkedKey(key)));
    lists.set(key, known);
    return known;
  };
  const args = [
    epoch,
    commitment.fromTurn,
    commitment.toTurn,
    to?.position ?? '',
    String(to?.place ?? ''),
    String(seen ?? ''),
    event,
    String(leaseMs),
    channel,
  ];
  for (const step of commitment.steps) args.push(step.what, ...reactionArgs(step, listOf));
  const [committed] = await run<[number, ...string[]]>(port, scripts.commitReactions, keys, args);
  return committed === 1;
}

function reactionArgs(step: ReactionStep, listOf: (key: string) => string): readonly string[] {
  switch (step.what) {
    case 'finished':
      return [String(step.place)];
    case 'dead':
      return [step.key, String(step.place), step.letter];
    case 'again':
      return [step.key, String(step.place), step.letter, step.asked];
    case 'park':
      return [listOf(step.key), step.key, step.entry];
    case 'shift':
      return [listOf(step.key)];
    case 'close':
      return [step.key, String(step.place)];
    case 'free':
      return [listOf(step.key), step.key];
  }
}

/** From now on, handlers of an earlier epoch append nothing more into this partition. The epoch that counts there now. */
export async function raiseFence(port: RedisPort, reactionsKey: string, epoch: string): Promise<number> {
  return Number(await run(port, scripts.raiseFence, [reactionsKey], [epoch]));
}

/** Raises a checkpoint's epoch; nothing, where another one was there by then. */
export async function raiseEpoch(port: RedisPort, checkpointKey: string, from: string, to: number): Promise<void> {
  await run(port, scripts.raiseEpoch, [checkpointKey], [from, String(to)]);
}

/** Forgets results that were kept for an event which is done with. */
export async function dropReactions(port: RedisPort, reactionsKey: string, fields: readonly string[]): Promise<void> {
  if (fields.length > 0) await port.send(reactionsKey, ['HDEL', reactionsKey, ...fields]);
}

/** Takes the checkpoint away until `finishRewind`. */
export async function beginRewind(port: RedisPort, checkpointKey: string, position: string): Promise<void> {
  await run(port, scripts.beginRewind, [checkpointKey], [position]);
}

/** The keys that a blocked key of a reactor is in. */
export interface BlockedKeys {
  readonly checkpointKey: string;
  readonly blockedKey: string;
  readonly retryingKey: string;
  readonly deadKey: string;
  readonly lettersKey: string;
  readonly parkedKey: string;
}

/** Forgets what stands behind a place of one key; whether more is to be forgotten. */
export async function rewindKey(
  port: RedisPort,
  { checkpointKey, blockedKey, retryingKey, deadKey, lettersKey, parkedKey }: BlockedKeys,
  { position, place, key }: { readonly position: string; readonly place: number; readonly key: string },
): Promise<boolean> {
  const keys = [checkpointKey, blockedKey, retryingKey, deadKey, lettersKey, parkedKey];
  return (await run(port, scripts.rewindKey, keys, [position, String(place), key])) === 1;
}

/** Lets the reactor go on from there; whether it was this call that did so. */
export async function finishRewind(
  port: RedisPort,
  { checkpointKey, finishedKey }: { readonly checkpointKey: string; readonly finishedKey: string },
  { position, seen }: { readonly position: string; readonly seen: number },
): Promise<boolean> {
  return (await run(port, scripts.finishRewind, [checkpointKey, finishedKey], [position, String(seen)])) === 1;
}

/** The keys that the open letters of a reactor in one partition are in. */
export type LetterKeys = Pick<BlockedKeys, 'deadKey' | 'lettersKey' | 'blockedKey' | 'retryingKey'>;

/** A letter by its place; its key is '' where nothing keeps an order. */
export interface LetterAt {
  readonly place: number;
  readonly key: string;
}

/** Asks that letters be tried again, with what was made of their events; how many of them are open. */
export async function retryLetters(
  port: RedisPort,
  { deadKey, lettersKey, blockedKey, retryingKey }: LetterKeys,
  letters: readonly (LetterAt & { readonly edit?: string | undefined })[],
): Promise<number> {
  const args = letters.flatMap(({ place, key, edit = '' }) => [String(place), key, edit]);
  return Number(await run(port, scripts.retryLetters, [deadKey, lettersKey, blockedKey, retryingKey], args));
}

/** Closes letters; how many of them were open. */
export async function discardLetters(
  port: RedisPort,
  { deadKey, lettersKey, blockedKey, retryingKey }: LetterKeys,
  letters: readonly LetterAt[],
): Promise<number> {
  const args = letters.flatMap(({ place, key }) => [String(place), key]);
  return Number(await run(port, scripts.discardLetters, [deadKey, lettersKey, blockedKey, retryingKey], args));
}
