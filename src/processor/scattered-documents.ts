// Documents of a projection with a key of its own, in a store with several partitions: they may lie in another partition than their events.
import type { AnyProjection } from '../fold/projection.ts';
import type { LogEvent } from '../log/entry.ts';
import { entryIdOf, packEntryId } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { commitDocument, type DocumentWrite, readDocuments, removeTombstone } from '../redis/scripts.ts';
import { decodeDocument, documentFields } from '../snapshot/document.ts';
import { readCheckpoint } from '../snapshot/reached.ts';
import { type CachedDocument, type Documents, encodeDocument, foldInto, namesGone, namesOf, sizeOf, Unstorable } from './documents.ts';

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

/**
 * Each document is stored by a script of its own, before the checkpoint follows. It carries the position of each partition whose events
 * it holds, so that events which are read again, by the next owner or by one that was paused, are not folded again.
 */
export class ScatteredDocuments implements Documents {
  readonly #connection: Connection;
  readonly #projection: AnyProjection;
  readonly #partition: number;
  readonly #tombstones = new Map<string, ScatteredDocument>();

  constructor(connection: Connection, projection: AnyProjection, partition: number) {
    this.#connection = connection;
    this.#projection = projection;
    this.#partition = partition;
  }

  /** Always from Redis: another partition's owner may have stored a newer one. */
  async load(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, CachedDocument>> {
    const loaded = await Promise.all([...keys].map(async (key) => [key, await this.#read(key)] as const));
    return new Map(loaded);
  }

  fold(document: CachedDocument, event: LogEvent): boolean {
    const scattered = document as ScatteredDocument;
    if (scattered.floor !== '' && event.place <= packEntryId(scattered.floor)) return false;
    foldInto(this.#projection, scattered, event);
    scattered.pending.push(event);
    return true;
  }

  async store(changed: ReadonlySet<CachedDocument>): Promise<readonly DocumentWrite[]> {
    await Promise.all([...changed].map((document) => this.#storeOne(document as ScatteredDocument)));
    return [];
  }

  /** Removes tombstones that no event can be folded into again, for every partition's checkpoint has passed what they hold. */
  async committed(): Promise<void> {
    for (const [key, tombstone] of [...this.#tombstones].slice(0, TOMBSTONES_AT_ONCE)) {
      if (await this.#removeTombstone(tombstone)) this.#tombstones.delete(key);
    }
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
    if (document.state === undefined) this.#tombstones.set(document.key, document);
    else this.#tombstones.delete(document.key);
  }

  async #tryStore(document: ScatteredDocument): Promise<boolean> {
    const { documentKey, removedKey } = this.#keyOf(document.key);
    const fields = encodeDocument(this.#connection, this.#projection, document);
    const position = entryIdOf(document.place);
    const isStored = await commitDocument(this.#connection.port, {
      key: documentKey,
      removedKey,
      revision: document.revision,
      removedFloor: document.removedFloor,
      partition: this.#partition,
      position,
      isDeleted: document.state === undefined,
      fields,
      removed: namesGone(document.fields, namesOf(fields)),
    });
    // A batch may be cut into several commits: the next one goes on from here.
    if (isStored) Object.assign(document, { revision: String(Number(document.revision) + 1), floor: position, fields: namesOf(fields), pending: [] });
    return isStored;
  }

  /** Whether there is nothing left to do for it. */
  async #removeTombstone({ key }: ScatteredDocument): Promise<boolean> {
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
    await removeTombstone(this.#connection.port, { documentKey, removedKey, revision: reserved.get(documentFields.revision) ?? '0' });
    return true;
  }
}
