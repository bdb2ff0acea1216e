// Errors of what processors run (projections, reactors, sources, schedules), and of those who look after it.
import { MillraceError } from './errors.ts';
import { reasonIn, show } from './show.ts';

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
