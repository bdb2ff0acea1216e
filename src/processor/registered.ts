// What is known of a projection, reactor or source without its code, and is enough to look after it.
import type { AnyProjection } from '../fold/projection.ts';
import type { Source } from '../fold/source.ts';
import { isProcessManager } from '../reactor/process-manager.ts';
import type { KeptReactor, Reactor } from '../reactor/reactor.ts';

/** A projection, reactor, process manager or source, as processors registered it when they took it. */
export interface RegisteredFacts {
  readonly kind: 'projection' | 'reactor' | 'process-manager' | 'source';
  /** Of a source: the key of the Redis Stream. */
  readonly name: string;
  /** Of a source always 1. */
  readonly version: number;
  /** Of a source: the one that it appends to. */
  readonly categories: readonly string[];
  /** Of a projection: whether its documents' keys are the streams' ids. */
  readonly isKeyedByStream: boolean;
  /** Of a reactor: whether it keeps the order of each stream. */
  readonly order: 'stream' | 'none';
  /** Of a reactor: the types of events that it handles; undefined for all. */
  readonly types?: readonly string[] | undefined;
}

/** What ProcessorControl acts on: the definition itself, or what `inspect(store).processors()` tells of it where its code is not at hand. */
export type ProcessorTarget = AnyProjection | Reactor | RegisteredFacts;

/** What is known of one with its code at hand. */
export function registeredOf(of: AnyProjection | Reactor): RegisteredFacts {
  const { name, version, categories } = of;
  if (!('handle' in of)) return { kind: 'projection', name, version, categories, isKeyedByStream: of.isKeyedByStream, order: 'stream' };
  const kind = isProcessManager(of) ? 'process-manager' : 'reactor';
  return { kind, name, version, categories, isKeyedByStream: false, order: of.order, types: of.types && [...of.types] };
}

export function registeredSource({ key, category }: Source): RegisteredFacts {
  return { kind: 'source', name: key, version: 1, categories: [category], isKeyedByStream: false, order: 'stream' };
}

/** The reactor that a target is, by what is kept of it; undefined for a projection. */
export function keptReactorOf(target: ProcessorTarget): KeptReactor | undefined {
  const { kind, name, version, categories, order } = 'kind' in target ? target : registeredOf(target);
  return kind === 'reactor' || kind === 'process-manager' ? { name, version, categories, order, hasStates: kind === 'process-manager' } : undefined;
}
