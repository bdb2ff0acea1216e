// What the page does by POST, where writes are allowed: the same as the command line.
import { type DeadLetters, type EditedEvent, type Inspector, type ProcessorControl, type ProcessorFacts, type StartFrom } from '../index.ts';
import type { DoneReply, ServeReply } from './api.ts';
import { parseVersioned } from './queries.ts';
import { ApiError } from './replies.ts';

/** What deeds act on. */
export interface Hands {
  readonly facts: Inspector;
  readonly control: ProcessorControl;
  /** Aborted when the page is gone. */
  readonly signal: AbortSignal;
}

export type Deed = (hands: Hands, body: Readonly<Record<string, unknown>>) => Promise<object>;

/** How long a pause may take before the page is told that it goes on by itself. */
const PAUSE_MS_MAX = 10_000;

export const deeds: Readonly<Record<string, Deed>> = { pause, resume, rewind, drop, serve, retry, discard };

async function pause({ facts, control, signal }: Hands, { target }: Readonly<Record<string, unknown>>): Promise<object> {
  await control.pause(await find(facts, target), { signal: AbortSignal.any([signal, AbortSignal.timeout(PAUSE_MS_MAX)]) });
  return {};
}

async function resume({ facts, control }: Hands, { target }: Readonly<Record<string, unknown>>): Promise<object> {
  await control.resume(await find(facts, target));
  return {};
}

async function rewind({ facts, control }: Hands, { target, to = 'start' }: Readonly<Record<string, unknown>>): Promise<object> {
  await control.rewind(await find(facts, target), { to: beginningOf(to) });
  return {};
}

function beginningOf(to: unknown): StartFrom {
  if (to === 'start' || to === 'now') return to;
  const time = new Date(String(to));
  if (Number.isNaN(time.getTime()))
    throw new ApiError(400, 'invalid-input', `Expected start, now or a time like 2026-01-31T12:00:00Z, found ${JSON.stringify(to)}.`);
  return time;
}

async function drop({ facts, control }: Hands, { target }: Readonly<Record<string, unknown>>): Promise<object> {
  await control.drop(await find(facts, target));
  return {};
}

async function serve({ facts, control, signal }: Hands, { target, evenIfBehind }: Readonly<Record<string, unknown>>): Promise<ServeReply> {
  return { before: await control.serve(await find(facts, target), { evenIfBehind: evenIfBehind === true, signal }) };
}

async function retry(hands: Hands, { reactor, ids, event }: Readonly<Record<string, unknown>>): Promise<DoneReply> {
  const letters = await lettersOf(hands, reactor);
  if (ids === 'all') return { count: await letters.retryAll() };
  const list = idsOf(ids);
  const [only] = list;
  if (event === undefined) return { count: await letters.retry(list) };
  if (list.length !== 1 || only === undefined)
    throw new ApiError(400, 'invalid-input', `Expected one id with an edited event, found ${list.length}.`);
  return { count: (await letters.retry(only, { event: event as EditedEvent })) ? 1 : 0 };
}

async function discard(hands: Hands, { reactor, ids }: Readonly<Record<string, unknown>>): Promise<DoneReply> {
  const letters = await lettersOf(hands, reactor);
  return { count: ids === 'all' ? await letters.discardAll({ where: () => true }) : await letters.discard(idsOf(ids)) };
}

async function lettersOf({ facts, control }: Hands, reactor: unknown): Promise<DeadLetters> {
  const { name, version, types } = await find(facts, reactor);
  return control.deadLetters({ name, version, ...(types === undefined ? {} : { types: new Set(types) }) });
}

function idsOf(ids: unknown): readonly string[] {
  if (Array.isArray(ids) && ids.every((id) => typeof id === 'string')) return ids;
  throw new ApiError(400, 'invalid-input', "Expected a list of ids of dead letters, or 'all'.");
}

async function find(facts: Inspector, target: unknown): Promise<ProcessorFacts> {
  const { name, version } = parseVersioned(target);
  const found = (await facts.processors()).find((each) => each.kind !== 'source' && each.name === name && each.version === version);
  if (!found)
    throw new ApiError(
      404,
      'not-found',
      `Expected ${name}@${version} among what processors run here, found no such thing: it was dropped, or never run.`,
    );
  return found;
}
