// What the page asks its server, and what it gets: the paths, and the shapes of the JSON, where dates are ISO texts.
import type { ComparedDocument, DeadLetter, DocumentFacts, EventFacts, ProcessorFacts, RecordedEvent, ServerFacts, StoreFacts } from '../index.ts';
import type { Change } from './changes.ts';

/** A value as it goes over HTTP: what JSON makes of it. */
export type Json<T> = T extends Date
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends readonly (infer Item)[]
      ? readonly Json<Item>[]
      : T extends object
        ? { readonly [Name in keyof T]: Json<T[Name]> }
        : T;

/*
 * GET, all below `api/`:
 *   settings                                            → SettingsReply
 *   now                                                 → NowReply, with the samples of the last minutes
 *   live                                                → text/event-stream: `now` with a NowReply about each second
 *   categories                                          → CategoriesReply
 *   streams?category=&startsWith=&limit=                → StreamsReply: the most recent first
 *   events?EventsQuery                                  → EventsReply
 *   follow?category=                                    → text/event-stream: `event` with a Json<RecordedEvent>, from now on
 *   event?stream=&version= | ?position= | ?id=          → EventReply; 404 where there is none
 *   documents?projection=name@1&startsWith=&limit=      → DocumentsReply
 *   document?projection=name@1&key=                     → DocumentReply; 404
 *   history?projection=name@1&key=                      → HistoryReply; 409 code-missing where the projection's code is not known here
 *   step?projection=name@1&key=&step=                   → StepReply
 *   compare?first=name@1&second=name@2                  → CompareReply
 *   dead-letters?reactor=name@1&from=&limit=            → DeadLettersReply
 *
 * POST, where writes are allowed, with a JSON body and the header `x-millrace: page`:
 *   pause, resume, drop   { target: 'name@1' }
 *   rewind                { target, to?: 'start' | 'now' | an ISO time }
 *   serve                 { target, evenIfBehind? }                        → ServeReply
 *   retry                 { reactor, ids: string[] | 'all', event? }       → DoneReply
 *   discard               { reactor, ids: string[] | 'all' }               → DoneReply
 *
 * Errors: ErrorReply with 400 (input), 401 (no token), 403 (host, origin, read-only), 404, 409 (in use, paused, behind, code missing), 503 (no server).
 */

/** What the page may do, and what it is of. */
export interface SettingsReply {
  readonly namespace: string;
  readonly partitions: number;
  readonly allowWrites: boolean;
  /** `name@version` of the projections whose code is here: those have a history. */
  readonly projections: readonly string[];
}

/** A failure: what was expected, what was found, and what to do next. */
export interface ErrorReply {
  readonly error: { readonly code: string; readonly message: string };
}

/** A point of the figures that the server keeps while somebody looks on. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly events: number;
  readonly appendsPerSecond: number;
  readonly memoryUsedBytes: number;
  readonly deadLetters: number;
  /** Events behind, by `name@version`; of a source by its name. */
  readonly lag: Readonly<Record<string, number>>;
}

export interface NowReply {
  readonly servers: readonly Json<ServerFacts>[];
  readonly store: Json<StoreFacts>;
  readonly processors: readonly Json<ProcessorFacts>[];
  /** Of `now` those of the last minutes, of `live` the last one. */
  readonly samples: readonly Sample[];
}

export interface CategoriesReply {
  readonly categories: readonly { readonly category: string; readonly events: number }[];
}

export interface StreamsReply {
  readonly streams: readonly { readonly streamName: string; readonly events: number; readonly lastRecordedAt: string | undefined }[];
  readonly hasMore: boolean;
}

/** How events are found; all that is given has to fit. */
export interface EventsQuery {
  readonly stream?: string;
  readonly category?: string;
  readonly type?: string;
  /** A position, a cursor or an ISO time; of a stream also a version. */
  readonly from?: string;
  /** An ISO time. */
  readonly until?: string;
  readonly direction?: 'forward' | 'backward';
  /** At most 500; default 50. */
  readonly limit?: string;
}

export interface EventsReply {
  readonly events: readonly Json<RecordedEvent>[];
  /** What to give as `from` for what follows; undefined at the end. */
  readonly next: string | undefined;
  /** Whether it stopped looking before it found as many: `next` looks on. */
  readonly isCutShort: boolean;
}

export type EventReply = Json<EventFacts>;

export interface DocumentsReply {
  readonly keys: readonly string[];
  readonly hasMore: boolean;
}

export type DocumentReply = Json<DocumentFacts>;

/** One event of a document. */
export interface HistoryStep {
  readonly step: number;
  readonly type: string;
  readonly streamName: string;
  readonly streamVersion: number;
  readonly position: string;
  readonly recordedAt: string;
}

export interface HistoryReply {
  /** The last ones, up to a bound. */
  readonly steps: readonly HistoryStep[];
  readonly total: number;
}

export interface StepReply {
  readonly step: number;
  readonly total: number;
  readonly event: Json<RecordedEvent>;
  /** Null where there is no document. */
  readonly before: unknown;
  readonly after: unknown;
  readonly changes: readonly Change[];
}

export interface CompareReply {
  readonly differences: readonly {
    readonly key: string;
    readonly kind: 'differs' | 'only-first' | 'only-second';
    readonly first: Json<ComparedDocument<unknown>> | undefined;
    readonly second: Json<ComparedDocument<unknown>> | undefined;
    readonly changes: readonly Change[];
  }[];
  readonly hasMore: boolean;
}

export interface DeadLettersReply {
  readonly letters: readonly Json<DeadLetter>[];
  readonly count: number;
}

export interface ServeReply {
  readonly before: number | undefined;
}

export interface DoneReply {
  readonly count: number;
}
