// Writes what the log holds as JSON lines, in bounded memory, while appends go on: up to where it ended at the beginning.
import type { RecordedEvent } from '../event.ts';
import { readStore } from '../inspect/store-facts.ts';
import { readLog, type ReadFrom } from '../log/read.ts';
import { comparePositions, type Position, splitPosition } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { cursorOf } from '../token.ts';
import { Digest, eventLine, headerLine, trailerLine } from './format.ts';

/** What is exported. */
export interface ExportOptions {
  /** Default: all. */
  readonly categories?: readonly string[];
  /** Default: the beginning. */
  readonly from?: Date;
  /** Included. Default: the end. */
  readonly until?: Date;
  readonly signal?: AbortSignal;
  /** Told now and then how many events were written, and about how many there are. */
  readonly onProgress?: (done: number, about: number) => void;
}

/** Where a broken-off export stands: what was written counts on. */
export interface Written {
  readonly digest: Digest;
  /** The last position of each partition. */
  readonly positions: ReadonlyMap<number, Position>;
}

const TOLD_EACH = 1_000;
/** Lines are joined into pieces of about so many characters. */
const PIECE_LENGTH = 65_536;

/** The text of an export, in pieces; with `written` without the header, behind what was written. */
export async function* exportText(connection: Connection, options: ExportOptions, written?: Written): AsyncGenerator<string, void, undefined> {
  const { categories, from, until, onProgress } = options;
  const store = await reading('look at the store', readStore(connection));
  const { namespace, storeId, partitions } = store;
  const exportedAt = new Date().toISOString();
  const chosen = {
    ...(categories ? { categories } : {}),
    ...(from ? { from: from.toISOString() } : {}),
    ...(until ? { until: until.toISOString() } : {}),
  };
  if (!written) yield headerLine({ namespace, storeId, partitions, exportedAt, ...chosen });
  const digest = written?.digest ?? new Digest();
  const ends = new Map(store.heads.map(({ partition, position }) => [partition, position]));
  let piece = '';
  for await (const event of eventsUpTo(connection, ends, options, written)) {
    if (until && event.recordedAt > until) continue;
    const line = eventLine(event);
    digest.add(line);
    piece += line;
    if (digest.events % TOLD_EACH === 0) onProgress?.(digest.events, store.events);
    if (piece.length < PIECE_LENGTH) continue;
    yield piece;
    piece = '';
  }
  onProgress?.(digest.events, digest.events);
  yield `${piece}${trailerLine(digest.trailer)}`;
}

/** Up to where each partition ended; what is appended meanwhile is left out. */
async function* eventsUpTo(
  connection: Connection,
  ends: ReadonlyMap<number, Position | undefined>,
  { categories, from, signal }: ExportOptions,
  written: Written | undefined,
): AsyncGenerator<RecordedEvent, void, undefined> {
  const open = new Set([...ends].flatMap(([partition, end]) => (end === undefined ? [] : [partition])));
  const begin: { readonly from?: ReadFrom } = written ? { from: cursorBehind(connection, written) } : from ? { from } : {};
  const reader = readLog(connection, categories, { ...begin, ...(signal ? { signal } : {}) });
  for await (const event of reader) {
    const { partition } = splitPosition(event.position);
    const end = ends.get(partition);
    const order = end === undefined ? 1 : comparePositions(event.position, end);
    if (order >= 0) open.delete(partition);
    if (order <= 0) yield event;
    if (open.size === 0) return;
  }
}

function cursorBehind({ keys }: Connection, { positions }: Written): ReadFrom {
  const places = Array.from({ length: keys.partitions }, (_, partition) => {
    const position = positions.get(partition);
    return [partition, position === undefined ? -1 : splitPosition(position).packed] as const;
  });
  return cursorOf(new Map(places.filter(([, place]) => place >= 0)));
}
