// One class for each thing that a caller can act on: a stable code, what was expected and found, and what to do next.
import { show } from './show.ts';

const MILLRACE_ERROR = Symbol.for('millrace.error');

/** The base of every error that this library throws. `code` is stable; the message is for people. */
export abstract class MillraceError extends Error {
  abstract readonly code: string;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    // Marks it across copies of the package, where `instanceof` fails.
    Object.defineProperty(this, MILLRACE_ERROR, { value: true });
  }
}

/** Whether `error` is one of this library's, in any copy of the package; with `code`, whether it is that one. */
export function isMillraceError(error: unknown, code?: string): error is MillraceError {
  return (
    typeof error === 'object' && error !== null && MILLRACE_ERROR in error && (code === undefined || (error as { code?: unknown }).code === code)
  );
}

/** What was given cannot be used. Nothing was written. */
export class InvalidInputError extends MillraceError {
  readonly code = 'invalid-input';
  readonly what: string;
  readonly expected: string;
  /** What was given, as the message shows it. */
  readonly found: string;

  constructor(what: string, expected: string, found: unknown, options?: ErrorOptions) {
    super(`Invalid ${what}: expected ${expected}, found ${show(found)}. Nothing was written.`, options);
    this.what = what;
    this.expected = expected;
    this.found = show(found);
  }
}

/** Two things that must share a partition do not, or positions of two partitions were compared. */
export class PartitionMismatchError extends MillraceError {
  readonly code = 'partition-mismatch';
}

/** The stream is not at the version that was expected. Nothing was written; read `missedEvents`, decide again. */
export class VersionConflictError extends MillraceError {
  readonly code = 'version-conflict';
  readonly streamName: string;
  readonly expectedVersion: number | string;
  readonly actualVersion: number;
  /** Whether the stream was only guarded, not written to. */
  readonly isGuard: boolean;
  /** The events after the expected version, oldest first, up to a bound (`appendLimits.missedEvents`); empty for a guard. */
  readonly missedEvents: readonly unknown[];

  constructor(conflict: {
    streamName: string;
    expectedVersion: number | string;
    actualVersion: number;
    isGuard: boolean;
    missedEvents: readonly unknown[];
  }) {
    const { streamName, expectedVersion, actualVersion, isGuard } = conflict;
    super(
      `Conflict on ${isGuard ? 'guarded ' : ''}stream ${show(streamName)}: expected version ${expectedVersion}, found ${actualVersion}. ` +
        'Nothing was written. Decide again from the events in missedEvents, or use execute, which does so.',
    );
    this.streamName = streamName;
    this.expectedVersion = expectedVersion;
    this.actualVersion = actualVersion;
    this.isGuard = isGuard;
    this.missedEvents = conflict.missedEvents;
  }
}

/** Whether it was written cannot be known: the reply was lost and the server no longer remembers. */
export class OutcomeUnknownError extends MillraceError {
  readonly code = 'outcome-unknown';

  constructor(why: string, options?: ErrorOptions) {
    super(
      `The outcome of this write is unknown: ${why} It was written whole, once, or not at all. ` +
        'To find out, read the stream from the version that was expected; or repeat it with an idempotencyKey, or with the same expectedVersion and event ids, which never write twice.',
      options,
    );
  }
}

/** What an append wrote that was not confirmed, as its result would have told. */
export interface UnconfirmedResult {
  /** Of each stream, in the order in which they were given. */
  readonly streamVersions: readonly number[];
  readonly position: string;
  /** Whether it is the first result of a request that came again. */
  readonly isRepeated: boolean;
}

/** It is written, but fewer disks or replicas confirmed it in time than the store's `durability` asks for. */
export class UnconfirmedError extends MillraceError {
  readonly code = 'unconfirmed';
  readonly result: UnconfirmedResult;
  /** How many were to confirm it: replicas, or the one disk. */
  readonly asked: number;
  /** How many did. */
  readonly confirmed: number;

  constructor(
    { streamVersions, position, isRepeated }: UnconfirmedResult,
    shortfall: { isOnDisk: boolean; asked: number; confirmed: number; why: string },
  ) {
    const { isOnDisk, asked, confirmed, why } = shortfall;
    const replicas = asked === 1 ? 'replica' : 'replicas';
    super(
      `Written, but not confirmed: the log holds it, up to position ${position}, and ${confirmed} of ${asked} ${isOnDisk ? 'disks' : replicas} confirmed it: ${why}. ` +
        `${isOnDisk ? 'A crash of the machine' : 'A failover'} may still lose it. Repeat it with the same idempotencyKey, or the same expectedVersion and event ids: ` +
        'that writes nothing twice, and waits again. Without those do not append it again; read the stream later.',
    );
    this.result = { streamVersions, position, isRepeated };
    this.asked = asked;
    this.confirmed = confirmed;
  }
}

/** The same idempotency key came with another request. */
export class IdempotencyKeyReusedError extends MillraceError {
  readonly code = 'idempotency-key-reused';

  constructor(idempotencyKey: string) {
    super(`The idempotency key ${show(idempotencyKey)} was used before with another request. Nothing was written. Send a new key for a new request.`);
  }
}

/** No connection to the server could be had in time. */
export class ConnectionFailedError extends MillraceError {
  readonly code = 'connection-failed';
}

/** The server cannot keep this store's promises: too old, a replica, one that evicts keys. */
export class UnsuitableServerError extends MillraceError {
  readonly code = 'unsuitable-server';
}

/** The server refused the command, and it was not run: out of memory, read-only, loading, no permission. */
export class ServerRefusedError extends MillraceError {
  readonly code = 'server-refused';
  /** The first word of the server's answer: OOM, READONLY, LOADING, NOPERM … */
  readonly reason: string;

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** What is in Redis belongs to another store: other partitions, a newer layout, a token of another store. */
export class StoreMismatchError extends MillraceError {
  readonly code = 'store-mismatch';
}

/** The store, or an iteration of it, was used after `close`. */
export class StoreClosedError extends MillraceError {
  readonly code = 'store-closed';

  constructor() {
    super('The store is closed. Open another one with EventStore.connect.');
  }
}

/** The log is not the one that was read before: events that counted are gone, or others stand in their place. */
export class LogLostError extends MillraceError {
  readonly code = 'log-lost';
}

/** An entry of the log cannot be read: it was written by something else. */
export class CorruptEntryError extends MillraceError {
  readonly code = 'corrupt-entry';
  readonly key: string;
  readonly entryId: string;

  constructor(key: string, entryId: string, expected: string, found: unknown, options?: ErrorOptions) {
    super(
      `Entry ${entryId} of ${key} is not one of this library's: expected ${expected}, found ${show(found)}. Look at it with XRANGE ${key} ${entryId} ${entryId}; remove it with XDEL if it does not belong there.`,
      options,
    );
    this.key = key;
    this.entryId = entryId;
  }
}

/** A stored document, or a decider's stored state, cannot be read: something else wrote to it, or it has another codec. */
export class CorruptDocumentError extends MillraceError {
  readonly code = 'corrupt-document';
  readonly key: string;
  /** The field of the hash. */
  readonly property: string;

  constructor(key: string, property: string, found: unknown, options?: ErrorOptions) {
    super(
      `Field ${show(property)} of ${show(key)} cannot be read: expected text that the codec of this store can decode, found ${show(found)}. ` +
        'Look at it with HGETALL. Fold the projection anew under a higher version; of a decider delete the key, for its state is folded again from the events.',
      options,
    );
    this.key = key;
    this.property = property;
  }
}
