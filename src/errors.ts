// One class for each thing that a caller can act on: a stable code, what was expected and found, and what to do next.
import { reasonIn, show } from './show.ts';

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

/** A projection's `evolve` or `key` threw. The projection stands still at the event before; mend the code and start again. */
export class ProjectionFailedError extends MillraceError {
  readonly code = 'projection-failed';
  readonly projection: string;
  /** The event that could not be folded: its stream and version, and position. */
  readonly event: {
    readonly id: string;
    readonly type: string;
    readonly streamName: string;
    readonly streamVersion: number;
    readonly position: string;
  };

  constructor(projection: string, event: ProjectionFailedError['event'], options: ErrorOptions) {
    const { cause } = options;
    super(
      `Projection ${show(projection)} stopped at event ${show(event.type)}, ${event.streamName}@${event.streamVersion}, position ${event.position}: ` +
        `${reasonIn(cause)} Nothing of this event was stored. Mend the projection and start the processor again: it goes on with this event.`,
      options,
    );
    this.projection = projection;
    const { id, type, streamName, streamVersion, position } = event;
    this.event = { id, type, streamName, streamVersion, position };
  }
}

/** A projection was changed in a way that its stored documents do not fit. */
export class ProjectionChangedError extends MillraceError {
  readonly code = 'projection-changed';
}

/** A document grew beyond what is stored. The projection stands still at the event before. */
export class DocumentTooLargeError extends MillraceError {
  readonly code = 'document-too-large';
  readonly key: string;

  constructor(projection: string, key: string, { bytes, bytesMax }: { readonly bytes: number; readonly bytesMax: number }) {
    super(
      `Document ${show(key)} of ${projection} takes ${bytes} bytes, and at most ${bytesMax} are stored. ` +
        'Nothing of the event was stored. Keep less in it, or spread it over several documents (key).',
    );
    this.key = key;
  }
}

/** An entry of a foreign Redis Stream could not be decoded, and its source is told to stop at such. */
export class SourceFailedError extends MillraceError {
  readonly code = 'source-failed';
  readonly sourceKey: string;
  readonly entryId: string;

  constructor(sourceKey: string, entryId: string, options: ErrorOptions) {
    const { cause } = options;
    super(
      `The import of ${sourceKey} stopped at entry ${entryId}: ${reasonIn(cause)} Nothing of it was imported. ` +
        "Mend its decode and start the processor again, or give the source onError: 'skip', which counts such entries and goes on.",
      options,
    );
    this.sourceKey = sourceKey;
    this.entryId = entryId;
  }
}

/** A projection has not folded what was asked for: in time, before a flip to it, or ever yet. */
export class NotCaughtUpError extends MillraceError {
  readonly code = 'not-caught-up';
}

/** What was to catch up is paused, or is being rewound or dropped. */
export class PausedError extends MillraceError {
  readonly code = 'paused';
}

/** The version that serves is none of those that this reader knows. */
export class UnknownVersionError extends MillraceError {
  readonly code = 'unknown-version';
  readonly projection: string;
  readonly version: number;

  constructor(projection: string, version: number, known: readonly number[]) {
    super(
      `Version ${version} of projection ${show(projection)} serves, and this reader knows ${known.join(', ')}. ` +
        'Nothing was read. Deploy the reader with that version in serving(…), or flip back with ProcessorControl.serve.',
    );
    this.projection = projection;
    this.version = version;
  }
}

/** It was not dropped, for it is in use: it serves, or somebody runs it. */
export class InUseError extends MillraceError {
  readonly code = 'in-use';
}

/** A reactor's `key` threw, or too many events wait behind its dead letters. It stands still before this event; the cause says why. */
export class ReactorFailedError extends MillraceError {
  readonly code = 'reactor-failed';
  readonly reactor: string;

  constructor(reactor: string, { type, streamName, streamVersion, position }: ProjectionFailedError['event'], options: ErrorOptions) {
    super(
      `Reactor ${show(reactor)} stopped before event ${show(type)}, ${streamName}@${streamVersion}, position ${position}: ${reasonIn(options.cause)} ` +
        'Mend that and start the processor again: it goes on with this event.',
      options,
    );
    this.reactor = reactor;
  }
}

/** Others kept appending to the streams that a process manager commands: it decided again and again. The event is tried again like any that failed. */
export class ProcessConflictError extends MillraceError {
  readonly code = 'process-conflict';

  constructor(manager: string, attempts: number) {
    super(
      `Process manager ${show(manager)} decided ${attempts} times, and each time others had appended to a stream that it commands before its step was stored. ` +
        'Nothing was written. Let fewer write to that stream, or split it.',
    );
  }
}

/** A handler took longer than its reactor's `timeoutMs`. The attempt counts as failed: what a dead letter shows when it was the last one. */
export class ReactionTimeoutError extends MillraceError {
  readonly code = 'reaction-timeout';

  constructor(reactor: string, { type, streamName, streamVersion }: ProjectionFailedError['event'], timeoutMs: number) {
    super(
      `Reactor ${show(reactor)} did not finish event ${show(type)}, ${streamName}@${streamVersion}, within ${timeoutMs} ms. ` +
        'Heed the signal of the context, make what it waits for faster, or raise timeoutMs of the reactor.',
    );
  }
}

/** A handler appended for an event that another process has taken over, or that a rewind took away. Nothing was written. */
export class ReactionFencedError extends MillraceError {
  readonly code = 'reaction-fenced';

  constructor(reactor: string) {
    super(
      `Another process took over from reactor ${show(reactor)} while this handler ran: it was paused, or cut off, longer than its lease. ` +
        'Nothing was written. Let the handler end: the event is handled by the other process.',
    );
  }
}

/** What is scheduled under an id cannot be read: something else wrote it, or it has another codec. */
export class CorruptScheduleError extends MillraceError {
  readonly code = 'corrupt-schedule';
  readonly key: string;
  readonly scheduledId: string;

  constructor(key: string, scheduledId: string, found: string, options?: ErrorOptions) {
    super(
      `What is scheduled under ${show(scheduledId)} in ${key} cannot be read: expected a stream's name and its events, found ${show(found)}. ` +
        `Look at it with HGET ${key} ${scheduledId}. If it does not belong there, remove it there and in the sorted set beside it (HDEL, ZREM).`,
      options,
    );
    this.key = key;
    this.scheduledId = scheduledId;
  }
}

/** Events that are due could not be appended. They stay and are tried again; later ones of their stream wait behind them. */
export class DeliveryFailedError extends MillraceError {
  readonly code = 'delivery-failed';
  /** Of what is scheduled; give it to `cancelScheduled` to give up. */
  readonly scheduledId: string;
  /** '' where it cannot be read. */
  readonly streamName: string;

  constructor({ scheduledId, streamName }: { readonly scheduledId: string; readonly streamName: string }, retryMs: number, options: ErrorOptions) {
    const { cause } = options;
    super(
      `The events scheduled as ${scheduledId}${streamName && ` for stream ${show(streamName)}`} could not be delivered: ${reasonIn(cause)} ` +
        `They are tried again in ${retryMs / 1_000} s; later ones of that stream wait behind them. Mend what is wrong, or give them up with cancelScheduled.`,
      options,
    );
    this.scheduledId = scheduledId;
    this.streamName = streamName;
  }
}
