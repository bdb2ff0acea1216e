// Where a store is, as text that can be handed to a process, and how it is opened there.
import { EventStore, type StoreOptions } from 'millrace';

/** A server's URL, some nodes of a cluster, or sentinels. */
export type Target = string | { readonly nodes: readonly string[] } | { readonly sentinels: readonly string[]; readonly name: string };

export function connect(target: Target, options: StoreOptions): Promise<EventStore> {
  return typeof target === 'string' ? EventStore.connect(target, options) : EventStore.connect({ ...target, ...options });
}
