// The trace context of W3C in an event's metadata: written by an append, read by whoever handles the event.
import { createTraceState, isSpanContextValid, type SpanContext, TraceFlags } from '@opentelemetry/api';
import type { EventMetadata } from '../index.ts';

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** What goes into the metadata; nothing for a span that is not recorded anywhere. */
export function metadataOf(context: SpanContext): EventMetadata {
  if (!isSpanContextValid(context)) return {};
  const flags = (context.traceFlags & TraceFlags.SAMPLED).toString(16).padStart(2, '0');
  const state = context.traceState?.serialize();
  return { traceparent: `00-${context.traceId}-${context.spanId}-${flags}`, ...(state === undefined || state === '' ? {} : { tracestate: state }) };
}

/** Undefined where there is none, or something else. */
export function contextOf({ traceparent, tracestate }: EventMetadata): SpanContext | undefined {
  const [, traceId, spanId, flags] = typeof traceparent === 'string' ? (TRACEPARENT.exec(traceparent) ?? []) : [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const state = typeof tracestate === 'string' ? { traceState: createTraceState(tracestate) } : {};
  const context: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true, ...state };
  return isSpanContextValid(context) ? context : undefined;
}
