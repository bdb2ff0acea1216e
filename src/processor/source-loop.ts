// Imports a foreign Redis Stream: each entry exactly once, for the script that appends its events also moves the mark behind it.
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionFailedError, InvalidInputError, OutcomeUnknownError, ServerRefusedError } from '../errors.ts';
import { SourceFailedError } from '../processing-errors.ts';
import type { AnyEvent } from '../event.ts';
import type { Imported, Source, SourceEntry } from '../fold/source.ts';
import { appendLimits, prepareEvent } from '../log/encode-event.ts';
import { Waiter } from '../log/waiter.ts';
import type { PreparedStream } from '../redis/batch.ts';
import type { Connection } from '../redis/connection.ts';
import { isPassing, isPassingReply, publicError } from '../redis/public-error.ts';
import { acquireLeases, type RawEntry, releaseLeases } from '../redis/scripts.ts';
import { givenBack } from '../loop/lease.ts';

export interface SourceLoopOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly onFailure: (source: Source, error: unknown) => void;
}

/** How far an import is: the last entry taken, and how many could not be decoded up to there. */
export interface SourceMark {
  readonly entryId: string;
  readonly skipped: number;
}

/** Entries that are imported at once. */
const ENTRIES_AT_ONCE = 250;
const PAUSE_WITHOUT_SERVER_MS = 200;
const BEGINNING = '0-0';
/** Nothing can be added behind an entry with this id. */
const LAST_ID = '18446744073709551615-18446744073709551615';

/** A mark as Redis has it: entry id and count in one value, so that they move together. */
function parseMark(text: string): SourceMark {
  const [entryId = '', skipped = '0'] = text.split(' ');
  return { entryId: entryId || BEGINNING, skipped: Number(skipped) };
}

/** An entry as its source decoded it. */
interface Decoded {
  readonly entryId: string;
  readonly imports: readonly { readonly id: string; readonly stream: PreparedStream; readonly bytes: number }[];
  readonly isSkipped: boolean;
}

/** Entries that go together, and how many of them carry events. */
interface Batch {
  readonly decoded: readonly Decoded[];
  readonly last: string;
}

export class SourceLoop {
  readonly source: Source;
  failure: unknown;

  readonly #connection: Connection;
  readonly #options: SourceLoopOptions;
  readonly #waiter: Waiter;
  readonly #stopping: AbortController = new AbortController();
  /** The mark of each partition as it is stored; empty where this process does not import. */
  #marks: string[] = [];
  #heldAt = Number.NEGATIVE_INFINITY;
  #otherMs = 0;
  #run: Promise<void> | undefined;

  constructor(connection: Connection, source: Source, options: SourceLoopOptions) {
    this.#connection = connection;
    this.source = source;
    this.#options = options;
    this.#waiter = new Waiter(connection);
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  /** Finishes the entries in hand and gives the lease back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#waiter.close();
    await this.#run;
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted && !this.#connection.closed.aborted && this.failure === undefined) {
      try {
        await this.#hold();
        if (this.#marks.length === 0) await this.#sleep(Math.min(this.#options.leaseMs / 3, Math.max(10, this.#otherMs)));
        else if (!(await this.#importSome()))
          await this.#waiter.wait([{ key: this.source.key, lastId: this.#lastTaken() }], this.#options.leaseMs / 3);
      } catch (error) {
        await this.#recover(error);
      }
    }
    await givenBack(releaseLeases(this.#connection.port, [this.#leaseKey()], this.#options.owner));
  }

  async #recover(error: unknown): Promise<void> {
    this.#marks = [];
    this.#heldAt = Number.NEGATIVE_INFINITY;
    if (isPassing(error) || mayComeTrue(error)) return await this.#sleep(PAUSE_WITHOUT_SERVER_MS);
    this.failure = publicError(`import ${this.source.key}`, error);
    this.#options.onFailure(this.source, this.failure);
  }

  #leaseKey(): string {
    return this.#connection.keys.source(0, this.source.key);
  }

  /** The lease keeps several processes from decoding the same entries; that each counts once is the marks' doing. */
  async #hold(): Promise<void> {
    const now = performance.now();
    const isHeld = this.#marks.length > 0;
    if (now - this.#heldAt < Math.min(this.#options.leaseMs / 3, isHeld ? Number.POSITIVE_INFINITY : this.#otherMs)) return;
    this.#heldAt = now;
    const [reply] = await acquireLeases(this.#connection.port, [{ key: this.#leaseKey(), reads: this.source.category }], this.#options);
    if (reply?.status === 'changed')
      throw new InvalidInputError(
        `source ${this.source.key}`,
        `the category ${reply.reads}, into which it was imported so far`,
        this.source.category,
      );
    if (reply?.status === 'other') this.#otherMs = reply.remainingMs;
    if (reply?.status !== 'held') this.#marks = [];
    else if (!isHeld) this.#marks = await readMarks(this.#connection, this.source.key);
  }

  /** From where on an entry may be new to some partition. */
  #lastTaken(): string {
    return this.#marks.map((mark) => parseMark(mark).entryId).reduce((least, id) => (compareEntryIds(id, least) < 0 ? id : least));
  }

  /** Imports the next entries; whether there were any. */
  async #importSome(): Promise<boolean> {
    const { key } = this.source;
    const after = this.#lastTaken();
    if (after === LAST_ID) return false; // Redis refuses to look behind it
    const entries = (await this.#connection.port.send(key, [
      'XRANGE',
      key,
      `(${after}`,
      '+',
      'COUNT',
      String(ENTRIES_AT_ONCE),
    ])) as readonly RawEntry[];
    if (entries.length === 0) return false;
    const { batch, failure } = this.#decodeAll(entries);
    if (batch) await this.#append(batch);
    if (failure) throw failure;
    return true;
  }

  /** As many entries as fit an append; those before one that stops the import are imported first. */
  #decodeAll(entries: readonly RawEntry[]): { batch: Batch | undefined; failure: SourceFailedError | undefined } {
    const decoded: Decoded[] = [];
    let failure: SourceFailedError | undefined;
    let [events, bytes] = [0, 0];
    for (const entry of entries) {
      const next = this.#decode(entry);
      if (next instanceof SourceFailedError) {
        failure = next;
        break;
      }
      events += next.imports.length;
      bytes += next.imports.reduce((sum, each) => sum + each.bytes, 0);
      if (decoded.length > 0 && (events > appendLimits.eventsOfAnAppend || bytes > appendLimits.eventBytes)) break;
      decoded.push(next);
    }
    const last = decoded.at(-1)?.entryId;
    return { batch: last === undefined ? undefined : { decoded, last }, failure };
  }

  #decode(raw: RawEntry): Decoded | SourceFailedError {
    const entry = sourceEntry(raw);
    try {
      const imports = this.source.decode(entry).map((imported) => this.#prepare(imported, entry));
      if (imports.length > appendLimits.eventsOfAnAppend)
        throw new InvalidInputError('entry', `at most ${appendLimits.eventsOfAnAppend} events`, imports.length);
      return { entryId: entry.id, imports, isSkipped: false };
    } catch (cause) {
      if (this.source.onError === 'skip') return { entryId: entry.id, imports: [], isSkipped: true };
      return new SourceFailedError(this.source.key, entry.id, { cause });
    }
  }

  #prepare({ id, event }: Imported<AnyEvent>, entry: SourceEntry): Decoded['imports'][number] {
    const { category } = this.source;
    const prepared = prepareEvent(this.#connection, event, undefined);
    const events = [{ ...prepared, extras: [...prepared.extras, 'at', String(entry.time.getTime())] }];
    return { id, stream: { category, streamName: `${category}:${id}`, expected: 'any', events }, bytes: prepared.data.length };
  }

  async #append({ decoded, last }: Batch): Promise<void> {
    const marks = [...this.#marks];
    const outcomes = await Promise.all(marks.map((mark, partition) => this.#appendTo(partition, mark, { decoded, last })));
    if (outcomes.includes(undefined))
      this.#marks = []; // another process imports: begin again from what is stored
    else this.#marks = outcomes.map((mark) => mark ?? '');
    if (this.#marks.length === 0) this.#heldAt = Number.NEGATIVE_INFINITY;
  }

  /** Appends what belongs into a partition and moves its mark; the new mark, or undefined when the stored one was another. */
  async #appendTo(partition: number, mark: string, { decoded, last }: Batch): Promise<string | undefined> {
    const { keys, writer } = this.#connection;
    const { entryId, skipped } = parseMark(mark);
    const fresh = decoded.filter((each) => compareEntryIds(each.entryId, entryId) > 0);
    if (fresh.length === 0) return mark;
    const mine = fresh.flatMap(({ imports }) => imports).filter(({ id }) => keys.partitionOf(id) === partition);
    const next = `${last} ${skipped + fresh.filter(({ isSkipped }) => isSkipped).length}`;
    const bytes = mine.reduce((sum, each) => sum + each.bytes, 0);
    const outcome = await writer.append(partition, {
      kind: 'multi',
      streams: mine.map(({ stream }) => stream),
      guards: [],
      marks: [{ key: keys.source(partition, this.source.key), field: 'position', expected: mark, new: next }],
      result: undefined,
      bytes,
    });
    if (outcome.kind === 'failed') throw new Error(outcome.message);
    // Also where it was not confirmed: the mark moves with the events, so what is lost of one is lost of both, and imported again.
    return outcome.kind === 'appended' || outcome.kind === 'unconfirmed' ? next : undefined;
  }

  async #sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** Whether the same append is worth trying again: the mark tells whether it was made. */
function mayComeTrue(error: unknown): boolean {
  if (error instanceof ServerRefusedError) return isPassingReply(error.reason);
  return error instanceof OutcomeUnknownError || error instanceof ConnectionFailedError;
}

/** The mark of each partition as it is stored; '' for none. */
async function readMarks({ port, keys }: Connection, sourceKey: string): Promise<string[]> {
  const partitions = Array.from({ length: keys.partitions }, (_, partition) => keys.source(partition, sourceKey));
  return await Promise.all(partitions.map(async (key) => String((await port.send(key, ['HGET', key, 'position'])) ?? '')));
}

/** How far the import of a source is in every partition: the least of them, and what was skipped. */
export async function readSourceMark(connection: Connection, sourceKey: string): Promise<SourceMark> {
  const marks = (await readMarks(connection, sourceKey)).map(parseMark);
  const entryId = marks.map((mark) => mark.entryId).reduce((least, id) => (compareEntryIds(id, least) < 0 ? id : least));
  return { entryId, skipped: marks[0]?.skipped ?? 0 };
}

/** Whether everything in the foreign Redis Stream up to an entry is imported. */
export function hasImported(mark: SourceMark, entryId: string): boolean {
  return compareEntryIds(mark.entryId, entryId) >= 0;
}

/** The last entry of a foreign Redis Stream; undefined where it has none. */
export async function lastEntryId({ port }: Connection, sourceKey: string): Promise<string | undefined> {
  const [last] = (await port.send(sourceKey, ['XREVRANGE', sourceKey, '+', '-', 'COUNT', '1'])) as readonly RawEntry[];
  return last?.[0];
}

// A foreign entry's id may be any pair of 64-bit numbers.
function compareEntryIds(a: string, b: string): number {
  const [left = '0', leftSequence = '0'] = a.split('-');
  const [right = '0', rightSequence = '0'] = b.split('-');
  return Math.sign(compareNumbers(left, right) || compareNumbers(leftSequence, rightSequence));
}

function compareNumbers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : Number(a > b));
}

/** The last time that a Date can be; an id may have one that is later. */
const TIME_MAX_MS = 8.64e15;

function sourceEntry([id, flat]: RawEntry): SourceEntry {
  const pairs: [string, string][] = [];
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i < flat.length; i += 2) {
    const [name, value] = [flat[i] as string, flat[i + 1] as string];
    pairs.push([name, value]);
    fields[name] = value;
  }
  const ms = Math.min(Number(id.slice(0, id.indexOf('-'))), TIME_MAX_MS);
  return { id, time: new Date(ms), fields, pairs };
}
