// What a handler gets beside its event: appends and commands that happen once for it, fenced off when another process takes over.
import { ReactionFencedError } from '../processing-errors.ts';
import type { AnyEvent, RecordedEvent, StreamName } from '../event.ts';
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
  readonly #executor: Executor;
  readonly #reactor: Reactor;
  readonly #partition: number;
  /** Appends of this lease, by the place of their event: those of an earlier one are fenced off. */
  #unsettled = new Unsettled<number>();

  constructor(connection: Connection, executor: Executor, reactor: Reactor, partition: number) {
    this.#connection = connection;
    this.#executor = executor;
    this.#reactor = reactor;
    this.#partition = partition;
  }

  handle(handling: Handling, epoch: string): Promise<unknown> | void {
    return this.handleBehind({ field: 'epoch', expected: epoch, epoch: Number(epoch) }, handling);
  }

  handleBehind(fence: Fence, handling: Handling): Promise<unknown> | void {
    return this.#reactor.handle(handling.logEvent.event, this.#context(handling, fence));
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

  #context({ logEvent, key, attempt, abort, leftovers }: Handling, fence: Fence): ReactionContext {
    const { event } = logEvent;
    const { name, version } = this.#reactor;
    const metadata = causedBy(event);
    const unsettled = this.#unsettled;
    const counted = <T>(appending: Promise<T>): Promise<T> => unsettled.count(logEvent.place, appending);
    let calls = 0;
    const once = (): Once => {
      // An attempt that ran out of time may go on beside the next one, and after the event is done with, when no result is kept any more.
      if (abort.isAborted) abort.signal.throwIfAborted();
      calls += 1;
      return this.#once(`${logEvent.place}:${calls}:${key}`, fence, leftovers);
    };
    return {
      get signal() {
        return abort.signal;
      },
      attempt,
      idempotencyKey: `${this.#connection.storeId}/${name}@${version}/${event.position}`,
      epoch: fence.epoch,
      append: async <E extends AnyEvent>(stream: StreamName<E>, events: E | readonly E[], options: object = {}) => {
        const given = options as { readonly metadata?: object; readonly expectedVersion?: StreamAppend['expectedVersion'] };
        const part: StreamAppend = { stream, events, ...(given.expectedVersion !== undefined && { expectedVersion: given.expectedVersion }) };
        const all = { ...given, metadata: { ...metadata, ...given.metadata }, once: once() };
        const { streamVersions, ...result } = await counted(appendAll(this.#connection, [part], all));
        return { streamVersion: streamVersions[0] ?? 0, ...result };
      },
      execute: (decider, id, command, options = {}) =>
        counted(this.#executor.execute(decider, id, command, { ...options, metadata: { ...metadata, ...options.metadata }, once: once() })),
      schedule: (stream, events, options) =>
        counted(schedule(this.#connection, { stream, events }, { ...options, metadata: { ...metadata, ...options.metadata }, once: once() })),
    };
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

/** Of a field that keeps a result. */
function placeOf(field: string): number {
  return Number.parseInt(field, 10);
}

/** The conversation goes on, and the event is the cause. */
export function causedBy({ id, metadata }: RecordedEvent): { readonly correlationId: string; readonly causationId: string } {
  return { correlationId: metadata.correlationId ?? id, causationId: id };
}
