// A category: the name of a kind of streams, bound to the union of their events.
import { type AnyEvent, assertCategoryName, assertName, type StreamName } from '../event.ts';
import type { Decider, DeciderDefinition } from './decider.ts';

declare const eventsOfCategory: unique symbol;

/** A kind of streams, like all users' updates, and the events that they may hold. */
export interface Category<E extends AnyEvent> {
  readonly name: string;
  readonly [eventsOfCategory]?: E;
  /** The name of one stream of this category. Throws InvalidInputError for an id that cannot be one. */
  stream(id: string): StreamName<E>;
  /** Defines who decides about this category's events. The category is fixed first, so command and state are inferred. */
  decider<Command, State>(definition: DeciderDefinition<E, Command, State>): Decider<E, Command, State>;
}

/** Any category, whatever its events: what can be read of it. */
export interface AnyCategory {
  readonly name: string;
  readonly [eventsOfCategory]?: AnyEvent;
}

/** The union of the events of a category, or of several. */
export type EventOf<C extends AnyCategory> = C extends { readonly [eventsOfCategory]?: infer E extends AnyEvent } ? E : never;

/**
 * Binds a category's name to the union of its events: `category<UserUpdate>('user_updates')`.
 * @throws InvalidInputError for a name with white space, a colon, a brace or a control character.
 */
export function category<E extends AnyEvent>(name: string): Category<E> {
  assertCategoryName(name);
  const self: Category<E> = {
    name,
    stream: (id) => {
      assertName('stream id', id);
      return `${name}:${id}` as StreamName<E>;
    },
    decider: (definition) => ({ ...definition, category: self }),
  };
  return Object.freeze(self);
}
