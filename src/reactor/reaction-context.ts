// What a handler gets beside its event: appends and commands that happen once for it, fenced off when another process takes over.
import { ReactionFencedError } from '../processing-errors.ts';
import type { AnyEvent, EventMetadata, RecordedEvent, StreamName } from '../event.ts';
import type { Executor } from '../execute.ts';
import { appendAll, type Once, type StreamAppend } from '../log/append.ts';
import { schedule } from '../log/schedule.ts';
import type { LogEvent } from '../log/entry.ts';
import type { Connection } from '../redis/connection.ts';
import { dropReactions, raiseFence } from '../redis/reaction-scripts.ts';
import type { LazyAbort } from './attempts.ts';
import { epochBeforeDrop } from './drop-reactor.ts';
import type { Reactor, ReactionContext } from './reactor.ts';
import { Unsettled } from './unsettled.ts';

/** What is kept for an event until it is done with, and is removed then. */
export interface Leftovers {
  /** For each partition, the fields that keep the results of what handlers appended. */
  readonly appended: Map<number, Set<string>>;
  /** The document of a process that ended with it. */
  ended: { readonly key: string; readonly place: number } | undefined;
}

/** An event on its way through a handler. */
export interface Handling {
  readonly logEvent: LogEvent;
  readonly key: string;
  readonly attempt: number;
  readonly abort: LazyAbort;
  readonly leftovers: Leftovers;
}

/** What keeps a handler that was overtaken from appending: a field of `reactions`, everywhere, that has to be as expected. */
export interface Fence {
  readonly field: string;
  readonly expected: string;
  /** What the handler is told as its `epoch`. */
  readonly epoch: number;
}

/** What is done for the events of a reactor in one partition. */
export interface ReactionHandler {
  handle(handling: Handling, epoch: string): Promise<unknown> | void;
  /** Removes what was kept for an event that is committed as done: it will not be handled again. */
  drop(leftovers: Leftovers): Promise<void>;
  /** From here on, no handler of an earlier epoch appends anything more. The highest epoch that counts: a later one, where the checkpoint's was lost. */
  raiseFence(epoch: string): Promise<number>;
  /** Removes what is left of events that the reactor has passed and which are done with: a process died between their end and the removal. */
  sweep(isPassed: (place: number) => boolean): Promise<void>;
}

/** Makes the contexts of a reactor's handlers in one partition, and removes what they leave once an event is done with. */
export class Reactions implements ReactionHandler {
  readonly #connection: Connection;
  readonly #reactor: Reactor;
  readonly #partition: number;
  /** Appends of this lease, by the place of their event: those of an earlier one are fenced off. */
  #unsettled = new Unsettled<number>();

  readonly #shared: Shared;

  constructor(connection: Connection, executor: Executor, reactor: Reactor, partition: number) {
    this.#shared = {
      connection,
      executor,
      name: `${reactor.name}@${reactor.version}`,
      once: (field, fence, leftovers) => this.#once(field, fence, leftovers),
    };
    this.#connection = connection;
    this.#reactor = reactor;
    this.#partition = partition;
  }

  handle(handling: Handling, epoch: string): Promise<unknown> | void {
    return this.handleBehind({ field: 'epoch', expected: epoch, epoch: Number(epoch) }, handling);
  }

  handleBehind(fence: Fence, handling: Handling): Promise<unknown> | void {
    const { telemetry } = this.#connection;
    const { event } = handling.logEvent;
    if (!telemetry) return this.#reactor.handle(event, this.#context(handling, fence));
    const { name, version } = this.#reactor;
    const of = { reactor: name, version, partition: this.#partition, attempt: handling.attempt, event };
    return telemetry.react(of, () => this.#reactor.handle(event, this.#context(handling, fence)));
  }

  async raiseFence(epoch: string): Promise<number> {
    const before = await epochBeforeDrop(this.#connection, this.#reactor, this.#partition);
    if (before > Number(epoch)) return before;
    const epochs = await Promise.all(this.#everywhere().map((key) => raiseFence(this.#connection.port, key, epoch)));
    this.#unsettled = new Unsettled<number>();
    return Math.max(...epochs);
  }

  async sweep(isPassed: (place: number) => boolean): Promise<void> {
    for (const reactionsKey of this.#everywhere()) {
      let cursor = '0';
      do {
        const [next, found] = (await this.#connection.port.send(reactionsKey, ['HSCAN', reactionsKey, cursor, 'COUNT', '1000'])) as [
          string,
          string[],
        ];
        const fields = found.filter(
          (field, at) => at % 2 === 0 && field !== 'epoch' && isPassed(placeOf(field)) && !this.#unsettled.has(placeOf(field)),
        );
        await dropReactions(this.#connection.port, reactionsKey, await this.#doneWith(fields));
        cursor = next;
      } while (cursor !== '0');
    }
  }

  /** Those of events that are no dead letters, and wait behind none. */
  async #doneWith(fields: readonly string[]): Promise<readonly string[]> {
    const { keys, port } = this.#connection;
    const { name, version } = this.#reactor;
    const [blockedKey, deadKey] = [keys.blocked(this.#partition, name, version), keys.dead(this.#partition, name, version)];
    const open = await Promise.all(
      fields.map(async (field) => {
        const [place = '', , ...key] = field.split(':');
        const [score, blocked] = await Promise.all([
          port.send(deadKey, ['ZSCORE', deadKey, place]),
          port.send(blockedKey, ['HEXISTS', blockedKey, key.join(':')]),
        ]);
        return score !== null || blocked === 1;
      }),
    );
    return fields.filter((_, index) => !open[index]);
  }

  #context(handling: Handling, fence: Fence): ReactionContext {
    return new Context(this.#shared, handling, fence, this.#unsettled);
  }

  /** An attempt that ran out of time may have an append on its way, which is made once only as long as the result of the other one is there. */
  /** Whether something that was appended for the event may be carried out only later: calls back when it cannot any more, if ever. */
  isUnsettled(place: number, whenSettled: () => void): boolean {
    if (!this.#unsettled.has(place)) return false;
    this.#unsettled.whenSettled(place, whenSettled);
    return true;
  }

  async drop({ appended }: Leftovers): Promise<void> {
    const [[field = ''] = []] = appended.values();
    const remove = async (): Promise<void> => {
      const { port } = this.#connection;
      await Promise.all([...appended].map(([target, fields]) => dropReactions(port, this.#keyIn(target), [...fields])));
    };
    if (!this.#unsettled.has(placeOf(field))) return await remove();
    this.#unsettled.whenSettled(placeOf(field), () => void remove().catch(() => undefined)); // what stays is swept by the next owner
  }

  #once(field: string, fence: Fence, { appended }: Leftovers): Once {
    const { name, version } = this.#reactor;
    return {
      result: (target) => {
        const fields = appended.get(target) ?? new Set();
        appended.set(target, fields.add(field));
        return { key: this.#keyIn(target), field };
      },
      marks: (target) => [{ key: this.#keyIn(target), field: fence.field, expected: fence.expected, new: '' }],
      fenced: () => new ReactionFencedError(`${name}@${version}`),
    };
  }

  #everywhere(): string[] {
    return Array.from({ length: this.#connection.keys.partitions }, (_, target) => this.#keyIn(target));
  }

  #keyIn(target: number): string {
    const { name, version } = this.#reactor;
    return this.#connection.keys.reactions(target, name, version, this.#partition);
  }
}

/** What the contexts of a reactor have in common. */
interface Shared {
  readonly connection: Connection;
  readonly executor: Executor;
  readonly name: string;
  readonly once: (field: string, fence: Fence, leftovers: Leftovers) => Once;
}

/** Made for each attempt, and few handlers use all of it: so what it consists of is made when it is asked for. */
class Context implements ReactionContext {
  readonly attempt: number;
  readonly epoch: number;
  readonly #shared: Shared;
  readonly #handling: Handling;
  readonly #fence: Fence;
  readonly #unsettled: Unsettled<number>;
  #calls = 0;

  constructor(shared: Shared, handling: Handling, fence: Fence, unsettled: Unsettled<number>) {
    this.attempt = handling.attempt;
    this.epoch = fence.epoch;
    this.#shared = shared;
    this.#handling = handling;
    this.#fence = fence;
    this.#unsettled = unsettled;
  }

  get signal(): AbortSignal {
    return this.#handling.abort.signal;
  }

  get idempotencyKey(): string {
    const { connection, name } = this.#shared;
    return `${connection.storeId}/${name}/${this.#handling.logEvent.event.position}`;
  }

  get append(): ReactionContext['append'] {
    return async <E extends AnyEvent>(stream: StreamName<E>, events: E | readonly E[], options: object = {}) => {
      const given = options as { readonly metadata?: EventMetadata; readonly expectedVersion?: StreamAppend['expectedVersion'] };
      const part: StreamAppend = { stream, events, ...(given.expectedVersion !== undefined && { expectedVersion: given.expectedVersion }) };
      const { streamVersions, ...result } = await this.#counted(appendAll(this.#shared.connection, [part], this.#completed(given)));
      return { streamVersion: streamVersions[0] ?? 0, ...result };
    };
  }

  get execute(): ReactionContext['execute'] {
    return (decider, id, command, options = {}) => this.#counted(this.#shared.executor.execute(decider, id, command, this.#completed(options)));
  }

  get schedule(): ReactionContext['schedule'] {
    return (stream, events, options) => this.#counted(schedule(this.#shared.connection, { stream, events }, this.#completed(options)));
  }

  #completed<T extends { readonly metadata?: EventMetadata }>(options: T): T & { readonly metadata: EventMetadata; readonly once: Once } {
    return { ...options, metadata: { ...causedBy(this.#handling.logEvent.event), ...options.metadata }, once: this.#once() };
  }

  #counted<T>(appending: Promise<T>): Promise<T> {
    return this.#unsettled.count(this.#handling.logEvent.place, appending);
  }

  #once(): Once {
    const { abort, logEvent, key, leftovers } = this.#handling;
    // An attempt that ran out of time may go on beside the next one, and after the event is done with, when no result is kept any more.
    if (abort.isAborted) abort.signal.throwIfAborted();
    this.#calls += 1;
    return this.#shared.once(`${logEvent.place}:${this.#calls}:${key}`, this.#fence, leftovers);
  }
}

/** Of a field that keeps a result. */
function placeOf(field: string): number {
  return Number.parseInt(field, 10);
}

/** The conversation goes on, and the event is the cause. */
export function causedBy({ id, metadata }: RecordedEvent): { readonly correlationId: string; readonly causationId: string } {
  return { correlationId: metadata.correlationId ?? id, causationId: id };
}
