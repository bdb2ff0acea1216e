// A typed function for each script of the consumer groups of reactors that keep no order: what goes in, what comes out.
import { workerField } from './keys.ts';
import type { RedisPort } from './port.ts';
import { load, type RawEntry, run } from './scripts.ts';

const scripts = {
  openGroup: load('open-group'),
  joinGroup: load('join-group'),
  acknowledge: load('acknowledge'),
  keepClaims: load('keep-claims'),
  claimIdle: load('claim-idle'),
  leaveGroup: load('leave-group'),
  readGroup: load('read-group'),
  removeConsumers: load('remove-consumers'),
  forgetLetters: load('forget-letters'),
  takeGroup: load('take-group'),
  resetGroup: load('reset-group'),
} as const;

/** The consumer groups of a reactor in one partition: one of the same name on each log. */
export interface GroupKeys {
  readonly group: string;
  readonly logs: readonly string[];
  readonly checkpointKey: string;
  /** What handlers of this partition appended into it, and who of them may. */
  readonly reactionsKey: string;
}

/** A worker: the consumer that it is, and the field that says whether it may still write. */
export interface Worker {
  readonly consumer: string;
  readonly field: string;
}

export type GroupState =
  | { readonly status: 'open' | 'new' | 'halted' | 'changed' }
  | { readonly status: 'missing'; readonly position: string; readonly mark: string; readonly begun: string }
  | { readonly status: 'gone'; readonly log: string };

/** Where missing groups are made to begin. */
export interface GroupStart {
  /** The entry id behind which they do. */
  readonly after: string;
  /** How many events lie up to there; undefined where groups are made again. */
  readonly seen: number | undefined;
}

/** Looks whether the groups are there; makes those that are missing only where `start` is given. */
export async function openGroup(port: RedisPort, { group, logs, checkpointKey }: GroupKeys, reads: string, start?: GroupStart): Promise<GroupState> {
  const args = [group, reads, start?.after ?? '', String(start?.seen ?? '')];
  const [status, ...rest] = await run<[GroupState['status'], ...string[]]>(port, scripts.openGroup, [checkpointKey, ...logs], args);
  const [first = '', mark = '', begun = ''] = rest;
  if (status === 'missing') return { status, position: first, mark, begun };
  return status === 'gone' ? { status, log: first } : { status };
}

/** Makes a worker of this name; its number is higher than that of every earlier one. */
export async function joinGroup(
  port: RedisPort,
  { group, logs, checkpointKey, reactionsKey }: GroupKeys,
  { consumer, field }: Worker,
): Promise<number> {
  return Number(await run(port, scripts.joinGroup, [reactionsKey, checkpointKey, ...logs], [group, consumer, field]));
}

/** Lets a worker's handlers append into another partition, unless it was fenced off. */
export async function admitWorker(port: RedisPort, reactionsKey: string, { field }: Worker): Promise<void> {
  await port.send(reactionsKey, ['HSETNX', reactionsKey, field, '1']);
}

/** From now on, nothing that this worker does counts here. */
export async function fenceWorker(port: RedisPort, reactionsKey: string, field: string): Promise<void> {
  await port.send(reactionsKey, ['HSET', reactionsKey, field, '0']);
}

/** An event in one of the logs, by the log's number among them. */
export interface LogEntryId {
  readonly log: number;
  readonly entryId: string;
}

export interface Acknowledgement {
  readonly deadKey: string;
  readonly lettersKey: string;
  /** The entry ids of events that were handled, for each log. */
  readonly handled: readonly (readonly string[])[];
  readonly letters: readonly (LogEntryId & { readonly place: number; readonly letter: string })[];
}

/** How many events this acknowledged; undefined where the worker was fenced off, and nothing was. */
export async function acknowledge(
  port: RedisPort,
  { group, logs, checkpointKey, reactionsKey }: GroupKeys,
  { field }: Worker,
  { deadKey, lettersKey, handled, letters }: Acknowledgement,
): Promise<number | undefined> {
  const args = [group, field, String(letters.length)];
  for (const { log, entryId, place, letter } of letters) args.push(String(log + 1), entryId, String(place), letter);
  for (const ids of handled) pushCounted(args, ids);
  const keys = [reactionsKey, checkpointKey, deadKey, lettersKey, ...logs];
  const acknowledged = Number(await run(port, scripts.acknowledge, keys, args));
  return acknowledged < 0 ? undefined : acknowledged;
}

/** Keeps what a worker has in hand; for each log what it was given without knowing. Undefined where it was fenced off. */
export async function keepClaims(
  port: RedisPort,
  { group, logs, reactionsKey }: GroupKeys,
  { consumer, field }: Worker,
  { inHand, lostAfterMs, most }: { readonly inHand: readonly (readonly string[])[]; readonly lostAfterMs: number; readonly most: number },
): Promise<readonly (readonly RawEntry[])[] | undefined> {
  const args = [group, consumer, field, String(lostAfterMs), String(most)];
  for (const ids of inHand) pushCounted(args, ids);
  const found = await run<RawEntry[][]>(port, scripts.keepClaims, [reactionsKey, ...logs], args);
  return found.length === 0 ? undefined : found;
}

function pushCounted(args: string[], ids: readonly string[]): void {
  args.push(String(ids.length));
  for (const id of ids) args.push(id);
}

/** What was claimed. */
export interface Claimed {
  /** Higher than that of every earlier taker. */
  readonly number: number;
  /** For each log. */
  readonly entries: readonly (readonly RawEntry[])[];
  /** Events that are no longer in the log. */
  readonly lost: readonly string[];
}

/** The consumers with whom something lies idle for so long. */
export async function idleConsumers(port: RedisPort, { group, logs }: GroupKeys, idleMs: number): Promise<ReadonlySet<string>> {
  const idle = await Promise.all(
    logs.map((log) => port.send(log, ['XPENDING', log, group, 'IDLE', String(idleMs), '-', '+', '100']) as Promise<[string, string][]>),
  );
  return new Set(idle.flat().map(([, consumer]) => consumer));
}

/** Takes what lies idle with consumers that were fenced off in every partition. Undefined where the worker itself was. */
export async function claimIdle(
  port: RedisPort,
  { group, logs, checkpointKey, reactionsKey }: GroupKeys,
  { consumer, field }: Worker,
  { from, idleMs, most }: { readonly from: readonly string[]; readonly idleMs: number; readonly most: number },
): Promise<Claimed | undefined> {
  const args = [group, consumer, field, String(idleMs), String(most), ...from];
  const reply = await run<[] | [number, RawEntry[][], string[]]>(port, scripts.claimIdle, [reactionsKey, checkpointKey, ...logs], args);
  const [number, entries = [], lost = []] = reply;
  return number === undefined ? undefined : { number, entries, lost };
}

/** Ends a consumer that was fenced off in every partition; how many events it left, which anybody may claim at once. */
export async function leaveGroup(port: RedisPort, { group, logs }: GroupKeys, { consumer }: Worker, idleMs: number): Promise<number> {
  return Number(await run(port, scripts.leaveGroup, logs, [group, consumer, String(idleMs)]));
}

/** The entry id of the first event that is not done, '' where all are; undefined where a group is missing. */
export async function readGroup(port: RedisPort, { group, logs }: Pick<GroupKeys, 'group' | 'logs'>): Promise<string | undefined> {
  const [first] = await run<[] | [string]>(port, scripts.readGroup, logs, [group]);
  return first;
}

/** Removes consumers that have nothing pending and were not heard of for so long; those that are gone. */
export async function removeConsumers(port: RedisPort, { group, logs }: GroupKeys, idleMs: number): Promise<readonly string[]> {
  return await run<string[]>(port, scripts.removeConsumers, logs, [group, String(idleMs)]);
}

/** Forgets letters behind a place of a reactor that is being rewound; whether more are to be forgotten. */
export async function forgetLetters(
  port: RedisPort,
  keys: { readonly checkpointKey: string; readonly deadKey: string; readonly lettersKey: string; readonly retryingKey: string },
  { position, place }: { readonly position: string; readonly place: number },
): Promise<boolean> {
  const { checkpointKey, deadKey, lettersKey, retryingKey } = keys;
  return (await run(port, scripts.forgetLetters, [checkpointKey, deadKey, lettersKey, retryingKey], [position, String(place)])) === 1;
}

/** Takes the groups of a reactor that is being rewound away from its workers. */
export async function takeGroup(port: RedisPort, { group, logs, checkpointKey, reactionsKey }: GroupKeys, position: string): Promise<void> {
  await run(port, scripts.takeGroup, [checkpointKey, reactionsKey, ...logs], [group, workerField(''), position]);
}

/** Makes the groups of a reactor that is being rewound anew, behind that position; whether it was this call that did so. */
export async function resetGroup(
  port: RedisPort,
  { group, logs, checkpointKey }: GroupKeys,
  { position, seen }: { readonly position: string; readonly seen: number },
): Promise<boolean> {
  return (await run(port, scripts.resetGroup, [checkpointKey, ...logs], [group, position, String(seen)])) === 1;
}
