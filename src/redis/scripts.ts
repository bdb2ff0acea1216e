// A typed function for each script: what goes in, what comes out.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RedisPort, Reply, Script } from './port.ts';

export function load(name: string): Script {
  const source = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}

const scripts = {
  append: load('append'),
  registerWriter: load('register-writer'),
  settleBatch: load('settle-batch'),
  openStore: load('open-store'),
  storeDocument: load('store-document'),
  readDocuments: load('read-documents'),
  readStreams: load('read-streams'),
  readFresh: load('read-fresh'),
  acquireLeases: load('acquire-leases'),
  releaseLeases: load('release-leases'),
  askForLeases: load('ask-for-leases'),
  commit: load('commit'),
  commitDocument: load('commit-document'),
  removeTombstone: load('remove-tombstone'),
} as const;

// The one place where a reply gets its type: each script's header states it.
export async function run<Shape extends Reply>(port: RedisPort, script: Script, keys: readonly string[], args: readonly string[]): Promise<Shape> {
  return (await port.run(script, keys, args)) as Shape;
}

/** An entry of a Redis Stream as the protocol has it: its id, and its fields and values in turn. */
export type RawEntry = readonly [id: string, fields: readonly string[]];

/** What came of a batch: the outcome in the script's own short form, and for each conflict the entries missed. */
export type BatchReply = readonly [outcome: string, ...missed: (readonly RawEntry[])[]];

/** How many of the events that a conflict missed come with it. */
export const MISSED_EVENTS_MAX = 100;

/** Appends a batch; `['unknown']` when the writer's record does not tell. */
export async function appendBatch(port: RedisPort, keys: readonly string[], args: readonly string[]): Promise<BatchReply> {
  return await run<BatchReply>(port, scripts.append, keys, args);
}

export async function registerWriter(port: RedisPort, recordKey: string, ttlMs: number): Promise<void> {
  await run(port, scripts.registerWriter, [recordKey], [String(ttlMs)]);
}

/** What became of a batch whose sending met a refusal: with `done` comes its outcome. */
export async function settleBatch(
  port: RedisPort,
  recordKey: string,
  sequence: number,
): Promise<readonly ['done' | 'never' | 'unknown', ...outcome: string[]]> {
  return await run<['done' | 'never' | 'unknown', ...string[]]>(port, scripts.settleBatch, [recordKey], [String(sequence)]);
}

export interface StoredSettings {
  readonly id: string;
  readonly partitions: number;
  readonly layout: number;
}

/** A store's settings as they are in Redis; NaN for a number that is none there, '' for a missing id. */
function storedSettings([id, partitions, layout]: readonly (string | null)[]): StoredSettings {
  return { id: id ?? '', partitions: Number(partitions ?? Number.NaN), layout: Number(layout ?? Number.NaN) };
}

/** The settings of a store that exists; undefined where nothing does. */
export async function readSettings(port: RedisPort, settingsKey: string): Promise<StoredSettings | undefined> {
  const found = (await port.send(settingsKey, ['HMGET', settingsKey, 'id', 'partitions', 'layout'])) as readonly (string | null)[];
  return found.every((value) => value === null) ? undefined : storedSettings(found);
}

export async function openStore(
  port: RedisPort,
  settingsKey: string,
  fresh: { id: string; partitions: number | undefined; layout: number },
): Promise<StoredSettings> {
  const args = [fresh.id, fresh.partitions === undefined ? '' : String(fresh.partitions), String(fresh.layout)];
  return storedSettings(await run<(string | null)[]>(port, scripts.openStore, [settingsKey], args));
}

/** Which part of a stream to read: indexes as LRANGE takes them. */
export interface StreamRange {
  readonly indexKey: string;
  readonly logKey: string;
  readonly start: number;
  readonly stop: number;
}

export interface StreamPart {
  readonly length: number;
  readonly entries: readonly RawEntry[];
}

export async function readStreams(port: RedisPort, ranges: readonly StreamRange[]): Promise<readonly StreamPart[]> {
  const keys = ranges.flatMap((range) => [range.indexKey, range.logKey]);
  const args = ranges.flatMap((range) => [String(range.start), String(range.stop)]);
  const reply = await run<[number, RawEntry[]][]>(port, scripts.readStreams, keys, args);
  return reply.map(([length, entries]) => ({ length, entries }));
}

export interface FreshTail extends StreamPart {
  /** How many of the stream's first events the document holds. */
  readonly held: number;
}

export interface Fresh {
  /** The document's fields and values in turn; empty when there is none. */
  readonly fields: readonly string[];
  /** The stored result of the idempotency key, when one was asked for. */
  readonly result: string | null;
  readonly tails: readonly FreshTail[];
}

/** Where the first result of a request is kept: a key, or a field of a hash. */
export interface ResultAt {
  readonly key: string;
  readonly field?: string;
}

/** A stored document with what came after it. */
export async function readFresh(
  port: RedisPort,
  documentKey: string,
  streams: readonly { readonly indexKey: string; readonly logKey: string }[],
  { most, resultAt }: { readonly most: number; readonly resultAt?: ResultAt | undefined },
): Promise<Fresh> {
  const keys = [documentKey, ...streams.flatMap(({ indexKey, logKey }) => [indexKey, logKey])];
  if (resultAt) keys.push(resultAt.key);
  const args = [String(most), resultAt ? String(keys.length) : '0', resultAt?.field ?? ''];
  const [fields, result, ...tails] = await run<[string[], string | null, ...[number, number, RawEntry[]][]]>(port, scripts.readFresh, keys, args);
  return { fields, result, tails: tails.map(([length, held, entries]) => ({ length, held, entries })) };
}

/** What trying to take a lease gave. `position` is an entry id, or '' at the beginning. */
export type LeaseReply =
  | {
      readonly status: 'held';
      readonly epoch: string;
      readonly position: string;
      readonly seen: number;
      readonly event: string;
      readonly wantedBy: string;
      readonly generation: string;
      readonly isBuilt: boolean;
    }
  | { readonly status: 'other'; readonly remainingMs: number; readonly owner: string }
  | { readonly status: 'changed'; readonly reads: string; readonly generation: string }
  | { readonly status: 'halted'; readonly why: string };

export async function acquireLeases(
  port: RedisPort,
  checkpoints: readonly { readonly key: string; readonly reads: string }[],
  { owner, leaseMs }: { readonly owner: string; readonly leaseMs: number },
): Promise<readonly LeaseReply[]> {
  const keys = checkpoints.map(({ key }) => key);
  const reply = await run<[string, ...(string | number)[]][]>(port, scripts.acquireLeases, keys, [
    owner,
    String(leaseMs),
    ...checkpoints.map(({ reads }) => reads),
  ]);
  return reply.map(leaseReply);
}

function leaseReply([status, ...rest]: [string, ...(string | number)[]]): LeaseReply {
  if (status === 'other') return { status, remainingMs: Number(rest[0]), owner: String(rest[1]) };
  if (status === 'changed') return { status, reads: String(rest[0]), generation: String(rest[1]) };
  if (status === 'halted') return { status, why: String(rest[0]) };
  const [epoch, position, seen, event, wantedBy, generation, isBuilt] = rest;
  return {
    status: 'held',
    epoch: String(epoch),
    position: String(position),
    seen: Number(seen),
    event: String(event),
    wantedBy: String(wantedBy),
    generation: String(generation),
    isBuilt: isBuilt === 1,
  };
}

/** Gives leases back; with `keptMs` only to whoever asked for them, for so long. */
export async function releaseLeases(port: RedisPort, keys: readonly string[], owner: string, keptMs = 0): Promise<number> {
  return Number(await run(port, scripts.releaseLeases, keys, [owner, String(keptMs)]));
}

/** The documents of one partition, each as its fields and values in turn; empty where there is none. */
export async function readDocuments(port: RedisPort, keys: readonly string[]): Promise<readonly (readonly string[])[]> {
  return keys.length === 0 ? [] : await run<string[][]>(port, scripts.readDocuments, keys, []);
}

/** Asks the owner of leases for them. */
export async function askForLeases(
  port: RedisPort,
  keys: readonly string[],
  { owner, from }: { readonly owner: string; readonly from: string },
): Promise<void> {
  await run(port, scripts.askForLeases, keys, [owner, from]);
}

/** A document to store: fields with values in turn, fields to remove; or `undefined` to delete it. */
export interface DocumentWrite {
  readonly key: string;
  readonly fields: readonly string[] | undefined;
  readonly removed: readonly string[];
}

export interface Commit {
  readonly checkpointKey: string;
  readonly channel: string;
  readonly epoch: string;
  readonly from: string;
  readonly to: string;
  readonly seen: number;
  readonly event: string;
  readonly leaseMs: number;
  readonly documents: readonly DocumentWrite[];
}

/** Stores documents and moves the checkpoint. Where it stands elsewhere nothing is written, and what was found comes back. */
export async function commit(port: RedisPort, commitment: Commit): Promise<{ committed: boolean; epoch: string; position: string }> {
  const { checkpointKey, channel, epoch, from, to, seen, event, leaseMs, documents } = commitment;
  const args = [epoch, from, to, String(seen), event, String(leaseMs), channel];
  const keys = [checkpointKey];
  for (const { key, fields, removed } of documents) {
    keys.push(key);
    if (fields === undefined) args.push('-1');
    else args.push(String(fields.length / 2), String(removed.length), ...fields, ...removed);
  }
  const [committed, found = '', position = ''] = await run<[number, ...string[]]>(port, scripts.commit, keys, args);
  return { committed: committed === 1, epoch: found, position };
}

/** A document of a projection keyed across partitions, as it is to be stored, and what was read of it. */
export interface ScatteredWrite {
  readonly documentKey: string;
  readonly removedKey: string;
  /** As the projection has it. */
  readonly key: string;
  readonly revision: string;
  readonly removedFloor: string;
  readonly partition: number;
  readonly position: string;
  readonly isDeleted: boolean;
  readonly generation: string;
  readonly fields: readonly string[];
  readonly removed: readonly string[];
}

/** Stores it, unless it is no more as it had been read, or belongs to another generation of its projection. */
export async function commitDocument(port: RedisPort, write: ScatteredWrite): Promise<'stored' | 'changed' | 'other-generation'> {
  const { documentKey, removedKey, key, revision, removedFloor, partition, position, isDeleted, generation, fields, removed } = write;
  const args = [
    revision,
    removedFloor,
    String(partition),
    position,
    isDeleted ? '1' : '0',
    generation,
    key,
    String(fields.length / 2),
    String(removed.length),
    ...fields,
    ...removed,
  ];
  const reply = await run(port, scripts.commitDocument, [documentKey, removedKey], args);
  return reply === 1 ? 'stored' : reply === 0 ? 'changed' : 'other-generation';
}

/** Removes what is left of a deleted document; whether it still was as it had been read. */
export async function removeTombstone(
  port: RedisPort,
  { documentKey, removedKey, key, revision, generation }: Pick<ScatteredWrite, 'documentKey' | 'removedKey' | 'key' | 'revision' | 'generation'>,
): Promise<boolean> {
  return (await run(port, scripts.removeTombstone, [documentKey, removedKey], [revision, generation, key])) === 1;
}

/** Stores a decider's folded state whole; whether none that is later was there. */
export async function storeDocument(port: RedisPort, key: string, version: number, fields: readonly string[]): Promise<boolean> {
  return (await run(port, scripts.storeDocument, [key], [String(version), ...fields])) === 1;
}
