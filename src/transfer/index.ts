// Moving a store: what `millrace/transfer` exports.
import { connectionOf } from '../redis/connection.ts';
import { type ExportOptions, exportText, type Written } from './export-events.ts';
import { type Imported, type ImportOptions, importInto } from './import-events.ts';
import type { NumberedEvent } from './read-export.ts';

export type { ExportOptions, Written } from './export-events.ts';
export type { ExportedEvent, ExportHeader, ExportTrailer } from './format.ts';
export { ImportConflictError, type Imported, type ImportOptions } from './import-events.ts';
export { type Broken, type NumberedEvent, readBroken, readEvents, type ReadEventsOptions } from './read-export.ts';

/**
 * The text of an export, in pieces of about 64 KiB: a header, a line of JSON for each event, and a trailer with count and digest. It holds what
 * the log held at the call, while appends go on; memory holds a page. With `written`, as `readBroken` gives it, it goes on behind that.
 * @throws InvalidInputError for data that JSON would not give back as they are; whatever a read throws.
 */
export function exportEvents(store: object, options: ExportOptions = {}, written?: Written): AsyncIterable<string> {
  return exportText(connectionOf(store), options, written);
}

/**
 * Appends the events of an export, as `readEvents` gives them, each once, with its own version, id and time, in their order within each
 * partition. What is there already, and the same, is passed over: where this process dies, the same call again finishes it.
 * @throws ImportConflictError where another event is there, or events before are missing; InvalidInputError for an event that cannot be.
 */
export async function importEvents(store: object, events: AsyncIterable<NumberedEvent>, options: ImportOptions = {}): Promise<Imported> {
  return await importInto(connectionOf(store), events, options);
}
