// Freezes an event for a fold, so that projections and documents which are folded from the same one cannot change it for each other.
import type { RecordedEvent } from '../event.ts';

/** The event itself, its data and metadata frozen through and through. */
export function frozen(event: RecordedEvent): RecordedEvent {
  if (!Object.isFrozen(event)) {
    freeze(event.data);
    freeze(event.metadata);
    Object.freeze(event);
  }
  return event;
}

/** Only what a literal makes: a codec may give objects of its own, which may not stand it. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  const isList = Array.isArray(value);
  if (!isList && Object.getPrototypeOf(value) !== Object.prototype) return;
  Object.freeze(value);
  if (isList) for (const item of value) freeze(item);
  else for (const name in value) freeze((value as Record<string, unknown>)[name]);
}
