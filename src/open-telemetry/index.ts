// OpenTelemetry for a store: what `millrace/telemetry` exports.
export { observe, type ObserveOptions } from './observe.ts';
export { openTelemetry, type OpenTelemetryOptions } from './open-telemetry.ts';
