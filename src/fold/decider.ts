// A decider: who turns a command and the state so far into new events (after Jérémie Chassaing's "Functional Event Sourcing Decider").
import type { AnyEvent, StreamName } from '../event.ts';

/** The three functions of a decider, all pure, and how its state is kept between commands. */
export interface DeciderDefinition<E extends AnyEvent, Command, State> {
  readonly initialState: () => State;
  /** The state after one more event. Pure: it returns a new state, or the same one where nothing changes. */
  readonly evolve: (state: State, event: E) => State;
  /** The events that follow from a command; none where nothing is to be done. To reject a command, throw the domain's own error. */
  readonly decide: (command: Command, state: State) => readonly E[];
  /** Keeps folded states in Redis, so that long streams need not be read whole. Without it they are folded from the start. */
  readonly snapshot?: DeciderSnapshot;
  /** How many folded states this process keeps in memory. Default 0. */
  readonly cachedStates?: number;
}

/** Where a decider's folded state is stored. */
export interface DeciderSnapshot {
  /** The name of the stored states; one for each decider, and none that a projection has. */
  readonly name: string;
  /** Raise it when `evolve` or `initialState` changes: states of another version are not read. */
  readonly version: number;
  /** A state is stored when this many events came since the last one. Default 100. */
  readonly everyEvents?: number;
}

/** A decider of a category, as `category.decider` makes it; `store.execute` runs it. */
export interface Decider<E extends AnyEvent, Command, State> extends DeciderDefinition<E, Command, State> {
  /** What it needs of its category: that one imports this file, and circles are refused. */
  readonly category: { readonly name: string; stream(id: string): StreamName<E> };
}
