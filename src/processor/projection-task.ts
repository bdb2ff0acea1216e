// Folds one projection in one partition: documents in memory, and commits that store them with the checkpoint.
import { LogLostError } from '../errors.ts';
import { ProjectionFailedError } from '../processing-errors.ts';
import type { AnyProjection } from '../fold/projection.ts';
import type { LogEvent } from '../log/entry.ts';
import { type Marked, markOf } from '../log/mark.ts';
import { type Position, splitPosition } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { markBuilt } from '../redis/control-scripts.ts';
import { commit, type DocumentWrite } from '../redis/scripts.ts';
import { type CachedDocument, type Documents, LocalDocuments, Unstorable } from './documents.ts';
import { projectionLimits } from '../snapshot/document.ts';
import { type Checkpoint, checkpointText, type LeaseTerms } from '../loop/lease.ts';
import { ScatteredDocuments } from './scattered-documents.ts';
import { show } from '../show.ts';
import { type Batch, LeaseLost, type Task } from '../loop/task.ts';

export interface TaskOptions {
  readonly leaseMs: number;
  /** Told after each commit. */
  readonly onCommit: (task: ProjectionTask, events: number) => void;
}

/** One projection in one partition. */
export class ProjectionTask implements Task {
  readonly projection: AnyProjection;
  readonly partition: number;
  readonly name: string;
  readonly title: string;
  readonly subject: { readonly projection: string };
  readonly checkpointKey: string;
  readonly reads: string;
  readonly categories: ReadonlySet<string>;
  checkpoint: Checkpoint | undefined;
  lastKnown: Checkpoint | undefined;
  terms: LeaseTerms | undefined;
  /** Why it stands still, if it does. */
  failure: unknown;

  readonly #connection: Connection;
  readonly #options: TaskOptions;
  readonly #documents: Documents;
  #underWay: Promise<void> = Promise.resolve();
  /** What a document that is new is taken to grow to: as much as those of the last commit, on average. */
  #sizeOfNew = 0;

  constructor(connection: Connection, projection: AnyProjection, partition: number, options: TaskOptions) {
    this.#connection = connection;
    this.#options = options;
    this.projection = projection;
    this.partition = partition;
    this.name = `${projection.name}@${projection.version}`;
    this.title = `projection ${this.name}`;
    this.subject = { projection: projection.name };
    this.checkpointKey = connection.keys.checkpoint(partition, projection.name, projection.version);
    this.reads = projection.categories.join(',');
    this.categories = new Set(projection.categories);
    const isLocal = projection.isKeyedByStream || connection.keys.partitions === 1;
    this.#documents = isLocal
      ? new LocalDocuments(connection, projection, partition)
      : new ScatteredDocuments(connection, projection, partition, this);
  }

  get standing(): Checkpoint | undefined {
    return this.checkpoint;
  }

  async prepare(): Promise<void> {
    // Documents are loaded with the events that they are for.
  }

  /** What is stored is whole from then on, if it was not before: reads may rely on it. */
  async reachedEnd(): Promise<void> {
    const { terms } = this;
    if (!terms || terms.isBuilt) return;
    await this.settle();
    if (await markBuilt(this.#connection.port, this.checkpointKey, terms.generation)) this.terms = { ...terms, isBuilt: true };
  }

  whenReady(): undefined {
    return undefined; // it takes whatever comes
  }

  async finish(): Promise<void> {
    await this.settle();
  }

  /**
   * Folds a batch that begins behind the checkpoint. Resolves when its last commit is on its way: the next batch may be folded meanwhile.
   * Throws ProjectionFailedError after all events before the failing one were stored, LeaseLost, or what Redis answered.
   */
  async take(batch: Batch): Promise<void> {
    const { telemetry } = this.#connection;
    if (!telemetry || batch.events.length === 0) return await this.#take(batch);
    const { name, version } = this.projection;
    await telemetry.fold({ projection: name, version, partition: this.partition, events: batch.events.length }, () => this.#take(batch));
  }

  async #take(batch: Batch): Promise<void> {
    try {
      await this.#foldEvents(batch);
    } catch (error) {
      this.#documents.clear(); // evolve may have changed them in place
      if (error instanceof ProjectionFailedError) await this.#storeBefore(batch, splitPosition(error.event.position as Position).packed);
      if (error instanceof Unstorable) return await this.#foldOneByOne(batch, error.cause);
      throw error;
    }
  }

  /** Waits for the commit that is on its way. Throws what it came to. */
  async settle(): Promise<void> {
    await this.#underWay;
  }

  /** Lets the checkpoint and all documents go: another process may go on, or store newer ones. */
  letGo(): void {
    this.checkpoint = undefined;
    this.forget();
  }

  /** Lets all documents go, and the commit that is on its way: it belongs to a lease from before. */
  forget(): void {
    this.#documents.clear();
    this.#underWay = Promise.resolve();
  }

  /** Finds the event whose document cannot be stored; it is the last one where there is only one. */
  async #foldOneByOne({ events }: Batch, cause: unknown): Promise<void> {
    const [only] = events;
    if (only && events.length === 1) throw new ProjectionFailedError(this.name, only.event, { cause });
    await this.settle();
    for (const each of events) {
      if (each.place > (this.checkpoint?.place ?? -1)) await this.take({ events: [each], through: each.place, mark: markOf(each.event) });
    }
  }

  async #storeBefore(batch: Batch, failing: number): Promise<void> {
    await this.settle();
    const place = this.checkpoint?.place ?? -1;
    const events = batch.events.filter((each) => each.place > place && each.place < failing);
    const last = events.at(-1);
    if (!last) return;
    // May meet an earlier event that fails for another reason: that one is told then.
    await this.take({ events, through: last.place, mark: markOf(last.event) });
    await this.settle();
  }

  async #foldEvents({ events, through, mark }: Batch): Promise<void> {
    const mine = events.filter(({ category }) => this.categories.has(category));
    const keysOf = mine.map((logEvent) => this.#keysOf(logEvent));
    const keys = new Set<string>();
    for (const own of keysOf) for (const key of own) keys.add(key);
    const documents = await this.#documents.load(keys, () => this.settle());
    await this.#checkPlaces(documents.values());
    let changed = new Set<CachedDocument>();
    let [size, counted] = [0, 0];
    for (const [index, logEvent] of mine.entries()) {
      size += this.#foldOne(logEvent, keysOf[index] ?? [], documents, changed);
      counted += 1;
      if (size < projectionLimits.commitBytes) continue;
      await this.#commit(changed, counted, { place: logEvent.place, mark: markOf(logEvent.event) });
      changed = new Set();
      [size, counted] = [0, 0];
    }
    const isDone = counted === 0 && this.checkpoint?.place === through;
    if (!isDone) await this.#commit(changed, counted, { place: through, mark });
  }

  /** One script stores documents and checkpoint: the next owner's did, or this checkpoint is not the one that belongs to the documents. */
  async #checkPlaces(documents: Iterable<CachedDocument>): Promise<void> {
    const { checkpoint, checkpointKey } = this;
    if (!checkpoint) throw new LeaseLost();
    for (const document of documents) {
      if (document.place <= checkpoint.place) continue;
      const epoch = await this.#connection.port.send(checkpointKey, ['HGET', checkpointKey, 'epoch']);
      throw epoch === checkpoint.epoch ? aheadError(this, checkpoint, document) : new LeaseLost();
    }
  }

  #keysOf({ event }: LogEvent): readonly string[] {
    try {
      return this.projection.keys(event);
    } catch (cause) {
      throw new ProjectionFailedError(this.name, event, { cause });
    }
  }

  /** Folds an event into its documents; about how much that adds to the commit. */
  #foldOne(logEvent: LogEvent, keys: readonly string[], documents: ReadonlyMap<string, CachedDocument>, changed: Set<CachedDocument>): number {
    let size = 0;
    try {
      for (const key of keys) {
        const document = documents.get(key);
        if (!document || !this.#documents.fold(document, logEvent)) continue;
        if (!changed.has(document)) size += (document.size || this.#sizeOfNew) + SIZE_OF_CHANGE;
        changed.add(document);
      }
    } catch (cause) {
      throw new ProjectionFailedError(this.name, logEvent.event, { cause });
    }
    return size;
  }

  /** Encodes what changed at once, for the next fold may change it in place, and sends it behind the commit before. */
  async #commit(changed: ReadonlySet<CachedDocument>, counted: number, to: Marked): Promise<void> {
    const writes = this.#documents.store(changed);
    if (changed.size > 0) this.#sizeOfNew = [...changed].reduce((sum, { size }) => sum + size, 0) / changed.size;
    await Promise.all([writes, this.settle()]);
    const documents = await writes;
    const from = this.checkpoint;
    if (!from) throw new LeaseLost();
    this.checkpoint = { epoch: from.epoch, place: to.place, mark: to.mark, seen: from.seen + counted };
    this.#underWay = this.#send(from, this.checkpoint, documents, counted);
    this.#underWay.catch(() => undefined); // heard of by settle()
  }

  async #send(from: Checkpoint, to: Checkpoint, documents: readonly DocumentWrite[], counted: number): Promise<void> {
    const { name, version } = this.projection;
    const channel = this.#connection.keys.committedChannel(this.partition, name, version);
    const [fromText, toText] = [checkpointText(from.place), checkpointText(to.place)];
    const { leaseMs } = this.#options;
    const { epoch, seen, mark: event } = to;
    const { committed, ...found } = await commit(this.#connection.port, {
      checkpointKey: this.checkpointKey,
      channel,
      epoch,
      from: fromText,
      to: toText,
      seen,
      event,
      leaseMs,
      documents,
    });
    // The very commit, run before: its reply was lost and the client sent it again.
    const wasCommitted = found.epoch === epoch && found.position === toText;
    if (!committed && !wasCommitted) throw new LeaseLost();
    this.lastKnown = to;
    this.#options.onCommit(this, counted);
    await this.#documents.committed();
  }
}

/** What a changed document takes beside its fields: its key and the position. */
const SIZE_OF_CHANGE = 100;

function aheadError({ name, checkpointKey }: ProjectionTask, { place }: Checkpoint, document: CachedDocument): LogLostError {
  return new LogLostError(
    `Document ${show(document.key)} of projection ${name} holds events up to ${checkpointText(document.place)}, and the checkpoint in ${checkpointKey} stands at ${checkpointText(place) || 'the beginning'}: ` +
      'it was deleted, or is an older one. Nothing was folded, for events would have counted twice. Restore the checkpoint; or fold it again from the beginning with ProcessorControl.rewind, or under a higher version.',
  );
}
