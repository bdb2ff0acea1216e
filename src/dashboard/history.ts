// How a document became what it is, step by step: folded once, and kept for a while, so that a slider moves quickly.
import { LRUCache } from 'lru-cache';
import type { AnyProjection, Inspector, RecordedEvent } from '../index.ts';
import type { HistoryReply, HistoryStep, StepReply } from './api.ts';
import { changesBetween } from './changes.ts';
import { ApiError } from './replies.ts';
import { asJson } from './sampler.ts';

/** Steps of a document that are kept; of more, the last ones are shown. */
const STEPS_MAX = 10_000;
/** A state is kept each so many steps, and those between are folded again from there. */
const STATE_EACH = 50;
const DOCUMENTS_KEPT = 16;
/** The log only grows, so what is kept stays true; a document that grew is read again after this. */
const KEPT_MS = 2_000;

interface Kept {
  readonly total: number;
  /** The number of the first step that is kept. */
  readonly first: number;
  readonly events: readonly RecordedEvent[];
  /** States before the steps first, first + 50, … */
  readonly states: readonly unknown[];
}

export class Histories {
  readonly #facts: Inspector;
  readonly #kept = new LRUCache<string, Promise<Kept>>({ max: DOCUMENTS_KEPT, ttl: KEPT_MS, updateAgeOnGet: true });

  constructor(facts: Inspector) {
    this.#facts = facts;
  }

  async history(projection: AnyProjection, key: string): Promise<HistoryReply> {
    this.#kept.delete(keyOf(projection, key)); // it may have grown
    const { total, first, events } = await this.#fold(projection, key);
    return { total, steps: events.map((event, index) => stepOf(event, first + index)) };
  }

  async step(projection: AnyProjection, key: string, step: number): Promise<StepReply> {
    const { total, first, events, states } = await this.#fold(projection, key);
    const index = step - first;
    const event = events[index];
    if (!event)
      throw new ApiError(404, 'not-found', `Expected a step from ${first} to ${total} of the document ${JSON.stringify(key)}, found ${step}.`);
    const from = index - (index % STATE_EACH);
    const before = events.slice(from, index).reduce((state, each) => evolve(projection, state, each), states[from / STATE_EACH]);
    const after = evolve(projection, before, event);
    return { step, total, event: asJson(event), before: before ?? null, after: after ?? null, changes: changesBetween(before, after) };
  }

  #fold(projection: AnyProjection, key: string): Promise<Kept> {
    const id = keyOf(projection, key);
    const kept = this.#kept.get(id);
    if (kept) return kept;
    const folding = this.#foldAnew(projection, key);
    this.#kept.set(id, folding);
    folding.catch(() => this.#kept.delete(id));
    return folding;
  }

  async #foldAnew(projection: AnyProjection, key: string): Promise<Kept> {
    let [total, state, first]: [number, unknown, number] = [0, undefined, 1];
    let events: RecordedEvent[] = [];
    let states: unknown[] = [];
    for await (const step of this.#facts.history(projection, key)) {
      if (events.length % STATE_EACH === 0) states.push(state);
      events.push(step.event);
      state = step.state;
      total = step.step;
      if (events.length < STEPS_MAX + STATE_EACH) continue;
      events = events.slice(STATE_EACH);
      states = states.slice(1);
      first += STATE_EACH;
    }
    return { total, first, events, states };
  }
}

function evolve(projection: AnyProjection, state: unknown, event: RecordedEvent): unknown {
  return projection.evolve(state ?? projection.initialState(), event) ?? undefined;
}

function keyOf({ name, version }: AnyProjection, key: string): string {
  return `${name}@${version}:${key}`;
}

function stepOf({ type, streamName, streamVersion, position, recordedAt }: RecordedEvent, step: number): HistoryStep {
  return { step, type, streamName, streamVersion, position, recordedAt: recordedAt.toISOString() };
}
