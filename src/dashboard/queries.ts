// What the page asks for by GET: reads, each bounded.
import {
  type AnyEvent,
  type AnyProjection,
  category,
  type EventReader,
  type EventStore,
  type Inspector,
  parsePosition,
  type ProcessorControl,
  type ReadFrom,
  type RecordedEvent,
  streamName,
} from '../index.ts';
import type {
  CategoriesReply,
  CompareReply,
  DeadLettersReply,
  DocumentReply,
  DocumentsReply,
  EventReply,
  EventsReply,
  HistoryReply,
  StepReply,
  StreamsReply,
} from './api.ts';
import { changesBetween } from './changes.ts';
import type { Histories } from './history.ts';
import { ApiError } from './replies.ts';
import { asJson } from './sampler.ts';

/** What queries read from. */
export interface Sources {
  readonly store: EventStore;
  readonly facts: Inspector;
  readonly control: ProcessorControl;
  readonly histories: Histories;
  /** The code that is here, by `name@version`. */
  readonly projections: ReadonlyMap<string, AnyProjection>;
}

/** One GET: the parameters of its address, and what ends it when the page is gone. */
export interface Query {
  readonly params: URLSearchParams;
  readonly signal: AbortSignal;
}

export type QueryHandler = (sources: Sources, query: Query) => Promise<unknown>;

const LIMIT = 50;
const LIMIT_MAX = 500;
/** Events that are looked at for those that are asked for, and how long: what follows is for the next question. */
const LOOKED_AT_MAX = 50_000;
const LOOKING_MS_MAX = 3_000;
const DIFFERENCES_MAX = 100;

export const queries: Readonly<Record<string, QueryHandler>> = {
  categories,
  streams,
  events,
  event,
  documents,
  document,
  history,
  step,
  compare,
  'dead-letters': deadLetters,
};

async function categories({ facts }: Sources): Promise<CategoriesReply> {
  return { categories: (await facts.categories()).map(({ category: name, events: count }) => ({ category: name, events: count })) };
}

async function streams({ facts }: Sources, { params, signal }: Query): Promise<StreamsReply> {
  const [name, startsWith, limit] = [params.get('category'), params.get('startsWith') ?? '', limitOf(params)];
  const options = { startsWith, limit: limit + 1, signal, ...(name === null ? {} : { category: name }) };
  const found = await listOf(facts.streams({ ...options, order: startsWith === '' ? 'recent' : 'any' }), LOOKING_MS_MAX);
  return {
    streams: found.items
      .slice(0, limit)
      .map(({ streamName: stream, events: count, last }) => ({ streamName: stream, events: count, lastRecordedAt: last?.recordedAt.toISOString() })),
    hasMore: found.items.length > limit || found.isCutShort,
  };
}

async function events(sources: Sources, { params, signal }: Query): Promise<EventsReply> {
  const [stream, type, until, limit] = [params.get('stream'), params.get('type'), params.get('until'), limitOf(params)];
  const isBackward = params.get('direction') !== 'forward';
  const reader = readerOf(sources.store, params, isBackward ? 'backward' : 'forward', signal);
  const end = until === null ? undefined : dateOf(until);
  const found: RecordedEvent[] = [];
  let [lookedAt, next]: [number, string | undefined] = [0, undefined];
  const deadline = performance.now() + LOOKING_MS_MAX;
  for await (const each of reader) {
    if (end && (isBackward ? each.recordedAt < end : each.recordedAt > end)) return { events: asJson(found), next: undefined, isCutShort: false };
    lookedAt += 1;
    if (type === null || type === '' || each.type === type) found.push(each);
    next = stream === null ? reader.cursor : String(each.streamVersion + (isBackward ? -1 : 1));
    if (found.length >= limit) return { events: asJson(found), next: next === '0' ? undefined : next, isCutShort: false };
    if (lookedAt >= LOOKED_AT_MAX || performance.now() > deadline) return { events: asJson(found), next, isCutShort: true };
  }
  return { events: asJson(found), next: undefined, isCutShort: false };
}

function readerOf(store: EventStore, params: URLSearchParams, direction: 'forward' | 'backward', signal: AbortSignal): EventReader<AnyEvent> {
  const [stream, name, from] = [params.get('stream'), params.get('category'), params.get('from')];
  if (stream !== null && stream !== '') {
    const begin = from === null ? {} : { from: /^\d{1,10}$/.test(from) ? Number(from) : (placeOf(from) as Date) };
    return store.readStream(streamName(stream), { direction, signal, ...begin });
  }
  const begin = from === null ? {} : { from: placeOf(from) };
  if (name !== null && name !== '') return store.readCategory(category(name), { direction, signal, ...begin });
  return store.readAll({ direction, signal, ...begin });
}

/** A time, else a position or cursor, which the read itself checks. */
function placeOf(text: string): ReadFrom {
  return /^\d{4}-\d\d-\d\d/.test(text) ? dateOf(text) : (text as ReadFrom);
}

function dateOf(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new ApiError(400, 'invalid-input', `Expected a time like 2026-01-31T12:00:00Z, found ${JSON.stringify(text)}.`);
  return date;
}

async function event({ facts }: Sources, { params, signal }: Query): Promise<EventReply> {
  const [stream, version, position, id] = [params.get('stream'), params.get('version'), params.get('position'), params.get('id')];
  const place =
    position !== null
      ? parsePosition(position)
      : stream !== null
        ? { streamName: stream, streamVersion: Number(version) }
        : (await facts.findById(id ?? '', { signal }))?.position;
  const found = place && (await facts.eventFacts(place, { signal }));
  if (!found) throw new ApiError(404, 'not-found', 'Expected an event there, found none: look at its stream, or for its type.');
  return asJson(found);
}

async function documents({ facts }: Sources, { params, signal }: Query): Promise<DocumentsReply> {
  const limit = limitOf(params);
  const keys = facts.documentKeys(versionedOf(params, 'projection'), { startsWith: params.get('startsWith') ?? '', limit: limit + 1, signal });
  const { items, isCutShort } = await listOf(keys, LOOKING_MS_MAX);
  return { keys: items.slice(0, limit).sort(), hasMore: items.length > limit || isCutShort };
}

async function document({ facts }: Sources, { params }: Query): Promise<DocumentReply> {
  const found = await facts.document(versionedOf(params, 'projection'), keyOf(params));
  if (!found)
    throw new ApiError(404, 'not-found', `Expected a document ${JSON.stringify(keyOf(params))} of ${params.get('projection') ?? ''}, found none.`);
  return asJson(found);
}

async function history({ histories, projections }: Sources, { params }: Query): Promise<HistoryReply> {
  return await histories.history(codeOf(projections, params, 'projection'), keyOf(params));
}

async function step({ histories, projections }: Sources, { params }: Query): Promise<StepReply> {
  return await histories.step(codeOf(projections, params, 'projection'), keyOf(params), Number(params.get('step')));
}

async function compare({ control, projections }: Sources, { params, signal }: Query): Promise<CompareReply> {
  const [first, second] = [codeOf(projections, params, 'first'), codeOf(projections, params, 'second')];
  const found = await listOf(control.compare(first, second, { limit: DIFFERENCES_MAX + 1, signal }), 10 * LOOKING_MS_MAX);
  return {
    differences: found.items.slice(0, DIFFERENCES_MAX).map((each) => ({
      key: each.key,
      kind: each.kind,
      first: each.first && asJson(each.first),
      second: each.second && asJson(each.second),
      changes: changesBetween(each.first?.state, each.second?.state),
    })),
    hasMore: found.items.length > DIFFERENCES_MAX || found.isCutShort,
  };
}

async function deadLetters({ control }: Sources, { params, signal }: Query): Promise<DeadLettersReply> {
  const letters = control.deadLetters(versionedOf(params, 'reactor'));
  const from = params.get('from');
  const options = { limit: limitOf(params), signal, ...(from === null ? {} : { from }) };
  const [{ items }, count] = await Promise.all([listOf(letters.list(options), LOOKING_MS_MAX), letters.count()]);
  return { letters: items.map(asJson), count };
}

/** What there is, as far as it comes in time. */
async function listOf<Item>(from: AsyncIterable<Item>, most: number): Promise<{ readonly items: Item[]; readonly isCutShort: boolean }> {
  const items: Item[] = [];
  const deadline = performance.now() + most;
  for await (const item of from) {
    items.push(item);
    if (performance.now() > deadline) return { items, isCutShort: true };
  }
  return { items, isCutShort: false };
}

function limitOf(params: URLSearchParams): number {
  const limit = Number(params.get('limit') ?? LIMIT);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    throw new ApiError(400, 'invalid-input', `Expected a limit from 1 to ${LIMIT_MAX}, found ${JSON.stringify(params.get('limit'))}.`);
  return limit;
}

function keyOf(params: URLSearchParams): string {
  return params.get('key') ?? '';
}

/** A name and version as the page writes them: `name@1`. */
export function parseVersioned(text: unknown): { readonly name: string; readonly version: number } {
  const match = typeof text === 'string' ? /^(.+)@([1-9]\d{0,14})$/s.exec(text) : null;
  if (!match) throw new ApiError(400, 'invalid-input', `Expected a name with its version, like profiles@1; found ${JSON.stringify(text)}.`);
  return { name: match[1] ?? '', version: Number(match[2]) };
}

function versionedOf(params: URLSearchParams, name: string): { readonly name: string; readonly version: number } {
  return parseVersioned(params.get(name));
}

function codeOf(projections: ReadonlyMap<string, AnyProjection>, params: URLSearchParams, name: string): AnyProjection {
  const id = params.get(name) ?? '';
  const found = projections.get(id);
  if (found) return found;
  throw new ApiError(
    409,
    'code-missing',
    `Expected the code of ${id}, which folds its documents, found ${[...projections.keys()].join(', ') || 'none'}. Give it to the page: projections of dashboard(), or millrace ui --app.`,
  );
}
