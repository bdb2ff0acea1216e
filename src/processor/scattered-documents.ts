// Documents of a projection with a key of its own, in a store with several partitions: they may lie in another partition than their events.
import { LogLostError } from '../errors.ts';
import type { AnyProjection } from '../fold/projection.ts';
import type { LogEvent } from '../log/entry.ts';
import { readHead } from '../log/page.ts';
import { entryIdOf, packEntryId } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { commitDocument, type DocumentWrite, readDocuments, removeTombstone } from '../redis/scripts.ts';
import { decodeDocument, documentFields } from '../snapshot/document.ts';
import { readCheckpoint } from '../snapshot/reached.ts';
import { show } from '../show.ts';
import { type CachedDocument, type Documents, encodeDocument, foldInto, Unstorable } from './documents.ts';
import { namesGone, namesOf, sizeOf } from '../snapshot/document.ts';
import type { Leased } from '../loop/lease.ts';
import { LeaseLost } from '../loop/task.ts';

/** A document that several partitions' owners may fold: the loser of a compare-and-set reads it again and folds again. */
interface ScatteredDocument extends CachedDocument {
  /** Rises with each store; '0' where there is no document. */
  revision: string;
  /** Up to where this partition's events are folded into it already, as Redis has it: the entry id or ''. */
  floor: string;
  /** Where no document is: up to where a removed one had been folded. Told to the script, for it may have changed since. */
  removedFloor: string;
  /** What was folded into it since it was stored. */
  pending: LogEvent[];
}

const TOMBSTONES_AT_ONCE = 100;

/** How often a processor looks for tombstones that others left, in milliseconds: those of a process that died. */
const SWEEP_MS = 60_000;
const TOMBSTONE = 'tombstone:';

/**
 * Each document is stored by a script of its own, before the checkpoint follows. It carries the position of each partition whose events
 * it holds, so that events which are read again, by the next owner or by one that was paused, are not folded again.
 */
export class ScatteredDocuments implements Documents {
  readonly #connection: Connection;
  readonly #projection: AnyProjection;
  readonly #partition: number;
  readonly #task: Leased;
  /** Keys of documents that were deleted. */
  readonly #tombstones = new Set<string>();
  #sweepCursor = '0';
  #sweepAt = Number.NEGATIVE_INFINITY;

  constructor(connection: Connection, projection: AnyProjection, partition: number, task: Leased) {
    this.#connection = connection;
    this.#projection = projection;
    this.#partition = partition;
    this.#task = task;
  }

  /** Always from Redis: another partition's owner may have stored a newer one. */
  async load(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, CachedDocument>> {
    const loaded = await Promise.all([...keys].map(async (key) => [key, await this.#read(key)] as const));
    await this.#checkFloors(loaded.map(([, document]) => document));
    return new Map(loaded);
  }

  /** A document may be in front of the checkpoint, but not of the log: such events would be passed over. */
  async #checkFloors(documents: readonly ScatteredDocument[]): Promise<void> {
    const place = this.#task.checkpoint?.place ?? -1;
    const ahead = documents.filter(({ floor }) => floor !== '' && packEntryId(floor) > place);
    if (ahead.length === 0) return;
    const head = await readHead(this.#connection, this.#partition);
    for (const { key, floor } of ahead) {
      const holds = `document ${show(key)} holds events of partition ${this.#partition} up to ${floor}`;
      if (packEntryId(floor) > head) throw this.#lostError(`${holds}, and the log ends before`);
      if (!(await this.#isThere(floor, this.#projection.categories))) throw this.#lostError(`${holds}, and there is none in the log any more`);
    }
  }

  async #isThere(entryId: string, categories: readonly string[]): Promise<boolean> {
    const { port, keys } = this.#connection;
    const logs = categories.map((category) => keys.log(this.#partition, category));
    const found = await Promise.all(logs.map((key) => port.send(key, ['XRANGE', key, entryId, entryId])));
    return found.some((entries) => (entries as readonly unknown[]).length > 0);
  }

  fold(document: CachedDocument, event: LogEvent): boolean {
    const scattered = document as ScatteredDocument;
    if (scattered.floor !== '' && event.place <= packEntryId(scattered.floor)) return false;
    foldInto(this.#projection, scattered, event);
    scattered.pending.push(event);
    return true;
  }

  async store(changed: ReadonlySet<CachedDocument>): Promise<readonly DocumentWrite[]> {
    const documents = [...changed] as ScatteredDocument[];
    await this.#checkLast(documents.flatMap(({ pending }) => pending.slice(-1)));
    await Promise.all(documents.map((document) => this.#storeOne(document)));
    return [];
  }

  /**
   * What was read before a failover may be gone since, and the documents lie on a server that does not know of it. Where the last event is
   * there, so are those before it.
   */
  async #checkLast(last: readonly LogEvent[]): Promise<void> {
    const [furthest] = last.toSorted((a, b) => b.place - a.place);
    if (!furthest || (await this.#isThere(entryIdOf(furthest.place), [furthest.category]))) return;
    throw this.#lostError(`the event at ${entryIdOf(furthest.place)} of partition ${this.#partition} was read, and is gone`);
  }

  /** Removes tombstones that no event can be folded into again, for every partition's checkpoint has passed what they hold. */
  async committed(): Promise<void> {
    await this.#sweep();
    for (const key of [...this.#tombstones].slice(0, TOMBSTONES_AT_ONCE)) {
      if (await this.#removeTombstone(key)) this.#tombstones.delete(key);
    }
  }

  /** Finds those that lie in this partition, whoever left them; one step of a scan for each commit, and a scan each minute. */
  async #sweep(): Promise<void> {
    if (this.#sweepCursor === '0' && performance.now() < this.#sweepAt) return;
    const { port, keys } = this.#connection;
    const key = keys.removed(this.#partition, this.#projection.name, this.#projection.version);
    const reply = await port.send(key, ['HSCAN', key, this.#sweepCursor, 'MATCH', `${TOMBSTONE}*`, 'COUNT', String(TOMBSTONES_AT_ONCE)]);
    const [cursor, found] = reply as readonly [string, readonly string[]];
    for (const name of namesOf(found)) this.#tombstones.add(name.slice(TOMBSTONE.length));
    this.#sweepCursor = cursor;
    this.#sweepAt = performance.now() + SWEEP_MS;
  }

  clear(): void {
    // Nothing is remembered from batch to batch.
  }

  #keyOf(key: string): { documentKey: string; removedKey: string } {
    const { keys } = this.#connection;
    const { name, version } = this.#projection;
    const partition = keys.partitionOf(key);
    return { documentKey: keys.snapshot(partition, name, version, key), removedKey: keys.removed(partition, name, version) };
  }

  async #read(key: string): Promise<ScatteredDocument> {
    const { port, codec } = this.#connection;
    const { documentKey, removedKey } = this.#keyOf(key);
    const [[fields = []], removed] = await Promise.all([
      readDocuments(port, [documentKey]),
      port.send(removedKey, ['HGET', removedKey, String(this.#partition)]),
    ]);
    const { state, reserved } = decodeDocument(codec, fields, documentKey);
    const removedFloor = typeof removed === 'string' ? removed : '';
    const revision = reserved.get(documentFields.revision) ?? '0';
    const floor = revision === '0' ? removedFloor : (reserved.get(this.#positionField()) ?? '');
    const own = namesOf(fields).filter((name) => !reserved.has(name));
    return {
      key,
      state,
      fields: reserved.has(documentFields.state) ? [...own, documentFields.state] : own,
      size: sizeOf(fields),
      place: -1,
      revision,
      floor,
      removedFloor,
      pending: [],
    };
  }

  #positionField(): string {
    return `${documentFields.position}:${this.#partition}`;
  }

  async #storeOne(document: ScatteredDocument): Promise<void> {
    while (!(await this.#tryStore(document))) {
      const again = await this.#read(document.key);
      const { pending } = document;
      Object.assign(document, again);
      try {
        for (const event of pending) this.fold(document, event);
      } catch (cause) {
        throw new Unstorable('a document cannot be folded onto what another partition stored', { cause });
      }
      if (document.pending.length === 0) return; // another owner of this partition has stored these very events
    }
    if (document.state === undefined) this.#tombstones.add(document.key);
    else this.#tombstones.delete(document.key);
  }

  async #tryStore(document: ScatteredDocument): Promise<boolean> {
    const { documentKey, removedKey } = this.#keyOf(document.key);
    const fields = encodeDocument(this.#connection, this.#projection, document);
    const position = entryIdOf(document.place);
    const outcome = await commitDocument(this.#connection.port, {
      documentKey,
      removedKey,
      key: document.key,
      revision: document.revision,
      removedFloor: document.removedFloor,
      partition: this.#partition,
      position,
      isDeleted: document.state === undefined,
      generation: this.#generation(),
      fields,
      removed: namesGone(document.fields, namesOf(fields)),
    });
    if (outcome === 'other-generation') throw await this.#fencedError();
    if (outcome === 'changed') return false;
    // A batch may be cut into several commits: the next one goes on from here.
    Object.assign(document, { revision: String(Number(document.revision) + 1), floor: position, fields: namesOf(fields), pending: [] });
    return true;
  }

  #generation(): string {
    return this.#task.terms?.generation ?? '0';
  }

  /** A rewind takes the lease away; where this one still counts, one of two partitions has forgotten the rewind. */
  async #fencedError(): Promise<Error> {
    const { checkpoint, checkpointKey } = this.#task;
    const [epoch, clearing] = (await this.#connection.port.send(checkpointKey, ['HMGET', checkpointKey, 'epoch', 'clearing'])) as (string | null)[];
    if (!checkpoint || epoch !== checkpoint.epoch || clearing !== null) return new LeaseLost();
    return this.#lostError('its partitions do not agree on how often it was rewound');
  }

  #lostError(what: string): LogLostError {
    return new LogLostError(
      `The documents of projection ${this.#task.name} and the log are not of one piece: ${what}. A restored backup or a failover that lost writes does this. ` +
        'Nothing was folded. Restore all partitions to one moment, or fold it again from the beginning with ProcessorControl.rewind.',
    );
  }

  /** Whether there is nothing left to do for it. */
  async #removeTombstone(key: string): Promise<boolean> {
    const { documentKey, removedKey } = this.#keyOf(key);
    const [fields = []] = await readDocuments(this.#connection.port, [documentKey]);
    const { reserved } = decodeDocument(this.#connection.codec, fields, documentKey);
    if (!reserved.has(documentFields.deleted)) return true;
    const prefix = `${documentFields.position}:`;
    for (const [name, entryId] of reserved) {
      if (!name.startsWith(prefix)) continue;
      const checkpoint = await readCheckpoint(this.#connection, this.#projection, Number(name.slice(prefix.length)));
      if (checkpoint < packEntryId(entryId)) return false;
    }
    const revision = reserved.get(documentFields.revision) ?? '0';
    await removeTombstone(this.#connection.port, { documentKey, removedKey, key, revision, generation: this.#generation() });
    return true;
  }
}
