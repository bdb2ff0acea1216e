// Executes a command: loads a decider's state, decides, appends, and decides again from what was missed when another was faster.
import { LRUCache } from 'lru-cache';
import { saidOf } from './codec.ts';
import { IdempotencyKeyReusedError, InvalidInputError, VersionConflictError } from './errors.ts';
import type { AnyEvent, RecordedEvent } from './event.ts';
import type { Decider } from './fold/decider.ts';
import { type AppendAllOptions, DIGEST_OF_ONCE, digestOfText, type Once, prepare, traced } from './log/append.ts';
import { confirmFirst, settle } from './log/append-outcome.ts';
import { decodeAll, type StreamKeys, streamKeys } from './log/fold-stream.ts';
import { type Position, positionOf, splitPosition } from './position.ts';
import { repeatedOutcome } from './redis/batch.ts';
import type { Connection } from './redis/connection.ts';
import { readStreams, type ResultAt } from './redis/scripts.ts';
import type { Witness } from './redis/writer.ts';
import { type FoldedState, foldEvents, type LoadedState, loadState, maybeStoreState } from './snapshot/decider-state.ts';
import { type Token, tokenOf } from './token.ts';

/** Options of `execute`. */
export interface ExecuteOptions extends Omit<AppendAllOptions, 'schedule'> {
  /** How often it decides, at most, while others append to the same stream. Then the last conflict is thrown. Default 100. */
  readonly attempts?: number;
}

/** What whoever executes inside the library may ask for beside that. */
export interface ExecuteOnceOptions extends ExecuteOptions {
  readonly once?: Once;
}

/** What a command came to. */
export interface ExecuteResult<E extends AnyEvent, State> {
  /** What was decided; nothing, where nothing was to be done. */
  readonly events: readonly E[];
  /** The state after it. */
  readonly state: State;
  readonly streamVersion: number;
  /** Where the last event stands; undefined where the stream has none. */
  readonly position: Position | undefined;
  /** For a read that has to see it: `atLeast`. */
  readonly token: Token;
  /** Whether this is the first result of a command that came again. */
  readonly isRepeated: boolean;
}

const ATTEMPTS = 100;

/** Executes commands on one store, and remembers the states that deciders ask to be remembered. */
export class Executor {
  readonly #connection: Connection;
  readonly #caches: WeakMap<object, LRUCache<string, Remembered<unknown>>> = new WeakMap();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async execute<E extends AnyEvent, Command, State>(
    decider: Decider<E, Command, State>,
    id: string,
    command: Command,
    options: ExecuteOnceOptions,
  ): Promise<ExecuteResult<E, State>> {
    const execution = new Execution(this.#connection, decider, decider.category.stream(id), options);
    const cache = this.#cacheOf(decider);
    const { streamName } = execution.stream;
    const isAskedOnce = options.idempotencyKey !== undefined || options.once !== undefined;
    const cached = isAskedOnce ? undefined : (cache?.get(streamName) as Remembered<State> | undefined);
    cache?.delete(streamName); // what fails half-way leaves nothing behind
    // Another connection may lead to a server that lacks what was folded.
    const { result, folded } = await execution.run(command, cached?.epoch === execution.epoch ? cached.folded : undefined);
    cache?.set(streamName, { folded, epoch: execution.epoch });
    return result;
  }

  #cacheOf(decider: { readonly cachedStates?: number }): LRUCache<string, Remembered<unknown>> | undefined {
    const max = decider.cachedStates ?? 0;
    if (max <= 0) return undefined;
    let cache = this.#caches.get(decider);
    if (!cache) {
      cache = new LRUCache({ max });
      this.#caches.set(decider, cache);
    }
    return cache;
  }
}

/** A state in this process's memory, and the connections so far when it was read. */
interface Remembered<State> {
  readonly folded: FoldedState<State>;
  readonly epoch: number;
}

/** What one execution came to, for the caller and for the cache. */
interface Executed<E extends AnyEvent, State> {
  readonly result: ExecuteResult<E, State>;
  readonly folded: FoldedState<State>;
}

/** One command on one stream. */
class Execution<E extends AnyEvent, Command, State> {
  readonly stream: StreamKeys;
  /** The connections so far when the state was read: as long as it is the same number, all is of one server. */
  epoch: number;
  readonly #connection: Connection;
  readonly #decider: Decider<E, Command, State>;
  readonly #options: ExecuteOnceOptions;

  constructor(connection: Connection, decider: Decider<E, Command, State>, streamName: string, options: ExecuteOnceOptions) {
    this.#connection = connection;
    this.#decider = decider;
    this.#options = options;
    const { attempts = ATTEMPTS } = options;
    if (!Number.isSafeInteger(attempts) || attempts < 1) throw new InvalidInputError('option attempts', 'a whole number from 1', attempts);
    this.stream = streamKeys(connection, streamName);
    this.epoch = connection.port.epoch;
  }

  async run(command: Command, cached: FoldedState<State> | undefined): Promise<Executed<E, State>> {
    let loaded: LoadedState<State> = cached ? { ...cached, result: undefined } : await this.#load();
    let isFresh = cached === undefined;
    for (let attempt = 1; ; attempt += 1) {
      if (loaded.result !== undefined) return await this.#repeatedByKey(command, loaded, loaded.result);
      const { events, rejection } = this.#decide(command, loaded.state);
      const hasWork = events !== undefined && (events.length > 0 || this.#asksForMore());
      if (!hasWork && !isFresh) {
        // A remembered state may be behind: what it rejects, or has nothing to do for, is decided on a fresh one.
        loaded = await this.#load();
        isFresh = true;
        continue;
      }
      if (events === undefined) return await this.#rejected(command, rejection);
      if (!hasWork) return { result: this.#resultOf(loaded, []), folded: loaded };
      try {
        return await this.#append(command, loaded, events);
      } catch (error) {
        if (!isWorthDecidingAgain(error) || attempt >= (this.#options.attempts ?? ATTEMPTS)) throw error;
        loaded = await this.#catchUp(loaded, error);
        isFresh = true;
      }
    }
  }

  /** Throws the rejection, unless this very command was accepted before: then what it rejects is its own effect. */
  async #rejected(command: Command, rejection: unknown): Promise<Executed<E, State>> {
    const again = this.#resultAt() === undefined ? undefined : await this.#load();
    if (again?.result === undefined) throw rejection;
    return await this.#repeatedByKey(command, again, again.result);
  }

  /** An empty decision goes to Redis too, where guards are to be checked, or it is to be the answer to a repeat. */
  #asksForMore(): boolean {
    const { guards = [] } = this.#options;
    return guards.length > 0 || this.#resultAt() !== undefined;
  }

  #decide(
    command: Command,
    state: State,
  ): { readonly events: readonly E[]; readonly rejection?: never } | { readonly events?: never; readonly rejection: unknown } {
    let events: readonly E[];
    try {
      events = this.#decider.decide(command, state);
    } catch (rejection) {
      return { rejection };
    }
    // A promise, or one event that is in no array, has no length, and would pass for nothing to do.
    if (!Array.isArray(events)) throw new InvalidInputError('result of decide', 'an array of events', events);
    return { events };
  }

  #load(): Promise<LoadedState<State>> {
    this.epoch = this.#connection.port.epoch;
    return loadState(this.#connection, this.#decider, this.stream, this.#resultAt());
  }

  /** Where the first result of this very command would be kept; undefined where a command that comes again is another one. */
  #resultAt(): ResultAt | undefined {
    const { idempotencyKey, once } = this.#options;
    const { partition } = this.stream;
    return once?.result(partition) ?? (idempotencyKey === undefined ? undefined : { key: this.#connection.keys.result(partition, idempotencyKey) });
  }

  /** From the events that came with the conflict, where they are all of them, and come from where the state does. */
  async #catchUp(loaded: FoldedState<State>, conflict: VersionConflictError): Promise<LoadedState<State>> {
    const isWhole = conflict.missedEvents.length > 0 && loaded.version + conflict.missedEvents.length === conflict.actualVersion;
    if (!isWhole || this.epoch !== this.#connection.port.epoch) return await this.#load();
    const events = conflict.missedEvents as readonly RecordedEvent[];
    const missed = events.map((event) => ({ event, category: this.stream.category, place: splitPosition(event.position).packed }));
    return { ...foldEvents(this.#decider, loaded, missed), result: undefined };
  }

  async #append(command: Command, loaded: FoldedState<State>, events: readonly E[]): Promise<Executed<E, State>> {
    // Folded before anything is written: events that evolve cannot take are not appended.
    const state = events.reduce((before, event) => this.#decider.evolve(before, event), loaded.state);
    const parts = [{ stream: this.stream.streamName, events, expectedVersion: loaded.version }];
    const asked = {
      ...this.#options,
      mayBeEmpty: true,
      lastPlace: loaded.place,
      ...(this.#options.idempotencyKey !== undefined && { digest: this.#digestOf(command) }),
    };
    const appended = await traced(this.#connection, parts, asked, async (given) => {
      const request = prepare(this.#connection, parts, given);
      return await settle(this.#connection, request, await this.#connection.writer.append(request.partition, request.append));
    });
    if (appended.isRepeated) return await this.#repeated(await this.#load(), { version: appended.streamVersions[0] ?? 0, count: events.length });
    const place = events.length === 0 ? loaded.place : splitPosition(appended.position).packed;
    const folded: FoldedState<State> = { state, version: appended.streamVersions[0] ?? 0, place, storedVersion: loaded.storedVersion };
    // It is appended: a state that cannot be stored now is stored with a later one.
    const storedVersion = await maybeStoreState(this.#connection, this.#decider, this.stream, folded).catch(() => loaded.storedVersion);
    return { result: this.#resultOf(folded, events), folded: { ...folded, storedVersion } };
  }

  /** The first result of a command that came before, with the events that it had. Throws IdempotencyKeyReusedError where it was another one. */
  async #repeatedByKey(command: Command, loaded: FoldedState<State>, stored: string): Promise<Executed<E, State>> {
    const space = stored.indexOf(' ');
    if (stored.slice(0, space) !== this.#digestOf(command)) throw new IdempotencyKeyReusedError(this.#options.idempotencyKey ?? '');
    const { versions, events } = repeatedOutcome(stored.slice(space + 1));
    const repeated = await this.#repeated(loaded, { version: versions[0] ?? 0, count: events });
    await this.#confirmStored(repeated.result, stored);
    return repeated;
  }

  /** The stored result was read past the writer, and whoever wrote it may not have seen it confirmed. */
  async #confirmStored({ streamVersion, position }: ExecuteResult<E, State>, stored: string): Promise<void> {
    const { key, field } = this.#resultAt() as ResultAt;
    const args: Witness['args'] = field === undefined ? ['GET', key] : ['HGET', key, field];
    const result = { streamVersions: [streamVersion], position: position ?? '', isRepeated: true };
    await confirmFirst(this.#connection, this.stream.partition, result, { args, reply: stored });
  }

  async #repeated(loaded: FoldedState<State>, first: { readonly version: number; readonly count: number }): Promise<Executed<E, State>> {
    const start = first.version - first.count;
    const [part] = first.count === 0 ? [] : await readStreams(this.#connection.port, [{ ...this.stream, start, stop: first.version - 1 }]);
    const events = decodeAll(this.#connection, this.stream, part?.entries ?? []);
    const place = events.at(-1)?.place ?? loaded.place;
    const result = this.#resultOf({ state: loaded.state, version: first.version, place }, events.map(({ event }): AnyEvent => event) as E[]);
    return { result: { ...result, isRepeated: true }, folded: loaded };
  }

  #resultOf({ state, version, place }: Pick<FoldedState<State>, 'state' | 'version' | 'place'>, events: readonly E[]): ExecuteResult<E, State> {
    const { partition } = this.stream;
    const position = place < 0 ? undefined : positionOf(partition, place);
    return {
      events,
      state,
      streamVersion: version,
      position,
      token: tokenOf(this.#connection.storeId, new Map([[partition, place]])),
      isRepeated: false,
    };
  }

  #digestOf(command: Command): string {
    if (this.#options.once) return DIGEST_OF_ONCE;
    return digestOfText(JSON.stringify([this.stream.streamName, encodeCommand(this.#connection, command)]));
  }
}

function isWorthDecidingAgain(error: unknown): error is VersionConflictError {
  return error instanceof VersionConflictError && !error.isGuard;
}

/** Only a command that has an idempotency key is encoded, to recognise it when it comes again. */
function encodeCommand({ codec }: Connection, command: unknown): string {
  try {
    return codec.encode(command);
  } catch (error) {
    throw saidOf('command (one with an idempotencyKey is encoded)', error);
  }
}
