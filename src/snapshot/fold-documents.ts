// Folds a projection's documents from the log itself: as they were at a time, or of a projection that is not stored.
import { InvalidInputError } from '../errors.ts';
import type { RecordedEvent } from '../event.ts';
import { type Projection, streamOfDocument } from '../fold/projection.ts';
import type { LogEvent } from '../log/entry.ts';
import { readTail, streamKeys } from '../log/fold-stream.ts';
import { forwardPager } from '../log/pager.ts';
import { splitPosition } from '../position.ts';
import type { Connection } from '../redis/connection.ts';

/** Until when to fold: a time or a position, both included; everything where it is undefined. */
export type Until = Date | string | undefined;

/**
 * The documents with these keys, folded from the log. A projection that is keyed by stream reads the streams of its keys; one with a key
 * of its own reads its categories from the beginning, for any event may belong to any document.
 */
export async function foldDocuments<State>(
  connection: Connection,
  projection: Projection<State>,
  keys: readonly string[],
  { until, signal }: { readonly until: Until; readonly signal: AbortSignal | undefined },
): Promise<ReadonlyMap<string, State>> {
  const isWithin = withinOf(connection, until);
  if (!projection.isKeyedByStream) return await foldCategories(connection, projection, keys, { isWithin, signal });
  const documents = new Map<string, State>();
  for (const key of keys) {
    signal?.throwIfAborted();
    const state = foldEvents(projection, (await readDocumentEvents(connection, projection, key)).filter(isWithin), undefined);
    if (state !== undefined) documents.set(key, state);
  }
  return documents;
}

/** The state after some events; undefined where there is no document. */
export function foldEvents<State>(projection: Projection<State>, events: readonly LogEvent[], before: State | undefined): State | undefined {
  return events.reduce<State | undefined>((state, { event }) => projection.evolve(state ?? projection.initialState(), event) ?? undefined, before);
}

/** The events of a document of a projection that is keyed by stream, in the order of positions. */
async function readDocumentEvents(connection: Connection, projection: Projection<unknown>, key: string): Promise<readonly LogEvent[]> {
  const streams = projection.categories.map((category) => streamKeys(connection, streamOfDocument(category, key)));
  const tails = await Promise.all(streams.map((stream) => readTail(connection, stream, 0)));
  return tails.length === 1 ? (tails[0] ?? []) : tails.flat().sort((a, b) => a.place - b.place);
}

type IsWithin = (logEvent: LogEvent) => boolean;

function withinOf({ keys }: Connection, until: Until): IsWithin {
  if (until === undefined) return () => true;
  if (until instanceof Date) {
    const time = until.getTime();
    if (Number.isNaN(time)) throw new InvalidInputError('at', 'a valid Date or a position', until);
    return ({ event }) => event.recordedAt.getTime() <= time;
  }
  const { partition, packed } = splitPosition(until);
  if (keys.partitions > 1) {
    // The events of one partition only are on one scale with it.
    return ({ event, place }) => splitPosition(event.position).partition === partition && place <= packed;
  }
  return ({ place }) => place <= packed;
}

async function foldCategories<State>(
  connection: Connection,
  projection: Projection<State>,
  keys: readonly string[],
  { isWithin, signal }: { readonly isWithin: IsWithin; readonly signal: AbortSignal | undefined },
): Promise<ReadonlyMap<string, State>> {
  const wanted = new Set(keys);
  const documents = new Map<string, State>();
  for (let partition = 0; partition < connection.keys.partitions; partition += 1) {
    const pager = forwardPager(connection, { partition, categories: projection.categories }, -1);
    for (let page = await pager.next(); page; page = await pager.next()) {
      signal?.throwIfAborted();
      for (const each of page.events) if (isWithin(each)) foldInto(documents, projection, wanted, each.event);
    }
  }
  return documents;
}

function foldInto<State>(documents: Map<string, State>, projection: Projection<State>, wanted: ReadonlySet<string>, event: RecordedEvent): void {
  for (const key of projection.keys(event)) {
    if (!wanted.has(key)) continue;
    const state = projection.evolve(documents.get(key) ?? projection.initialState(), event);
    if (state === null) documents.delete(key);
    else documents.set(key, state);
  }
}
