// What a store tells of its work to whoever traces and logs it: a few methods, and nothing where nobody asked.
import type { EventMetadata, RecordedEvent } from './event.ts';

/** What is appended. */
export interface AppendedTrace {
  /** Categories, each once. */
  readonly categories: readonly string[];
  readonly events: number;
}

/** A page that is read. */
export interface ReadTrace {
  /** A category, or undefined for several. */
  readonly category: string | undefined;
}

/** A batch that a projection folds. */
export interface FoldTrace {
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  readonly events: number;
}

/** An attempt of a reactor at an event. */
export interface ReactTrace {
  readonly reactor: string;
  readonly version: number;
  readonly partition: number;
  readonly attempt: number;
  readonly event: RecordedEvent;
}

/**
 * Hears of each piece of work, and runs it: what `work` gives or throws has to come through as it is. `openTelemetry()` of
 * `millrace/telemetry` makes one.
 */
export interface Telemetry {
  /** `work` gets what goes into the metadata of the events, so that who handles them can tell where they came from. */
  append<T>(of: AppendedTrace, work: (trace: EventMetadata) => Promise<T>): Promise<T>;
  /** `countOf` tells how many events came. */
  read<T>(of: ReadTrace, work: () => Promise<T>, countOf: (read: T) => number): Promise<T>;
  fold(of: FoldTrace, work: () => Promise<void>): Promise<void>;
  react(of: ReactTrace, work: () => Promise<unknown> | void): Promise<unknown>;
  deadLetter(of: Omit<ReactTrace, 'attempt'>): void;
}

/** A structural logger, as pino is one. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger that throws must not stop anything. */
export function log(logger: Logger | undefined, level: keyof Logger, fields: object, message: string): void {
  try {
    logger?.[level](fields, message);
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
