// A reactor: a handler with side effects, called for each event at least once, and what it gets beside the event.
import { type AnyEvent, assertName, type RecordedEvent, type StreamName } from '../event.ts';
import { InvalidInputError } from '../errors.ts';
import type { ExecuteOptions, ExecuteResult } from '../execute.ts';
import type { AnyCategory, EventOf } from '../fold/category.ts';
import type { Decider } from '../fold/decider.ts';
import { frozen } from '../fold/frozen.ts';
import type { AppendOptions, AppendResult } from '../log/append.ts';
import type { ScheduleOptions, ScheduleResult } from '../log/schedule.ts';
import type { Position } from '../position.ts';
import type { Cursor } from '../token.ts';

/** How often an event is tried, and how long is waited in between. */
export interface RetryOptions {
  /** How often in all before the event becomes a dead letter. Default 5. */
  readonly attempts?: number;
  /** The wait before the second attempt, in milliseconds; it doubles with each, and is between half and all of that by chance. Default 100. */
  readonly minDelayMs?: number;
  /** Default 30,000. */
  readonly maxDelayMs?: number;
}

/** Where a reactor that has no checkpoint yet begins: at the first event, at those that come from now on, at a cursor, a position (with one partition), or a time. */
export type StartFrom = 'start' | 'now' | Cursor | Position | Date;

/**
 * What a handler gets beside the event. `append`, `execute` and `schedule` hand on correlation and causation ids, and happen once for each event,
 * however often it is handled: the n-th call of an attempt is taken for the n-th call of the one before, and gets its result. So a handler
 * makes them in the same order each time.
 */
export interface ReactionContext {
  // Functions, and no methods: a handler may take the context apart.
  /** Aborted when the attempt takes too long, when the processor stops, or when another process took over: the reason says which. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt. It counts from 1 again after a process died, and when a dead letter is tried again. */
  readonly attempt: number;
  /** The same for each attempt at this event by this reactor, and for nothing else: for whoever the handler calls. */
  readonly idempotencyKey: string;
  /** Rises with each process that takes over the partition, and after a lost connection: who stores it can refuse an older one (a fencing token). */
  readonly epoch: number;
  /** Appends to one stream, as `EventStore.append`. Throws ReactionFencedError where another process took over. */
  readonly append: <E extends AnyEvent>(
    stream: StreamName<E>,
    events: NoInfer<E> | readonly NoInfer<E>[],
    options?: ReactionAppendOptions,
  ) => Promise<AppendResult>;
  /** Executes a command, as `EventStore.execute`. Throws ReactionFencedError where another process took over. */
  readonly execute: <E extends AnyEvent, Command, State>(
    decider: Decider<E, Command, State>,
    id: string,
    command: NoInfer<Command>,
    options?: ReactionExecuteOptions,
  ) => Promise<ExecuteResult<E, State>>;
  /** Schedules events, as `EventStore.schedule`. Throws ReactionFencedError where another process took over. */
  readonly schedule: <E extends AnyEvent>(
    stream: StreamName<E>,
    events: NoInfer<E> | readonly NoInfer<E>[],
    options: ReactionScheduleOptions,
  ) => Promise<ScheduleResult>;
}

/** Options of a reaction's appends: the idempotency key is the event's. */
export type ReactionAppendOptions = Omit<AppendOptions, 'idempotencyKey' | 'idempotencyTtlMs'>;

/** Options of a reaction's commands: the idempotency key is the event's. */
export type ReactionExecuteOptions = Omit<ExecuteOptions, 'idempotencyKey' | 'idempotencyTtlMs'>;

/** Options of a reaction's schedules: the idempotency key is the event's. */
export type ReactionScheduleOptions = Omit<ScheduleOptions, 'idempotencyKey' | 'idempotencyTtlMs'>;

/** The event of a handler: those of the categories, or of the types among them that were named. */
export type ReactedEvent<C extends readonly AnyCategory[], Type extends string> = RecordedEvent<Extract<EventOf<C[number]>, { readonly type: Type }>>;

/** What `reactor` takes. */
export interface ReactorDefinition<C extends readonly AnyCategory[], Type extends string> {
  /** The name of its checkpoint in Redis. */
  readonly name: string;
  /** Each version has a checkpoint and dead letters of its own: raising it begins again at `startFrom`. Default 1. */
  readonly version?: number;
  readonly categories: C;
  /** The types of events that it handles; the others are passed over. Default: all. */
  readonly types?: readonly Type[];
  /**
   * - 'stream' (the default): events of one key are handled one after the other in their order, those of different keys at the same time.
   *   After a dead letter the later events of its key wait until it is retried, or discarded.
   * - 'none': any worker of any process takes any event, over consumer groups.
   */
  readonly order?: 'stream' | 'none';
  /** What keeps its order, within a partition. Default: the stream's id. Pure. */
  readonly key?: (event: ReactedEvent<C, Type>) => string;
  /** How many events a process handles at the same time in one partition. Default 16. */
  readonly concurrency?: number;
  readonly retry?: RetryOptions;
  /** How long one attempt may take, in milliseconds; then its signal is aborted and it counts as failed. Default 30,000. */
  readonly timeoutMs?: number;
  /** Default 'start'. Counts only where there is no checkpoint yet. */
  readonly startFrom?: StartFrom;
  /** Resolves when the event is done with. At least once for each event: a process may die between that and the checkpoint. */
  readonly handle: (event: ReactedEvent<C, Type>, context: ReactionContext) => Promise<unknown> | void;
}

/** A reactor, as `reactor` makes it: run by a StreamProcessor. */
export interface Reactor {
  readonly name: string;
  readonly version: number;
  readonly categories: readonly string[];
  readonly types: ReadonlySet<string> | undefined;
  readonly order: 'stream' | 'none';
  readonly concurrency: number;
  readonly retry: Required<RetryOptions>;
  readonly timeoutMs: number;
  readonly startFrom: StartFrom;
  // Written as methods, whose parameters vary both ways: a processor runs reactors to any events side by side.
  key(event: RecordedEvent): string;
  handle(event: RecordedEvent, context: ReactionContext): Promise<unknown> | void;
}

/** What is kept of a reactor in Redis hangs on this alone: it can be set back and dropped without its code. */
export interface KeptReactor extends Pick<Reactor, 'name' | 'version' | 'categories' | 'order'> {
  /** Whether it is a process manager, which has states of its own. */
  readonly hasStates: boolean;
}

const CONCURRENCY = 16;
const CONCURRENCY_MAX = 10_000;
const TIMEOUT_MS = 30_000;
const RETRY: Required<RetryOptions> = { attempts: 5, minDelayMs: 100, maxDelayMs: 30_000 };
const KEY_BYTES_MAX = 1_024;

/** The longest wait that a timer can hold. */
const DELAY_MS_MAX = 2_147_483_647;

/**
 * Defines a reactor. The events of `handle` are inferred from `categories` and `types`.
 * @throws InvalidInputError for a name, version, list or number that cannot be one.
 */
export function reactor<const C extends readonly AnyCategory[], Type extends EventOf<C[number]>['type'] = EventOf<C[number]>['type']>(
  definition: ReactorDefinition<C, Type>,
): Reactor {
  const {
    name,
    version = 1,
    categories,
    types,
    order = 'stream',
    key,
    concurrency = CONCURRENCY,
    timeoutMs = TIMEOUT_MS,
    startFrom = 'start',
  } = definition;
  const retry = { ...RETRY, ...definition.retry };
  assertName('reactor name', name, ':@');
  assertWhole('reactor version', version, 1, Number.MAX_SAFE_INTEGER);
  if (categories.length === 0 || !categories.every((each) => typeof each === 'object' && typeof each.name === 'string'))
    throw new InvalidInputError('categories of a reactor', 'one or several categories, as category() makes them', categories);
  if (types?.length === 0) throw new InvalidInputError('types of a reactor', 'at least one, or none given for all of them', types);
  if (order !== 'stream' && order !== 'none') throw new InvalidInputError('order', "'stream' or 'none'", order);
  if (order === 'none' && key !== undefined)
    throw new InvalidInputError('key of a reactor', "none with order 'none', where nothing keeps an order", key);
  assertWhole('concurrency', concurrency, 1, CONCURRENCY_MAX);
  assertWhole('timeoutMs', timeoutMs, 1, DELAY_MS_MAX);
  assertWhole('retry.attempts', retry.attempts, 1, Number.MAX_SAFE_INTEGER);
  assertWhole('retry.minDelayMs', retry.minDelayMs, 0, DELAY_MS_MAX);
  assertWhole('retry.maxDelayMs', retry.maxDelayMs, retry.minDelayMs, DELAY_MS_MAX);
  assertStartFrom(startFrom);
  const handle = definition.handle as Reactor['handle'];
  return Object.freeze({
    name,
    version,
    categories: [...new Set(categories.map((each) => each.name))].sort(),
    types: types && new Set<string>(types),
    order,
    concurrency,
    retry,
    timeoutMs,
    startFrom,
    key: key === undefined ? idOfStream : keyOf(key as (event: RecordedEvent) => string),
    handle: (event: RecordedEvent, context: ReactionContext) => handle(frozen(event), context),
  });
}

function assertWhole(what: string, value: unknown, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || Number(value) < least || Number(value) > most)
    throw new InvalidInputError(what, `a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`, value);
}

function assertStartFrom(from: unknown): void {
  const isTime = from instanceof Date && !Number.isNaN(from.getTime());
  if (!isTime && typeof from !== 'string')
    throw new InvalidInputError('startFrom', "'start', 'now', a cursor, a Date, or with one partition a position", from);
}

function idOfStream({ streamName }: RecordedEvent): string {
  return streamName.slice(streamName.indexOf(':') + 1);
}

function keyOf(key: (event: RecordedEvent) => string): (event: RecordedEvent) => string {
  return (event) => {
    const given = key(event);
    const isKey = typeof given === 'string' && given !== '' && given.isWellFormed() && Buffer.byteLength(given) <= KEY_BYTES_MAX;
    if (!isKey) throw new InvalidInputError('key of an event', `a well-formed text of 1 to ${KEY_BYTES_MAX} bytes`, given);
    return given;
  };
}
