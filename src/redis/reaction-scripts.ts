// A typed function for each script of reactors and their dead letters: what goes in, what comes out.
import type { RedisPort } from './port.ts';
import { load, run } from './scripts.ts';

const scripts = {
  commitReactions: load('commit-reactions'),
  raiseFence: load('raise-fence'),
} as const;

/** What became of one event, or of a key, for the commit of a reactor. */
export type ReactionStep =
  | { readonly what: 'finished'; readonly place: number }
  | { readonly what: 'dead' | 'again'; readonly key: string; readonly place: number; readonly letter: string }
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
  readonly seen: number;
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
    String(seen),
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
    case 'again':
      return [step.key, String(step.place), step.letter];
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

/** From now on, handlers of an earlier epoch append nothing more into this partition. */
export async function raiseFence(port: RedisPort, reactionsKey: string, epoch: string): Promise<void> {
  await run(port, scripts.raiseFence, [reactionsKey], [epoch]);
}

/** Forgets results that were kept for an event which is done with. */
export async function dropReactions(port: RedisPort, reactionsKey: string, fields: readonly string[]): Promise<void> {
  if (fields.length > 0) await port.send(reactionsKey, ['HDEL', reactionsKey, ...fields]);
}
