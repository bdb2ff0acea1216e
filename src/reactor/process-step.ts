// Carries out one step of a process manager: state and effects of one event, stored by one script, exactly once.
import { InvalidInputError, PartitionMismatchError } from '../errors.ts';
import { DocumentTooLargeError, ProcessConflictError, ReactionFencedError } from '../processing-errors.ts';
import type { AnyEvent, RecordedEvent } from '../event.ts';
import { frozen } from '../fold/frozen.ts';
import { type Guard, type PlacedAppend, prepare, type PrepareOptions, type StreamAppend, traced } from '../log/append.ts';
import type { ScheduledAppend } from '../log/prepare-schedule.ts';
import { settle } from '../log/append-outcome.ts';
import { type StreamKeys, streamKeys } from '../log/fold-stream.ts';
import { entryIdOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { type DocumentWrite, readDocuments } from '../redis/scripts.ts';
import { show } from '../show.ts';
import { type FoldedState, loadState } from '../snapshot/decider-state.ts';
import { decodeDocument, documentFields, encodeState, placeOfDocument, positionFields } from '../snapshot/document.ts';
import type { LazyAbort } from './attempts.ts';
import { namesGone, namesOf, projectionLimits, sizeOf } from '../snapshot/document.ts';
import { epochBeforeDrop } from './drop-reactor.ts';
import { EndedProcesses } from './ended-processes.ts';
import { type AnyDecider, type CommandEffect, effects, type KnownEffect, partsOf, type ProcessManager } from './process-manager.ts';
import { causedBy, type Handling, type Leftovers, type ReactionHandler } from './reaction-context.ts';

/** How often a step is decided again while others append to the streams that it commands. */
const ATTEMPTS = 100;

/** What is stored of a process: its state, up to which event, and the names of its fields. */
interface Stored {
  readonly state: unknown;
  readonly place: number;
  readonly fields: readonly string[];
}

/** One event of a process, and what is stored of that. */
interface Step {
  readonly key: string;
  readonly documentKey: string;
  readonly place: number;
  readonly stored: Stored;
  readonly epoch: string;
  readonly leftovers: Leftovers;
  readonly abort: LazyAbort;
}

/** What a step is to write beside the state. */
interface Planned {
  readonly appends: readonly PlacedAppend[];
  /** Streams about which it was decided that nothing is to be done: that holds only as long as they are as they were. */
  readonly guards: readonly Guard[];
  readonly schedule: readonly ScheduledAppend[];
}

/** A stream that the step decides about: as it is, and what is decided so far. */
interface Decided {
  readonly decider: AnyDecider;
  folded: FoldedState<unknown>;
  readonly version: number;
  readonly lastPlace: number;
  readonly events: AnyEvent[];
}

/** Runs the steps of one process manager in one partition. */
export class ProcessSteps implements ReactionHandler {
  readonly #connection: Connection;
  readonly #manager: ProcessManager;
  readonly #partition: number;
  readonly #ended: EndedProcesses;

  constructor(connection: Connection, manager: ProcessManager, partition: number) {
    this.#connection = connection;
    this.#manager = manager;
    this.#partition = partition;
    this.#ended = new EndedProcesses(connection, manager, partition);
  }

  /** Folds the event and carries out what follows from it; nothing, where that was done already. */
  async handle(handling: Handling, epoch: string): Promise<void> {
    const { telemetry } = this.#connection;
    if (!telemetry) return await this.#handle(handling, epoch);
    const { name, version } = this.#manager;
    const of = { reactor: name, version, partition: this.#partition, attempt: handling.attempt, event: handling.logEvent.event };
    await telemetry.react(of, () => this.#handle(handling, epoch));
  }

  async #handle({ logEvent, key: handledAs, leftovers, abort }: Handling, epoch: string): Promise<void> {
    const event = frozen(logEvent.event);
    const key = this.#manager.process.keyOf(event);
    if (key === undefined) return;
    // Another process may have passed that place long ago.
    if (key !== handledAs)
      throw new InvalidInputError('key of an edited event', `${show(handledAs)}, as it was: another process keeps another order`, key);
    const documentKey = this.#documentKey(key);
    const { place } = logEvent;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const stored = await this.#load(documentKey);
      // Its state and its effects were stored together.
      const isDone = stored.place >= place || (await this.#attempt(event, { key, documentKey, place, stored, epoch, leftovers, abort }));
      if (stored.place === place && stored.state === undefined) leftovers.ended = { key, place };
      if (isDone) return;
    }
    throw new ProcessConflictError(this.#name(), ATTEMPTS);
  }

  /** Removes what is left of a process that ended: until its event was committed as done, that kept it from being done again. */
  async drop({ ended }: Leftovers): Promise<void> {
    if (ended) await this.#ended.remove(ended);
  }

  async raiseFence(epoch: string): Promise<number> {
    this.#ended.begin(epoch);
    // Each step compares the epoch of the checkpoint itself, which lies in its partition.
    return Math.max(Number(epoch), await epochBeforeDrop(this.#connection, this.#manager, this.#partition));
  }

  async sweep(isPassed: (place: number) => boolean): Promise<void> {
    await this.#ended.sweep(isPassed);
  }

  async #attempt(event: RecordedEvent, { key, documentKey, place, stored, epoch, leftovers, abort }: Step): Promise<boolean> {
    const { process } = this.#manager;
    const before = stored.state ?? process.initialState();
    const state = process.evolve(before, event);
    if (state === undefined) throw new InvalidInputError('state that evolve returned', 'a state, or null to end the process', state);
    const parts = partsOf(process.react(event, state ?? before, effects));
    const planned = await this.#plan(parts);
    const expected = stored.place < 0 ? '' : entryIdOf(stored.place);
    const asked: PrepareOptions = {
      guards: planned.guards,
      schedule: planned.schedule,
      metadata: causedBy(event),
      along: {
        partition: this.#partition,
        marks: [
          { key: this.#checkpointKey(), field: 'epoch', expected: epoch, new: '' },
          { key: documentKey, field: documentFields.position, expected, new: '' },
        ],
        documents: [this.#write({ key, documentKey, place, stored }, state), ...(state === null ? [this.#ended.note({ key, place })] : [])],
        mismatch: (streamName) => this.#mismatch(key, streamName),
      },
    };
    const store = (given: PrepareOptions): Promise<boolean> => this.#store(planned, given, { key, abort });
    // Most steps append nothing: then there is nothing to tell of but the step.
    const isAppend = planned.appends.length + planned.schedule.length > 0;
    const isStored = await (isAppend ? traced(this.#connection, planned.appends, asked, store) : store(asked));
    if (isStored && state === null) leftovers.ended = { key, place };
    return isStored;
  }

  async #store(planned: Planned, asked: PrepareOptions, { key, abort }: Pick<Step, 'key' | 'abort'>): Promise<boolean> {
    const request = prepare(this.#connection, planned.appends, asked);
    // One that ran out of time goes on beside the next attempt, and after the process has ended and is gone.
    if (abort.isAborted) abort.signal.throwIfAborted();
    const outcome = await this.#ended.unsettled(key, this.#connection.writer.append(this.#partition, request.append));
    if (outcome.kind === 'mark-conflict' && outcome.mark === 0) throw new ReactionFencedError(this.#name());
    // Another owner stored this step or a later one, somebody appended to a stream that was decided on, or a failover may have lost the step:
    // begin again from what there is.
    if (outcome.kind !== 'appended' && outcome.kind !== 'repeated') {
      if (LOOKED_AT_AGAIN.has(outcome.kind)) return false;
      await settle(this.#connection, request, outcome);
    }
    return true;
  }

  async #load(documentKey: string): Promise<Stored> {
    const [fields = []] = await readDocuments(this.#connection.port, [documentKey]);
    const document = decodeDocument<unknown>(this.#connection.codec, fields, documentKey);
    const place = placeOfDocument(document);
    return { state: document.state, place, fields: namesOf(fields) };
  }

  #write({ key, documentKey, place, stored }: Pick<Step, 'key' | 'documentKey' | 'place' | 'stored'>, state: unknown): DocumentWrite {
    const fields = state === null ? [ENDED, '1'] : encodeState(this.#connection.codec, state);
    const [bytes, bytesMax] = [sizeOf(fields), projectionLimits.documentBytes];
    if (bytes > bytesMax) throw new DocumentTooLargeError(this.#name(), key, { bytes, bytesMax });
    fields.push(...positionFields(place));
    return { key: documentKey, fields, removed: namesGone(stored.fields, namesOf(fields)) };
  }

  /** Each stream once, as a script takes them: what is appended as it is, and what deciders decide one after the other. */
  async #plan(parts: readonly KnownEffect[]): Promise<Planned> {
    const appends = new Map<string, StreamAppend & { readonly events: AnyEvent[] }>();
    const decided = new Map<string, Decided>();
    for (const part of parts) {
      if (part.kind === 'append') this.#planAppend(appends, decided, part.append);
      else if (part.kind === 'execute') await this.#planCommand(appends, decided, part.command);
    }
    const schedule = parts.flatMap((part) => (part.kind === 'schedule' ? [part.schedule] : []));
    const commanded = [...decided].map(([stream, { version, lastPlace, events }]) => ({ stream, events, expectedVersion: version, lastPlace }));
    const guards = commanded.filter(({ events }) => events.length === 0);
    return { appends: [...appends.values(), ...commanded.filter(({ events }) => events.length > 0)], guards, schedule };
  }

  #planAppend(
    appends: Map<string, StreamAppend & { readonly events: AnyEvent[] }>,
    decided: ReadonlyMap<string, Decided>,
    { stream, events }: StreamAppend,
  ): void {
    if (decided.has(stream)) throw bothWays(stream);
    const list = Array.isArray(events) ? (events as readonly AnyEvent[]) : [events as AnyEvent];
    const append = appends.get(stream) ?? { stream, events: [] };
    append.events.push(...list);
    appends.set(stream, append);
  }

  async #planCommand(appends: ReadonlyMap<string, unknown>, decided: Map<string, Decided>, { decider, id, command }: CommandEffect): Promise<void> {
    const streamName = decider.category.stream(id);
    if (appends.has(streamName)) throw bothWays(streamName);
    const stream = streamKeys(this.#connection, streamName);
    if (stream.partition !== this.#partition) throw this.#mismatch(id, streamName);
    const target = decided.get(streamName) ?? (await this.#decided(decider, stream));
    if (target.decider !== decider) throw bothWays(streamName);
    const events = decider.decide(command, target.folded.state);
    if (!Array.isArray(events)) throw new InvalidInputError('result of decide', 'an array of events', events);
    target.folded = {
      ...target.folded,
      state: events.reduce((state: unknown, event) => decider.evolve(state, event as AnyEvent), target.folded.state),
    };
    target.events.push(...(events as readonly AnyEvent[]));
    decided.set(streamName, target);
  }

  async #decided(decider: AnyDecider, stream: StreamKeys): Promise<Decided> {
    const folded = await loadState(this.#connection, decider, stream, undefined);
    return { decider, folded, version: folded.version, lastPlace: folded.place, events: [] };
  }

  #checkpointKey(): string {
    return this.#connection.keys.checkpoint(this.#partition, this.#manager.name, this.#manager.version);
  }

  #documentKey(key: string): string {
    const { keys } = this.#connection;
    const own = keys.partitionOf(key);
    if (keys.partitions > 1 && own !== this.#partition) throw this.#keyMismatch(key, own);
    return keys.snapshot(this.#partition, this.#manager.name, this.#manager.version, key);
  }

  #keyMismatch(key: string, partition: number): PartitionMismatchError {
    return new PartitionMismatchError(
      `The key ${show(key)} of process manager ${this.#name()} lies in partition ${partition}, and the event in ${this.#partition} of ${this.#connection.keys.partitions}: ` +
        'state and effects are stored by one script, which can only write to one. Nothing was written. ' +
        'Use as key the id of the streams whose events it takes, or a store with one partition; or a reactor, whose context appends to any partition.',
    );
  }

  #mismatch(key: string, streamName: string): PartitionMismatchError {
    return new PartitionMismatchError(
      `Process manager ${this.#name()} wants to write to ${show(streamName)}, which lies in another partition than its process ${show(key)}: ` +
        'state and effects are stored by one script, which can only write to one. Nothing was written. ' +
        'Give the streams that it writes the id of the process, use a store with one partition, or append from a reactor.',
    );
  }

  #name(): string {
    return `${this.#manager.name}@${this.#manager.version}`;
  }
}

/** The field that says that a process has ended. */
const ENDED = documentFields.deleted;

const LOOKED_AT_AGAIN: ReadonlySet<string> = new Set(['mark-conflict', 'conflict', 'guard-conflict', 'unconfirmed']);

function bothWays(streamName: string): InvalidInputError {
  return new InvalidInputError('effects on one stream', 'appends, or commands for one decider', streamName);
}
