// A process that appends in every way there is, at a steady pace, and writes down what it asks for before it does, and what it is told.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, isMillraceError, NotCaughtUpError, SnapshotStore, type StreamName, type Token, VersionConflictError } from 'millrace';
import { connect } from '../connect.ts';
import { now, type Part, type Recorder } from '../history.ts';
import { type Random, randomFrom, seedOf } from '../random.ts';
import type { Work } from './main.ts';
import { type Counted, counted, idOf, ledger, NO_TALLY, order, orders, tallies } from './model.ts';
import { type AppendOne, appendAgainWhenSlow, appendAtLength } from './plants.ts';
import type { Counts, Settings } from './settings.ts';

const TURN_MS = 20;
const IN_FLIGHT_MAX = 100;
const STREAMS = 400;
/** Streams that all producers write to at their expected version: most of those appends are conflicts. */
const HOT_STREAMS = 8;
const NUMBERS = 100_000;
const READS_PER_APPEND = 0.1;
const REPEATS_MAX = 4;
const REPEAT_MS = 300;

/** What an operation came to. */
interface Reached {
  readonly versions: readonly number[];
  readonly position: string;
  readonly token: Token;
}

export async function produce(work: Work): Promise<void> {
  const { store, settings } = work;
  const { plant, target, namespace, library } = settings;
  const second = plant === 'no-deduplication' ? await connect(target, { namespace, library }) : undefined;
  const producer = new Producer(work, appendOne(store, second, plant));
  await producer.run();
  await second?.close();
}

function appendOne(store: EventStore, second: EventStore | undefined, plant: Settings['plant']): AppendOne {
  if (second) return appendAgainWhenSlow(store, second);
  if (plant === 'version-from-length') return appendAtLength(store);
  return (stream, events) => store.append(stream, events);
}

class Producer {
  readonly #store: EventStore;
  readonly #snapshots: SnapshotStore;
  readonly #settings: Settings;
  readonly #recorder: Recorder;
  readonly #stop: AbortSignal;
  readonly #appendOne: AppendOne;
  readonly #random: Random;
  /** The versions of the hot streams, as far as they are known here. */
  readonly #known = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #counts: { -readonly [Name in keyof Counts]: number } = { ok: 0, failed: 0, unknown: 0 };
  #operations = 0;

  constructor({ store, settings, recorder, stop }: Work, append: AppendOne) {
    this.#store = store;
    this.#snapshots = new SnapshotStore(store);
    this.#settings = settings;
    this.#recorder = recorder;
    this.#stop = stop;
    this.#appendOne = append;
    this.#random = randomFrom(seedOf(settings.seed, settings.name));
  }

  async run(): Promise<void> {
    const telling = setInterval(() => process.send?.(this.#counts), 1_000);
    let due = 0;
    while (!this.#stop.aborted) {
      due = Math.min(due + (this.#settings.rate * TURN_MS) / 1_000, IN_FLIGHT_MAX);
      for (; due >= 1 && this.#underWay.size < IN_FLIGHT_MAX; due -= 1) this.#begin();
      await delay(TURN_MS);
    }
    await Promise.all(this.#underWay);
    clearInterval(telling);
    process.send?.(this.#counts);
  }

  #begin(): void {
    const operation = this.#operation().catch((error: unknown) => this.#noteError(error));
    this.#underWay.add(operation);
    void operation.finally(() => this.#underWay.delete(operation));
  }

  async #operation(): Promise<void> {
    const op = `${this.#settings.name}.${(this.#operations += 1)}`;
    const draw = this.#random.next();
    if (draw < 0.35) return await this.#plain(op, 1);
    if (draw < 0.5) return await this.#plain(op, 2 + this.#random.below(4));
    if (draw < 0.7) return await this.#expecting(op);
    if (draw < 0.85) return await this.#pair(op);
    if (draw < 0.93) return await this.#keyed(op);
    return await this.#command(op);
  }

  async #plain(op: string, count: number): Promise<void> {
    const stream = this.#random.pick([orders, ledger]).stream(this.#someId());
    const events = counted(op, this.#numbers(count));
    await this.#tried(op, 'append', [{ stream, events: count, expected: 'any' }], async () => oneOf(await this.#appendOne(stream, events)));
  }

  /** At a version: of those who try at the same one, one may win. */
  async #expecting(op: string): Promise<void> {
    const stream = orders.stream(`hot-${this.#random.below(HOT_STREAMS)}`);
    const expected = this.#known.get(stream) ?? 0;
    const events = counted(op, this.#numbers(1 + this.#random.below(2)));
    await this.#tried(op, 'expecting', [{ stream, events: events.length, expected }], async () => {
      try {
        const reached = await this.#store.append(stream, events, { expectedVersion: expected });
        this.#known.set(stream, Math.max(reached.streamVersion, this.#known.get(stream) ?? 0));
        return oneOf(reached);
      } catch (error) {
        if (error instanceof VersionConflictError) this.#known.set(stream, error.actualVersion);
        throw error;
      }
    });
  }

  /** Two streams of one id: both or none. */
  async #pair(op: string): Promise<void> {
    const id = this.#someId();
    const of = 3;
    const parts = [
      { stream: orders.stream(id), events: counted(op, this.#numbers(2), { of }) },
      { stream: ledger.stream(id), events: counted(op, this.#numbers(1), { first: 2, of }) },
    ] as const;
    await this.#tried(
      op,
      'all',
      parts.map(({ stream, events }) => ({ stream, events: events.length, expected: 'any' })),
      async () => {
        const { streamVersions, position, token } = await this.#store.appendAll(parts);
        return { versions: streamVersions, position, token };
      },
    );
  }

  /** With a key of its own, and asked for until it is known what came of it. */
  async #keyed(op: string): Promise<void> {
    const stream = orders.stream(this.#someId());
    const events = counted(op, this.#numbers(2));
    await this.#tried(op, 'keyed', [{ stream, events: events.length, expected: 'any' }], async () => {
      let unknown: unknown;
      for (let attempt = 0; attempt < REPEATS_MAX; attempt += 1) {
        try {
          return oneOf(await this.#store.append(stream, events, { idempotencyKey: op }));
        } catch (error) {
          if (isUnknown(error)) unknown = error;
          else if (unknown === undefined) throw error;
          await delay(REPEAT_MS);
        }
      }
      throw unknown;
    });
  }

  async #command(op: string): Promise<void> {
    const id = this.#someId();
    const stream = orders.stream(id);
    const numbers = this.#numbers(1 + this.#random.below(2));
    await this.#tried(op, 'command', [{ stream, events: numbers.length, expected: 'any' }], async () => {
      const { state, streamVersion, position = '', token } = await this.#store.execute(order, id, { op, numbers });
      this.#recorder.write({ t: 'state', op, stream, version: streamVersion, state });
      return { versions: [streamVersion], position, token };
    });
  }

  async #tried(op: string, kind: string, parts: readonly Part[], attempt: () => Promise<Reached>): Promise<void> {
    this.#recorder.write({ t: 'invoke', op, kind, at: now(), parts });
    let reached: Reached;
    try {
      reached = await attempt();
    } catch (error) {
      this.#failed(op, error);
      return;
    }
    this.#recorder.write({ t: 'ok', op, at: now(), versions: reached.versions, position: reached.position });
    this.#counts.ok += 1;
    if (this.#random.next() < READS_PER_APPEND) await this.#readOwn(op, parts, reached);
  }

  #failed(op: string, error: unknown): void {
    if (isUnknown(error)) {
      this.#recorder.write({ t: 'unknown', op, at: now(), code: 'outcome-unknown' });
      this.#counts.unknown += 1;
      return;
    }
    this.#recorder.write({ t: 'fail', op, at: now(), code: isMillraceError(error) ? error.code : 'error' });
    this.#counts.failed += 1;
    if (!isMillraceError(error)) this.#noteError(error);
  }

  /** Reads the document that the append belongs to, as new as the append at least. */
  async #readOwn(op: string, parts: readonly Part[], { token, versions }: Reached): Promise<void> {
    const stream = parts[0]?.stream as StreamName<Counted>;
    let saw: number;
    try {
      const tally = (await this.#snapshots.get(tallies(1), idOf(stream), { atLeast: token, timeoutMs: 2_000 })) ?? NO_TALLY;
      saw = stream.startsWith('orders:') ? tally.orders : tally.ledger;
    } catch (error) {
      // It may fail while there are faults; what it must not do is to answer with less.
      if (!(error instanceof NotCaughtUpError) && !isMillraceError(error)) throw error;
      return;
    }
    this.#recorder.write({ t: 'read', op, at: now(), stream, needs: versions[0] ?? 0, saw });
  }

  #noteError(error: unknown): void {
    this.#recorder.write({ t: 'error', who: this.#settings.name, at: now(), message: error instanceof Error ? String(error.stack) : String(error) });
  }

  /** Uneven: the first ids get hundreds of times as many events as the last ones. */
  #someId(): string {
    return String(Math.floor(STREAMS ** this.#random.next()) - 1);
  }

  #numbers(count: number): number[] {
    return Array.from({ length: count }, () => this.#random.below(NUMBERS));
  }
}

function oneOf({ streamVersion, position, token }: { readonly streamVersion: number; readonly position: string; readonly token: Token }): Reached {
  return { versions: [streamVersion], position, token };
}

function isUnknown(error: unknown): boolean {
  return isMillraceError(error, 'outcome-unknown') || (error instanceof AggregateError && error.errors.some(isUnknown));
}
