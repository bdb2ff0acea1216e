// A process manager: a reactor with a fold, which decides on what it knows of several events what is to be done.
import { type AnyEvent, splitStreamName, type StreamName } from '../event.ts';
import { InvalidInputError } from '../errors.ts';
import type { AnyCategory } from '../fold/category.ts';
import type { Decider } from '../fold/decider.ts';
import { assertDocumentKey } from '../fold/projection.ts';
import type { StreamAppend } from '../log/append.ts';
import type { ScheduledAppend } from '../log/prepare-schedule.ts';
import { type ReactedEvent, type Reactor, type ReactorDefinition, reactor } from './reactor.ts';

declare const isEffect: unique symbol;

/** What a process manager wants done, made by `Effects`. */
export interface Effect {
  readonly [isEffect]?: true;
}

/** Any decider, for whoever carries out commands of many; as methods, whose parameters vary both ways. */
export interface AnyDecider extends Omit<Decider<AnyEvent, unknown, unknown>, 'evolve' | 'decide'> {
  evolve(state: unknown, event: AnyEvent): unknown;
  decide(command: unknown, state: unknown): readonly AnyEvent[];
}

/** A command for a decider. */
export interface CommandEffect {
  readonly decider: AnyDecider;
  readonly id: string;
  readonly command: unknown;
}

/** The parts of an effect, as they are carried out. */
export type KnownEffect =
  | { readonly kind: 'append'; readonly append: StreamAppend }
  | { readonly kind: 'execute'; readonly command: CommandEffect }
  | { readonly kind: 'schedule'; readonly schedule: ScheduledAppend };

/** Makes effects: nothing happens until `react` has returned them. All of them touch streams of the partition of the event. */
export interface Effects {
  append<E extends AnyEvent>(stream: StreamName<E>, events: NoInfer<E> | readonly NoInfer<E>[]): Effect;
  /**
   * The decider decides on what its stream holds then, with what commands before this one decided. A stream that it commands can have no
   * other decider in the same reaction, and no `append`. What it throws fails the reaction.
   */
  execute<E extends AnyEvent, Command, State>(decider: Decider<E, Command, State>, id: string, command: NoInfer<Command>): Effect;
  /** Appends the events when the time has come. */
  schedule<E extends AnyEvent>(
    stream: StreamName<E>,
    events: NoInfer<E> | readonly NoInfer<E>[],
    options: { readonly deliverAt: Date | number },
  ): Effect;
}

/** What `processManager` takes: that of a reactor, with a fold instead of the handler. */
export interface ProcessManagerDefinition<C extends readonly AnyCategory[], Type extends string, State>
  extends Omit<ReactorDefinition<C, Type>, 'handle' | 'order' | 'key'> {
  /**
   * Which process an event belongs to; undefined for none. Default: the stream's id. With several partitions, a key whose partition is
   * that of the event, as an id of its streams is: state and effects are stored by one script. Pure.
   */
  readonly key?: (event: ReactedEvent<C, Type>) => string | undefined;
  readonly initialState: () => State;
  /** The state after one more event; `null` ends the process, and its state is removed. Must give the same for the same events. */
  readonly evolve: (state: State, event: ReactedEvent<C, Type>) => State | null;
  /**
   * What is to be done now, by the state after the event (the last one, where `evolve` ended the process). Pure: it may be called several
   * times for an event, and what it returned is carried out once, together with the state.
   */
  readonly react: (event: ReactedEvent<C, Type>, state: State, effects: Effects) => readonly Effect[];
}

/** The fold of a process manager, as the one who runs it sees it. */
export interface Process {
  keyOf(event: Parameters<Reactor['handle']>[0]): string | undefined;
  initialState(): unknown;
  evolve(state: unknown, event: Parameters<Reactor['handle']>[0]): unknown;
  react(event: Parameters<Reactor['handle']>[0], state: unknown, effects: Effects): readonly Effect[];
}

/** A process manager, as `processManager` makes it: run by a StreamProcessor among its reactors. */
export interface ProcessManager extends Reactor {
  readonly process: Process;
}

/**
 * Defines a process manager. Its state and its effects are stored together, exactly once for each event; after a failure it is tried again,
 * and becomes a dead letter, as a reactor's event does.
 * @throws InvalidInputError as `reactor`.
 */
export function processManager<
  const C extends readonly AnyCategory[],
  State,
  Type extends ReactedEvent<C, string>['type'] = ReactedEvent<C, string>['type'],
>(definition: ProcessManagerDefinition<C, Type, State>): ProcessManager {
  const { key, initialState, evolve, react, ...rest } = definition;
  const process = {
    keyOf: key === undefined ? ({ streamName }) => splitStreamName(streamName).id : checkedKey(key as Process['keyOf']),
    initialState,
    evolve: evolve as Process['evolve'],
    react: react as Process['react'],
  } satisfies Process;
  const base = reactor<C, Type>({
    ...rest,
    // What belongs to no process keeps no order, and is done at once.
    key: (event) => process.keyOf(event as Parameters<Reactor['handle']>[0]) ?? event.streamName,
    handle: () => undefined,
  });
  return Object.freeze({ ...base, process });
}

/** Whether a reactor is a process manager. */
export function isProcessManager(each: Reactor): each is ProcessManager {
  return 'process' in each;
}

/** The one maker of effects. */
export const effects: Effects = Object.freeze({
  append: <E extends AnyEvent>(stream: StreamName<E>, events: E | readonly E[]) => known({ kind: 'append', append: { stream, events } }),
  execute: <E extends AnyEvent, Command, State>(decider: Decider<E, Command, State>, id: string, command: Command) =>
    known({ kind: 'execute', command: { decider, id, command } }),
  schedule: <E extends AnyEvent>(stream: StreamName<E>, events: E | readonly E[], { deliverAt }: { readonly deliverAt: Date | number }) =>
    known({ kind: 'schedule', schedule: { stream, events, deliverAt } }),
});

const knownEffects = new WeakMap<Effect, KnownEffect>();

function known(parts: KnownEffect): Effect {
  const effect: Effect = Object.freeze({});
  knownEffects.set(effect, parts);
  return effect;
}

/** The parts of what `react` returned. Throws InvalidInputError for what no effect is. */
export function partsOf(returned: unknown): readonly KnownEffect[] {
  if (!Array.isArray(returned)) throw new InvalidInputError('result of react', 'an array of effects', returned);
  return returned.map((effect: Effect) => {
    const parts = typeof effect === 'object' && effect !== null ? knownEffects.get(effect) : undefined;
    if (!parts) throw new InvalidInputError('result of react', 'effects, as the third argument of react makes them', effect);
    return parts;
  });
}

function checkedKey(key: Process['keyOf']): Process['keyOf'] {
  return (event) => {
    const given = key(event);
    if (given !== undefined) assertDocumentKey(given);
    return given;
  };
}
