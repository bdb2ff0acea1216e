// Puts the trace of an append beside the metadata that its events have, and touches nothing that the caller gave.
import type { AnyEvent, EventMetadata } from '../event.ts';

/** The metadata with the trace: as it was where that has one already, or is something else, which is refused as without a trace. */
export function withTrace(metadata: EventMetadata | undefined, trace: EventMetadata, events: readonly AnyEvent[]): EventMetadata | undefined {
  if (Object.keys(trace).length === 0) return metadata;
  if (metadata !== undefined && (!isPlain(metadata) || isTraced(metadata))) return metadata;
  const { tracestate, ...parent } = trace;
  // It belongs to the parent beside it, and must not come to stand beside another one, which an event has for itself.
  const state = tracestate === undefined || events.some((event) => isPlain(event?.metadata) && isTraced(event.metadata)) ? {} : { tracestate };
  return { ...parent, ...state, ...metadata };
}

function isPlain(metadata: unknown): metadata is EventMetadata {
  return typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
}

function isTraced({ traceparent, tracestate }: EventMetadata): boolean {
  return traceparent !== undefined || tracestate !== undefined;
}
