// What processors tell of themselves in Redis, for people and tools without their code: what they run, and what stopped it last.
import { isMillraceError } from '../errors.ts';
import { packEntryId, type Position, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { failuresKey, processorsKey } from '../redis/keys.ts';
import type { RegisteredFacts } from './registered.ts';

/** What stopped a projection, reactor or source last. */
export interface FailureFacts {
  /** Undefined for a source. */
  readonly partition: number | undefined;
  /** Of the error: its class, its code where it has one, and its message. */
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  /** By the clock of the process that it happened in. */
  readonly at: Date;
  /** Who ran it: `host/process id/id of the processor`. */
  readonly owner: string;
  /** Where it stood; undefined at the beginning, or where that is not known. */
  readonly position: Position | undefined;
}

/** A failure as a processor notes it. */
export interface Failure {
  readonly of: Pick<RegisteredFacts, 'kind' | 'name' | 'version'>;
  readonly partition: number | undefined;
  readonly error: unknown;
  readonly owner: string;
  /** The entry id where it stood; '' at the beginning. */
  readonly entryId: string;
}

interface StoredFailure {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly at: number;
  readonly owner: string;
  readonly entryId: string;
}

const MESSAGE_LENGTH_MAX = 2_000;

/** Tells what a processor runs. It is for people: where it cannot be written, the next lease tells it again. */
export async function register({ port, keys: { namespace } }: Connection, those: readonly RegisteredFacts[]): Promise<void> {
  if (those.length === 0) return;
  const key = processorsKey(namespace);
  await port.send(key, ['HSET', key, ...those.flatMap((each) => [fieldOf(each), JSON.stringify(each)])]);
}

/** Forgets one that was dropped, with its failures. */
export async function unregister({ port, keys }: Connection, of: Pick<RegisteredFacts, 'kind' | 'name' | 'version'>): Promise<void> {
  const [registered, failures] = [processorsKey(keys.namespace), failuresKey(keys.namespace)];
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => partition);
  await Promise.all([
    port.send(registered, ['HDEL', registered, fieldOf(of)]),
    port.send(failures, ['HDEL', failures, ...partitions.map((partition) => failureField(of, partition))]),
  ]);
}

/** All that were told of, by kind, name and version. */
export async function readRegistered({ port, keys: { namespace } }: Connection): Promise<readonly RegisteredFacts[]> {
  const key = processorsKey(namespace);
  const texts = (await port.send(key, ['HVALS', key])) as readonly string[];
  const all = texts.map((text) => JSON.parse(text) as RegisteredFacts);
  return all.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || compareTexts(a.name, b.name) || a.version - b.version);
}

const KINDS: readonly RegisteredFacts['kind'][] = ['source', 'projection', 'reactor', 'process-manager'];

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Notes what stopped something. */
export async function noteFailure({ port, keys: { namespace } }: Connection, { of, partition, error, owner, entryId }: Failure): Promise<void> {
  const key = failuresKey(namespace);
  const { name, message } = error instanceof Error ? error : { name: typeof error, message: String(error) };
  const code = isMillraceError(error) ? { code: error.code } : {};
  const stored: StoredFailure = { name, ...code, message: message.slice(0, MESSAGE_LENGTH_MAX), at: Date.now(), owner, entryId };
  await port.send(key, ['HSET', key, failureField(of, partition), JSON.stringify(stored).toWellFormed()]);
}

/** The last failures of one, in the order of partitions. */
export async function readFailures({ port, keys }: Connection, of: RegisteredFacts): Promise<readonly FailureFacts[]> {
  const key = failuresKey(keys.namespace);
  const partitions = of.kind === 'source' ? [undefined] : Array.from({ length: keys.partitions }, (_, partition) => partition);
  const texts = (await port.send(key, ['HMGET', key, ...partitions.map((partition) => failureField(of, partition))])) as readonly (string | null)[];
  return texts.flatMap((text, index) => (text === null ? [] : [failureFacts(JSON.parse(text) as StoredFailure, partitions[index])]));
}

function failureFacts({ name, code, message, at, owner, entryId }: StoredFailure, partition: number | undefined): FailureFacts {
  const place = entryId === '' || partition === undefined ? Number.NaN : packEntryId(entryId);
  const position = partition === undefined || Number.isNaN(place) ? undefined : positionOf(partition, place);
  return { partition, name, code, message, at: new Date(at), owner, position };
}

function fieldOf({ kind, name, version }: Pick<RegisteredFacts, 'kind' | 'name' | 'version'>): string {
  return `${kind}:${name}@${version}`;
}

function failureField(of: Pick<RegisteredFacts, 'kind' | 'name' | 'version'>, partition: number | undefined): string {
  return partition === undefined ? fieldOf(of) : `${fieldOf(of)}:${partition}`;
}
