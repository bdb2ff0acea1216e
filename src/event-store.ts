// EventStore: the façade over the log: append, read, subscribe, execute.
import type { AnyEvent, StreamName } from './event.ts';
import { Executor, type ExecuteOptions, type ExecuteResult } from './execute.ts';
import type { AnyCategory, EventOf } from './fold/category.ts';
import type { Decider } from './fold/decider.ts';
import {
  type AppendAllOptions,
  type AppendAllResult,
  type AppendOptions,
  type AppendResult,
  append,
  appendAll,
  type ExpectedVersion,
  type StreamAppend,
} from './log/append.ts';
import type { ScheduledAppend } from './log/prepare-schedule.ts';
import {
  cancelScheduled,
  type ReadScheduledOptions,
  readScheduled,
  schedule,
  type ScheduledEvents,
  type ScheduleOptions,
  type ScheduleResult,
} from './log/schedule.ts';
import { type ReadOptions, type ReadStreamOptions, readLog, readStream, type SubscribeOptions, subscribeLog } from './log/read.ts';
import type { EventReader } from './log/reader.ts';
import { connectionOf, shareConnection } from './redis/connection.ts';
import {
  type ClientOptions,
  type ClusterOptions,
  type ConnectTarget,
  openConnection,
  type SentinelOptions,
  type StoreOptions,
} from './redis/open.ts';
import { reading } from './redis/public-error.ts';

/** The parts of `appendAll`: each stream with events of its own category. */
export type StreamAppends<Events extends readonly AnyEvent[]> = {
  readonly [Index in keyof Events]: {
    readonly stream: StreamName<Events[Index]>;
    readonly events: NoInfer<Events[Index]> | readonly NoInfer<Events[Index]>[];
    /** Default 'any'. */
    readonly expectedVersion?: ExpectedVersion;
  };
};

/** What `appendAll` schedules along: for each stream events of its own category. */
export type ScheduledAppends<Events extends readonly AnyEvent[]> = {
  readonly [Index in keyof Events]: {
    readonly stream: StreamName<Events[Index]>;
    readonly events: NoInfer<Events[Index]> | readonly NoInfer<Events[Index]>[];
    /** Not before this time by the server's clock: a Date, or milliseconds since 1970. What is past already is delivered at once. */
    readonly deliverAt: Date | number;
  };
};

/**
 * An event store in Redis or Valkey: streams of events, one for each thing that events are about.
 *
 * What is appended is in the log of its partition in one total order, and stays: nothing here changes or removes an event.
 */
export class EventStore {
  readonly #close: () => Promise<void>;
  readonly #executor: Executor;

  private constructor(executor: Executor, close: () => Promise<void>) {
    this.#executor = executor;
    this.#close = close;
  }

  /**
   * Opens a store: by URL (`redis://`, `rediss://`), by some nodes of a cluster, by sentinels, or over a client of yours, which is never closed.
   * @throws ConnectionFailedError when the server cannot be reached in time, refuses the password or is still loading.
   * @throws UnsuitableServerError for a replica, an old server, or one whose maxmemory-policy evicts keys.
   * @throws StoreMismatchError when the store has another number of partitions or a newer layout.
   */
  static connect(url: string, options?: StoreOptions): Promise<EventStore>;
  static connect(options: ClientOptions | ClusterOptions | SentinelOptions): Promise<EventStore>;
  static async connect(target: ConnectTarget, options: StoreOptions = {}): Promise<EventStore> {
    const { connection, close } = await openConnection(target, options);
    const store = new EventStore(new Executor(connection), close);
    shareConnection(store, connection);
    return store;
  }

  /**
   * Appends one or several events to a stream, all or none of them.
   * @throws VersionConflictError when the stream, or a guarded one, is not at the expected version.
   * @throws InvalidInputError for an event, name, version or size that cannot be; PartitionMismatchError for a guard in another partition.
   * @throws IdempotencyKeyReusedError when the key came before with other events.
   * @throws OutcomeUnknownError when a reply was lost and the outcome cannot be found out any more.
   * @throws ServerRefusedError, ConnectionFailedError when nothing was written.
   */
  append<E extends AnyEvent>(stream: StreamName<E>, events: NoInfer<E> | readonly NoInfer<E>[], options: AppendOptions = {}): Promise<AppendResult> {
    const { expectedVersion = 'any' } = options;
    return append(this, { stream, events, expectedVersion }, options);
  }

  /**
   * Appends to several streams of one partition, all or nothing; streams with the same id always share one. With `schedule` it schedules
   * events too, if and only if it appends.
   * @throws as `append`.
   */
  async appendAll<const Events extends readonly AnyEvent[], const Later extends readonly AnyEvent[] = readonly []>(
    appends: StreamAppends<Events>,
    options: Omit<AppendAllOptions, 'schedule'> & { readonly schedule?: ScheduledAppends<Later> } = {},
  ): Promise<AppendAllResult> {
    const { schedule: later = [], ...rest } = options;
    return await appendAll(connectionOf(this), appends as readonly StreamAppend[], { ...rest, schedule: later as readonly ScheduledAppend[] });
  }

  /**
   * Appends events of a stream later: not before `deliverAt`, by a StreamProcessor that runs then, in one append, at most once, whatever
   * version the stream has by then. They are recorded when they are delivered.
   * @throws InvalidInputError for an event, name, time or size that cannot be.
   * @throws IdempotencyKeyReusedError when the key came before with other events.
   * @throws OutcomeUnknownError, ServerRefusedError, ConnectionFailedError as `append`.
   */
  async schedule<E extends AnyEvent>(
    stream: StreamName<E>,
    events: NoInfer<E> | readonly NoInfer<E>[],
    options: ScheduleOptions,
  ): Promise<ScheduleResult> {
    return await schedule(connectionOf(this), { stream, events }, options);
  }

  /**
   * Gives up what was scheduled; whether it was still there. Where it was not, it was delivered or cancelled before: never both.
   * @throws InvalidInputError for what is no id of this store; OutcomeUnknownError, ServerRefusedError, ConnectionFailedError as `append`.
   */
  async cancelScheduled(id: string): Promise<boolean> {
    return await cancelScheduled(connectionOf(this), id);
  }

  /**
   * What is scheduled, in the order of due time, in bounded pages. What is scheduled, cancelled or delivered meanwhile may show or not.
   * @throws CorruptScheduleError where something else wrote there.
   */
  readScheduled(options: ReadScheduledOptions = {}): AsyncGenerator<ScheduledEvents, void, undefined> {
    return readScheduled(connectionOf(this), options);
  }

  /** The events of one stream. */
  readStream<E extends AnyEvent>(stream: StreamName<E>, options: ReadStreamOptions = {}): EventReader<E> {
    return readStream(connectionOf(this), stream, options);
  }

  /** The events of all streams of a category, in the order of positions. */
  readCategory<C extends AnyCategory>(category: C, options: ReadOptions = {}): EventReader<EventOf<C>> {
    return readLog(connectionOf(this), [category.name], options);
  }

  /** The events of all categories, in the order of positions. Between partitions there is no order but about that of time. */
  readAll(options: ReadOptions = {}): EventReader<AnyEvent> {
    return readLog(connectionOf(this), undefined, options);
  }

  /**
   * Follows some categories, or all of them, without an end: first what is there, then what comes, each event once and in the order of
   * positions. Resolves once its starting point is fixed. It outlives lost connections.
   * The iteration throws LogLostError when the log is no longer the one that was read.
   */
  async subscribe<const C extends readonly AnyCategory[] = readonly AnyCategory[]>(
    options: SubscribeOptions & { readonly categories?: C } = {},
  ): Promise<EventReader<EventOf<C[number]>>> {
    const { categories, ...rest } = options;
    return await subscribeLog(
      connectionOf(this),
      categories?.map(({ name }) => name),
      rest,
    );
  }

  /**
   * Loads what a decider knows of a stream, lets it decide, and appends its events at that version; when another was faster, it decides
   * again from the events that it missed.
   * @throws whatever `decide` throws, untouched: the domain's own rejection.
   * @throws VersionConflictError for a guard that is not met, or after too many attempts; otherwise as `append`.
   */
  async execute<E extends AnyEvent, Command, State>(
    decider: Decider<E, Command, State>,
    id: string,
    command: NoInfer<Command>,
    options: ExecuteOptions = {},
  ): Promise<ExecuteResult<E, State>> {
    connectionOf(this);
    return await reading('execute the command', this.#executor.execute(decider, id, command, options));
  }

  /** Waits for appends under way, then ends the store's connections; a client of yours stays as it was. Reads under way end with StoreClosedError. */
  async close(): Promise<void> {
    await this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
