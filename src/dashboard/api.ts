// What the page asks its server, and what it gets: the paths, and the shapes of the JSON, where dates are ISO texts.

/** A value as it goes over HTTP: what JSON makes of it. */
export type Json<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Json<Item>[]
    : T extends object
      ? { readonly [Name in keyof T]: Json<T[Name]> }
      : T;

/*
 * GET (all below `<mount>/api/`):
 *   settings                                → SettingsReply      what the page may do, and with which code
 *   now                                     → NowReply           everything that the page "Now" shows, at this moment
 *   live                                    → text/event-stream: `event: now`, data NowReply, about each second; ends with the store
 *   categories                              → Json<CategoryFacts>[]
 *   streams?category=&startsWith=&limit=    → Json<StreamFacts>[]      the most recent first; with startsWith all that begin so
 *   events?…                                → EventsReply        see EventsQuery
 *   follow?category=&type=                  → text/event-stream: `event: event`, data Json<RecordedEvent>; from now on
 *   event?stream=&version=  |  ?position=   → Json<EventFacts>; 404 where there is none
 *   processors                              → Json<ProcessorFacts>[]
 *   documents?projection=name@1&startsWith=&limit=        → { keys: string[], isComplete: boolean }
 *   document?projection=name@1&key=                       → Json<DocumentFacts>; 404
 *   history?projection=name@1&key=                        → HistoryReply  (409 with code 'code-missing' where the code of the projection is not known)
 *   history-step?projection=name@1&key=&step=             → HistoryStepReply
 *   compare?first=name@1&second=name@2&limit=             → { differences: { key, first, second }[], isComplete }
 *   dead-letters?reactor=name@1&from=&limit=              → DeadLettersReply
 *   doctor                                                → { findings: [...] } as the doctor gives them
 *
 * POST (only with allowWrites, 403 'read-only' otherwise; JSON body; header `x-millrace: page`):
 *   pause | resume            { name, version }                       → {}
 *   rewind                    { name, version, to?: 'start' | 'now' | ISO time } → {}
 *   serve                     { name, version, evenIfBehind? }        → { before: number | null }
 *   drop                      { name, version }                       → {}
 *   dead-letters/retry        { reactor, ids: string[] | 'all', event?: { type, data, metadata? } (with one id) } → { asked: number }
 *   dead-letters/discard      { reactor, ids: string[] | 'all' }      → { discarded: number }
 *   append                    { stream, type, data, metadata?, expectedVersion? } → Json<AppendResult>
 *
 * Errors: status 400 (invalid input), 401 (no token), 403 (origin, host, read-only), 404, 409 (conflict, in use, paused, code missing), 503 (no server):
 *   { error: { code, message } }, where the message says what was expected, what was found, and what to do next.
 */

/** What the page may do. */
export interface SettingsReply {
  readonly namespace: string;
  readonly partitions: number;
  readonly version: string;
  readonly allowWrites: boolean;
  /** `name@version` of the projections whose code is here: those have a history. */
  readonly projections: readonly string[];
  readonly reactors: readonly string[];
}

/** A failure. */
export interface ErrorReply {
  readonly error: { readonly code: string; readonly message: string };
}

/** A point of time in the figures that the server keeps, so that the page shows the past minutes at once. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly events: number;
  readonly appendsPerSecond: number;
  readonly memoryUsedBytes: number;
  readonly deadLetters: number;
  /** Lag in events by `kind:name@version`. */
  readonly lag: Readonly<Record<string, number>>;
}

/** How events are found. All together have to fit. */
export interface EventsQuery {
  readonly stream?: string;
  readonly category?: string;
  /** The id of an event; looks at its stream, or searches back from the end. */
  readonly id?: string;
  readonly type?: string;
  /** ISO time or position or cursor. */
  readonly from?: string;
  readonly until?: string;
  readonly direction?: 'forward' | 'backward';
  /** At most 500. Default 100. */
  readonly limit?: string;
}
