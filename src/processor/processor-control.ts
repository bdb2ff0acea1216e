// ProcessorControl: acts on what the processors of every process do, by what they share in Redis.
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidInputError } from '../errors.ts';
import { InUseError } from '../processing-errors.ts';
import type { Projection } from '../fold/projection.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { pause, type PauseReply } from '../redis/control-scripts.ts';
import { reading } from '../redis/public-error.ts';
import { InWords } from '../show.ts';
import type { Followed } from '../snapshot/reached.ts';
import { readServingVersion } from '../snapshot/serving.ts';
import { clearProjection, heldError } from '../snapshot/clearing.ts';
import { Comparison, type CompareOptions, type DocumentDifference } from './compare.ts';
import { DeadLetters, type ReactorName } from '../reactor/dead-letters.ts';
import { dropReactor } from '../reactor/drop-reactor.ts';
import { flipTo, type ServeOptions } from './flip.ts';
import type { StartFrom } from '../reactor/reactor.ts';
import { keptReactorOf, type ProcessorTarget, registeredOf } from './registered.ts';
import { unregister } from './registry.ts';
import { type OverallProgress, ProgressLooks } from './rebuild-progress.ts';
import { rewindReactor } from '../reactor/rewind-reactor.ts';

/** Options of `rewind`. */
export interface RewindOptions {
  /**
   * Where it goes on: a projection only at the beginning, for its documents hold all events before; a reactor anywhere, and at the head
   * with 'now', which passes over what it has yet to handle. A process manager at the beginning, which removes its states, or at the head,
   * which keeps them. Default 'start'.
   */
  readonly to?: StartFrom;
  readonly signal?: AbortSignal;
}

/** How often it is looked whether a lease was given up, in milliseconds. */
const POLL_MS = 50;

/**
 * Looks after what processors run, in all processes at once: shows how far it is, pauses it, folds it again, compares versions, flips
 * readers from one to another, and drops one. Takes any open store; needs no closing, and no processor in the same process.
 */
export class ProcessorControl {
  readonly #store: object;
  readonly #looks = new Map<string, ProgressLooks>();

  constructor(store: object) {
    this.#store = store;
    connectionOf(store);
  }

  /** How far it is, whoever runs it. Speed and time left are told from the second look on, by the same ProcessorControl. */
  async progress(target: Followed): Promise<OverallProgress> {
    const id = `${target.name}@${target.version}`;
    const looks = this.#looks.get(id) ?? new ProgressLooks();
    this.#looks.set(id, looks);
    return await reading(`read the progress of ${id}`, looks.look(connectionOf(this.#store), target));
  }

  /**
   * Keeps every process from running it, until `resume`: over restarts and kills too. Owners finish and store what they have in hand and
   * give their leases up. Resolves when nobody can store anything of it any more; at the latest when the lease of an owner that is gone
   * has run out. An abort of `signal` leaves it paused.
   */
  async pause(target: Followed, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const held = (await this.#pauseAll(target)).filter(({ owner }) => owner !== '');
      if (held.length === 0) return;
      await delay(POLL_MS);
    }
  }

  /** Lets processors run it again; they see it within a second. It goes on where it was. */
  async resume(target: Followed): Promise<void> {
    const { port } = connectionOf(this.#store);
    const keys = this.#checkpointKeys(target);
    await reading(`resume ${target.name}`, Promise.all(keys.map((key) => port.send(key, ['HDEL', key, 'paused']))));
  }

  /**
   * Sets a reactor to another place of the log: what stands behind that is handled again, and letters and waiting events there are forgotten.
   * What its handlers did is not undone. This is the way on after LogLostError: to 'now', or to where the loss began. A process manager
   * that begins again does all again that follows from its events.
   *
   * Folds a projection again from the first event on: removes its documents and its checkpoint, and processors that have it begin anew,
   * those too in which it stood still. This is the way on after LogLostError, when the log as it is now is to count: then the documents
   * may hold events that are gone. Readers of this very version see its documents come back one by one (they get NotCaughtUpError until
   * all are there): to keep readers served, build a higher version beside it.
   *
   * Safe at every step: where this process dies in between nobody folds, and the same call again finishes it.
   * @throws InvalidInputError for a projection that is not stored, and for a place where it cannot go on.
   */
  async rewind(target: ProcessorTarget, { to = 'start', signal }: RewindOptions = {}): Promise<void> {
    const reactor = keptReactorOf(target);
    if (reactor) return await reading(`rewind ${target.name}`, rewindReactor(connectionOf(this.#store), reactor, to, signal));
    assertStored(target);
    if (to !== 'start') throw new InvalidInputError('option to', "'start': the documents of a projection hold all events before", to);
    await reading(`rewind ${target.name}`, clearProjection(connectionOf(this.#store), target, 'rewind', signal));
  }

  /**
   * What a reactor gave up on: to list, retry, edit and discard. Takes the reactor, or its name and version where its code is not at hand.
   * @throws InvalidInputError for a name or version that cannot be one.
   */
  deadLetters(reactor: ReactorName): DeadLetters {
    return new DeadLetters(this.#store, reactor);
  }

  /**
   * The documents that differ between two versions of a projection, or between two projections, in no order. It walks the whole keyspace
   * with SCAN, holds a page at a time, and stores nothing: for maintenance. A document that comes or goes meanwhile may be missed.
   * @throws InvalidInputError for a projection that is not stored; CorruptDocumentError for a document that cannot be read.
   */
  async *compare<First, Second>(
    first: Projection<First>,
    second: Projection<Second>,
    { equal, limit = Number.POSITIVE_INFINITY, signal }: CompareOptions<First, Second> = {},
  ): AsyncIterableIterator<DocumentDifference<First, Second>, undefined, undefined> {
    assertStored(first);
    assertStored(second);
    if (!(typeof limit === 'number' && limit >= 1)) throw new InvalidInputError('option limit', 'a number from 1', limit);
    const comparison = new Comparison(connectionOf(this.#store), [first, second], equal as ((a: unknown, b: unknown) => boolean) | undefined);
    let found = 0;
    for await (const difference of comparison.run(signal)) {
      yield difference as DocumentDifference<First, Second>;
      found += 1;
      if (found >= limit) return undefined;
    }
    return undefined;
  }

  /**
   * Flips all readers that follow the projection (`serving(…)`) to this version, by one write: in every process within a second. Flip back
   * the same way. The result is the version that served before; undefined where none was ever named.
   * @throws NotCaughtUpError where it does not reach, within `timeoutMs`, what the log held at the call, unless `evenIfBehind` is set.
   * @throws PausedError while it is paused, or being rewound or dropped; InvalidInputError for a projection that is not stored.
   */
  async serve(projection: ProcessorTarget, options: ServeOptions = {}): Promise<number | undefined> {
    assertStored(projection);
    return await reading(`flip readers to ${projection.name}@${projection.version}`, flipTo(connectionOf(this.#store), projection, options));
  }

  /** The version of a projection that readers were flipped to last; undefined before any flip: then the lowest one that a reader knows serves. */
  async servingVersion(name: string): Promise<number | undefined> {
    return await reading(`read which version of ${name} serves`, readServingVersion(connectionOf(this.#store), name));
  }

  /**
   * Removes a version for good: of a projection its documents, of a reactor its dead letters and what waits behind them, of a process manager
   * its states too, and last the checkpoint. Processors that still have it would build it again, and a reactor begin at its `startFrom`, so
   * stop those first. Where this process dies in between, the same call again finishes it; until then nobody runs it.
   * @throws InUseError while it serves, or while a processor runs it and has not paused.
   */
  async drop(target: ProcessorTarget, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const connection = connectionOf(this.#store);
    const doing = `drop ${target.name}@${target.version}`;
    const reactor = keptReactorOf(target);
    if (reactor) {
      await this.#pauseToDrop(target, `Reactor ${target.name}@${target.version}`, async () => {});
      await reading(doing, dropReactor(connection, reactor, signal));
    } else {
      assertStored(target);
      const assertIsFree = (): Promise<void> => reading(doing, assertNotServing(connection, target));
      await assertIsFree();
      await this.#pauseToDrop(target, `Projection ${target.name}@${target.version}`, assertIsFree);
      await reading(doing, clearProjection(connection, target, 'drop', signal));
    }
    await reading(doing, unregister(connection, 'kind' in target ? target : registeredOf(target)));
  }

  /** Nobody takes it from here on, and a flip to it that began before is seen here, or sees the pause. */
  async #pauseToDrop(target: Followed, what: string, assertIsFree: () => Promise<void>): Promise<void> {
    const { isPaused } = await this.progress(target);
    const found = await this.#pauseAll(target);
    try {
      const partition = found.findIndex(({ owner }) => owner !== '');
      if (partition >= 0) throw heldError(what, partition, found[partition]?.owner ?? '');
      await assertIsFree();
    } catch (error) {
      if (!isPaused) await this.resume(target);
      throw error;
    }
  }

  async #pauseAll(target: Followed): Promise<readonly PauseReply[]> {
    const { port } = connectionOf(this.#store);
    const keys = this.#checkpointKeys(target);
    const replies = await reading(`pause ${target.name}`, Promise.all(keys.map((key) => pause(port, [key]))));
    return replies.flat();
  }

  #checkpointKeys(target: Followed): readonly string[] {
    if ('kind' in target && target.kind === 'source')
      throw new InvalidInputError('target', 'a projection, reactor or process manager', new InWords(`the source ${target.name}`));
    const { name, version } = target;
    const { keys } = connectionOf(this.#store);
    return Array.from({ length: keys.partitions }, (_, partition) => keys.checkpoint(partition, name, version));
  }
}

function assertStored(target: ProcessorTarget): void {
  if (keptReactorOf(target) || ('kind' in target && target.kind === 'source'))
    throw new InvalidInputError('projection', 'a projection', new InWords(`the ${'kind' in target ? target.kind : 'reactor'} ${target.name}`));
  if ('consistency' in target && target.consistency !== 'async')
    throw new InvalidInputError('projection', "one that is stored (consistency 'async')", new InWords('one that is folded on read'));
}

async function assertNotServing(connection: Connection, { name, version }: ProcessorTarget): Promise<void> {
  if ((await readServingVersion(connection, name)) !== version) return;
  throw new InUseError(
    `Version ${version} of projection ${name} serves. Nothing was dropped. Flip its readers to another version with ProcessorControl.serve, and drop it then.`,
  );
}
