// What a batch of appends looks like on its way to the append script and back.
import type { Keys } from './keys.ts';
import type { BatchReply, DocumentWrite, RawEntry } from './scripts.ts';

/** One event for a stream, with nothing beside its type and data: what most appends are. */
export interface PlainAppend {
  readonly kind: 'plain';
  readonly category: string;
  readonly streamName: string;
  /** A version, 'any' or 'exists'. */
  readonly expected: string;
  readonly type: string;
  readonly data: string;
  readonly bytes: number;
}

export interface PreparedEvent {
  readonly type: string;
  readonly data: string;
  /** Names and values in turn: event-id, metadata, at. */
  readonly extras: readonly string[];
}

export interface PreparedStream {
  readonly category: string;
  readonly streamName: string;
  readonly expected: string;
  readonly events: readonly PreparedEvent[];
}

/** A field of a hash, set along with an append, if it is as expected. */
export interface PreparedMark {
  readonly key: string;
  readonly field: string;
  /** '' where there must be none, '*' for any. */
  readonly expected: string;
  /** '' leaves it, '-' removes it. */
  readonly new: string;
}

/** Events that wait for their time, put into the schedule along with an append or taken out of it. */
export interface PreparedSchedule {
  readonly id: string;
  /** Milliseconds since 1970; '-' takes it out. */
  readonly due: string;
  readonly payload: string;
}

/** Where the result of a request is kept: for a time, or in a field of a hash until that is removed. */
export type PreparedResult = { readonly key: string; readonly digest: string } & ({ readonly ttlMs: number } | { readonly field: string });

/** Any other append: several events or streams, guards, marks, an idempotency key, documents, a schedule. */
export interface MultiAppend {
  readonly kind: 'multi';
  readonly streams: readonly PreparedStream[];
  readonly guards: readonly { readonly streamName: string; readonly expected: string }[];
  readonly marks: readonly PreparedMark[];
  readonly result: PreparedResult | undefined;
  /** Documents of the same partition that change with the events. */
  readonly documents?: readonly DocumentWrite[] | undefined;
  readonly scheduled?: readonly PreparedSchedule[] | undefined;
  readonly bytes: number;
}

export type PreparedAppend = PlainAppend | MultiAppend;

/** What came of one append. Places are packed positions; `lastPlace` is that of its last event. */
export type WriteOutcome =
  | {
      readonly kind: 'appended' | 'repeated';
      readonly versions: readonly number[];
      readonly lastPlace: number;
      readonly events: number;
      /** What the first one scheduled, where it is repeated. */
      readonly scheduledIds?: readonly string[];
    }
  | { readonly kind: 'conflict'; readonly stream: number; readonly actual: number; readonly missed: readonly RawEntry[] }
  | { readonly kind: 'guard-conflict'; readonly guard: number; readonly actual: number }
  | { readonly kind: 'mark-conflict'; readonly mark: number; readonly actual: string }
  | { readonly kind: 'key-reused' }
  | { readonly kind: 'failed'; readonly message: string };

export interface EncodedBatch {
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** The keys and arguments of the append script, as its header states them. */
export function encodeBatch(
  keys: Keys,
  partition: number,
  appends: readonly PreparedAppend[],
  { recordKey, sequence }: { readonly recordKey: string; readonly sequence: number },
): EncodedBatch {
  const encoder = new BatchEncoder(keys, partition, [recordKey, keys.head(partition), keys.categories(partition)], [String(sequence)]);
  for (const append of appends) if (append.kind === 'plain') encoder.addPlainIndex(append);
  for (const append of appends) {
    if (append.kind === 'plain') encoder.plain(append);
    else encoder.multi(append);
  }
  return { keys: encoder.keys, args: encoder.args };
}

/** How long a result is kept, as the script reads it. */
function keptAs(result: PreparedResult | undefined): string {
  if (result === undefined) return '0';
  return 'field' in result ? `@${result.field}` : String(result.ttlMs);
}

class BatchEncoder {
  readonly keys: string[];
  readonly args: string[];
  readonly #names: Keys;
  readonly #partition: number;
  readonly #logs = new Map<string, { readonly number: string; readonly idFrom: string }>();
  #category = '';

  constructor(names: Keys, partition: number, keys: string[], args: string[]) {
    this.#names = names;
    this.#partition = partition;
    this.keys = keys;
    this.args = args;
  }

  addPlainIndex({ streamName }: PlainAppend): void {
    this.keys.push(this.#names.stream(this.#partition, streamName));
  }

  plain({ category, expected, type, data }: PlainAppend): void {
    if (category !== this.#category) {
      this.#category = category;
      const { number, idFrom } = this.#log(category);
      this.args.push('log', number, idFrom, category);
    }
    this.args.push(expected, type, data);
  }

  multi({ streams, guards, marks, result, documents = [], scheduled = [] }: MultiAppend): void {
    const { args } = this;
    args.push('multi', result ? this.#key(result.key) : '0', result?.digest ?? '', keptAs(result));
    args.push(String(marks.length));
    for (const mark of marks) args.push(this.#key(mark.key), mark.field, mark.expected, mark.new);
    args.push(String(guards.length));
    for (const { streamName, expected } of guards) args.push(this.#index(streamName), expected);
    args.push(String(streams.length));
    for (const stream of streams) this.#stream(stream);
    args.push(String(documents.length));
    for (const document of documents) this.#document(document);
    args.push(String(scheduled.length));
    for (const entry of scheduled) this.#schedule(entry);
  }

  #document({ key, fields, removed }: DocumentWrite): void {
    if (fields === undefined) this.args.push(this.#key(key), '-1');
    else this.args.push(this.#key(key), String(fields.length / 2), String(removed.length), ...fields, ...removed);
  }

  #schedule({ id, due, payload }: PreparedSchedule): void {
    const [dueKey, key] = [this.#names.schedule(this.#partition), this.#names.scheduled(this.#partition)];
    this.args.push(this.#key(dueKey), this.#key(key), id, due, payload);
  }

  #stream({ category, streamName, expected, events }: PreparedStream): void {
    const { number, idFrom } = this.#log(category);
    this.args.push(this.#index(streamName), number, idFrom, category, expected, String(events.length));
    for (const { type, data, extras } of events) this.args.push(type, data, String(extras.length / 2), ...extras);
  }

  #index(streamName: string): string {
    return this.#key(this.#names.stream(this.#partition, streamName));
  }

  #log(category: string): { readonly number: string; readonly idFrom: string } {
    let log = this.#logs.get(category);
    if (!log) {
      const idFrom = String(Buffer.byteLength(this.#names.stream(this.#partition, `${category}:`)));
      log = { number: this.#key(this.#names.log(this.#partition, category)), idFrom };
      this.#logs.set(category, log);
    }
    return log;
  }

  #key(key: string): string {
    return String(this.keys.push(key));
  }
}

/** Keys of a batch by the number that its outcome tells, and what to read there: the events missed in a conflict. */
export interface MissedRange {
  readonly indexKey: number;
  readonly logKey: number;
  readonly from: number;
  readonly to: number;
}

/** What each conflict of an outcome missed, in order; for an outcome that was asked for afterwards. */
export function missedRanges(outcome: string, most: number): readonly MissedRange[] {
  return [...outcome.matchAll(/=c\d+:(\d+):(\d+):(\d+):(\d+)/g)].map(([, actual, indexKey, logKey, from]) => ({
    indexKey: Number(indexKey) - 1,
    logKey: Number(logKey) - 1,
    from: Number(from),
    to: Math.min(Number(actual), Number(from) + most) - 1,
  }));
}

/** The outcome of each append, from the batch's. */
export function splitReply([outcome, ...missed]: BatchReply, appends: readonly PreparedAppend[]): readonly WriteOutcome[] {
  const [first, ...exceptions] = outcome.split(' ');
  let next = Number(first);
  let at = 0;
  let conflicts = 0;
  let exceptionOf = Number.parseInt(exceptions[0] ?? '', 10); // the number of the append that the next exception speaks of
  return appends.map((append, number): WriteOutcome => {
    let versions: readonly number[] | undefined;
    let other: WriteOutcome | undefined;
    while (exceptionOf === number) {
      const exception = exceptions[at] as string;
      const what = exception.slice(exception.indexOf('=') + 1);
      if (what[0] === 'p') next = Number(what.slice(1));
      else if (what[0] === 'v') versions = numbersOf(what.slice(1));
      else other = what[0] === 'c' ? conflictOf(what, missed[conflicts++] ?? []) : otherOutcome(what);
      at += 1;
      exceptionOf = Number.parseInt(exceptions[at] ?? '', 10);
    }
    if (other) return other;
    const events = append.kind === 'plain' ? 1 : countEvents(append);
    next += events;
    return { kind: 'appended', versions: versions ?? impliedVersions(append), lastPlace: next - 1, events };
  });
}

function countEvents(append: MultiAppend): number {
  return append.streams.reduce((sum, { events }) => sum + events.length, 0);
}

function impliedVersions(append: PreparedAppend): readonly number[] {
  return append.kind === 'plain' ? [Number(append.expected) + 1] : append.streams.map(({ expected, events }) => Number(expected) + events.length);
}

function numbersOf(text: string): readonly number[] {
  return text === '' ? [] : text.split(',').map(Number);
}

function conflictOf(what: string, missed: readonly RawEntry[]): WriteOutcome {
  const [stream, actual] = what.slice(1).split(':').map(Number);
  return { kind: 'conflict', stream: stream ?? 0, actual: actual ?? 0, missed };
}

function otherOutcome(what: string): WriteOutcome {
  const rest = what.slice(1);
  const colon = rest.indexOf(':');
  const number = Number(rest.slice(0, colon));
  const actual = rest.slice(colon + 1);
  switch (what[0]) {
    case 'g':
      return { kind: 'guard-conflict', guard: number, actual: Number(actual) };
    case 'm':
      return { kind: 'mark-conflict', mark: number, actual };
    case 'r':
      return repeatedOutcome(rest);
    case 'k':
      return { kind: 'key-reused' };
    default:
      return { kind: 'failed', message: rest.replaceAll('\u001f', ' ') };
  }
}

/** The first result of a request, as the append script stored it: versions, first place, number of events, ids of what it scheduled. */
export function repeatedOutcome(result: string): WriteOutcome & { readonly kind: 'appended' | 'repeated' } {
  const [versions = '', first = '', events = '', ids] = result.split(':');
  const lastPlace = Number(first) + Number(events) - 1;
  const scheduledIds = ids === undefined ? [] : ids.split(',');
  return { kind: 'repeated', versions: numbersOf(versions), lastPlace, events: Number(events), scheduledIds };
}
