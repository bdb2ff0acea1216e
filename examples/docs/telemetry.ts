// Opens a store that traces, measures and logs.
// #region telemetry
import { EventStore } from 'millrace';
import { observe, openTelemetry } from 'millrace/telemetry';
import pino from 'pino';

/** After the OpenTelemetry SDK was set up: its global tracer and meter are taken. */
export async function openObserved(url: string, namespace: string): Promise<EventStore> {
  const store = await EventStore.connect(url, { namespace, telemetry: openTelemetry(), logger: pino({ level: 'info' }) });
  observe(store); // in one process of the service: it asks Redis, and tells of the whole store
  return store;
}
// #endregion telemetry
