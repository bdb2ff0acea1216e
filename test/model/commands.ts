// The commands of the model's test: each does the same to the store and to its model, and compares what came of it.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import {
  comparePositions,
  type EventStore,
  type ExpectedVersion,
  isMillraceError,
  type Position,
  type RecordedEvent,
  streamName as nameOf,
  type VersionConflictError,
} from 'millrace';
import { collect, note, notes, numbersOf, type Noted } from '../support/store.ts';
import type { Expectation, ModelCommand, ModelEvent, ModelRequest, StoreModel } from './store-model.ts';

/** What is tested: a store, or one with a planted fault. */
export type Subject = Pick<EventStore, 'append' | 'appendAll' | 'execute' | 'readStream' | 'readAll' | 'readCategory'>;

/** The model, what was asked so far (to be asked again), and how much was done. */
export interface World {
  readonly model: StoreModel;
  readonly asked: (() => ModelRequest)[];
  count: number;
}

type Step = fc.AsyncCommand<World, Subject>;

const STREAMS = ['notes:1', 'notes:2', 'marks:1', 'marks:2'];

export const balance = notes.decider({
  initialState: () => 0,
  evolve: (sum, { data }) => sum + data.n,
  decide: (command: ModelCommand) => {
    if (command === 'reject') throw new RangeError('rejected');
    return command === 'nothing' ? [] : [note(command.add)];
  },
  cachedStates: 2,
  snapshot: { name: 'balance', version: 1, everyEvents: 7 },
});

class Difference extends Error {}

function agree(what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new Difference(`${what}: the store gave ${JSON.stringify(found)}, the model ${JSON.stringify(expected)}`);
}

/** Notes where an event stands; once known it stays. */
function learn(event: ModelEvent | undefined, position: Position | undefined): void {
  if (event?.position !== undefined) agree(`the position of ${event.streamName}@${event.streamVersion}`, position, event.position);
  else if (event) event.position = position;
}

interface Outcome {
  readonly versions: readonly number[];
  readonly isRepeated: boolean;
  readonly position: Position | undefined;
}

async function compare(outcome: Promise<Outcome>, expected: Expectation): Promise<void> {
  const found = await outcome.catch((error: unknown) => error);
  switch (expected.kind) {
    case 'appended':
      if (found instanceof Error) throw new Difference(`expected an append, found ${found.message}`, { cause: found });
      agree('versions', [(found as Outcome).versions, (found as Outcome).isRepeated], [expected.versions, expected.isRepeated]);
      if (expected.events.length > 0) learn(expected.events.at(-1), (found as Outcome).position);
      return;
    case 'conflict': {
      if (!isMillraceError(found, 'version-conflict')) throw new Difference('expected a conflict', { cause: found });
      const { streamName, actualVersion, isGuard, missedEvents } = found as VersionConflictError;
      agree(
        'conflict',
        { kind: 'conflict', streamName, actualVersion, isGuard, missed: numbersOf(missedEvents as readonly RecordedEvent[]) },
        expected,
      );
      return;
    }
    case 'key-reused':
      if (!isMillraceError(found, 'idempotency-key-reused')) throw new Difference('expected a reused key', { cause: found });
      return;
    case 'rejected':
      if (!(found instanceof RangeError)) throw new Difference('expected a rejection', { cause: found });
  }
}

function send(subject: Subject, { parts, guards, idempotencyKey }: ModelRequest): Promise<Outcome> {
  const options = {
    guards: guards.map(({ streamName, expectedVersion }) => ({ stream: nameOf(streamName), expectedVersion })),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  };
  const [only] = parts;
  if (only && parts.length === 1) {
    const events = only.events.length === 1 ? (only.events[0] as Noted) : only.events;
    return subject
      .append(nameOf(only.streamName), events, { ...options, expectedVersion: only.expectedVersion })
      .then(({ streamVersion, ...rest }) => ({ ...rest, versions: [streamVersion] }));
  }
  const all = parts.map(({ streamName, events, expectedVersion }) => ({ stream: nameOf(streamName), events, expectedVersion }));
  return subject.appendAll(all, options).then(({ streamVersions, ...rest }) => ({ ...rest, versions: streamVersions }));
}

/** An append as it was generated: relative to what the streams hold when it is run. */
interface Draft {
  readonly parts: readonly { readonly stream: number; readonly count: number; readonly hasIds: boolean; readonly expected: Wanted }[];
  readonly guards: readonly { readonly stream: number; readonly expected: Wanted }[];
  readonly key: number | undefined;
}

type Wanted = 'any' | 'no-stream' | 'stream-exists' | { readonly behind: number };

function expectedOf(model: StoreModel, streamName: string, wanted: Wanted): ExpectedVersion {
  return typeof wanted === 'string' ? wanted : Math.max(0, model.version(streamName) - wanted.behind);
}

function requestOf(model: StoreModel, { parts, guards, key }: Draft): ModelRequest {
  const named = new Map(parts.map((part) => [STREAMS[part.stream] ?? '', part]));
  return {
    parts: [...named].map(([streamName, { count, hasIds, expected }]) => ({
      streamName,
      events: Array.from({ length: count }, () => {
        const n = model.nextNumber();
        return hasIds ? { ...note(n), id: `id-${n}` } : note(n);
      }),
      expectedVersion: expectedOf(model, streamName, expected),
    })),
    guards: guards.map(({ stream, expected }) => ({
      streamName: STREAMS[stream] ?? '',
      expectedVersion: expectedOf(model, STREAMS[stream] ?? '', expected),
    })),
    idempotencyKey: key === undefined ? undefined : `key-${key}`,
  };
}

/** Appends that are called in one turn: they go together, and each sees what those before it did. */
class Append implements Step {
  readonly #drafts: readonly Draft[];

  constructor(drafts: readonly Draft[]) {
    this.#drafts = drafts;
  }

  check(): boolean {
    return true;
  }

  async run(world: World, subject: Subject): Promise<void> {
    const expected: { request: ModelRequest; expectation: Expectation }[] = this.#drafts.map((draft) => {
      const request = requestOf(world.model, draft);
      world.asked.push(() => request);
      return { request, expectation: world.model.append(request) };
    });
    world.count += expected.length;
    await Promise.all(expected.map(({ request, expectation }) => compare(send(subject, request), expectation)));
  }

  toString(): string {
    return `append ${JSON.stringify(this.#drafts)}`;
  }
}

/** What was asked before is asked again, as it was. */
class AskAgain implements Step {
  readonly #back: number;

  constructor(back: number) {
    this.#back = back;
  }

  check({ asked }: World): boolean {
    return asked.length > this.#back;
  }

  async run(world: World, subject: Subject): Promise<void> {
    const request = world.asked.at(-1 - this.#back)?.();
    if (!request) return;
    world.count += 1;
    const expectation = world.model.append(request);
    await compare(send(subject, request), expectation);
  }

  toString(): string {
    return `ask again what was asked ${this.#back} before`;
  }
}

class Execute implements Step {
  readonly #id: string;
  readonly #command: ModelCommand;
  readonly #key: number | undefined;

  constructor(id: string, command: ModelCommand, key: number | undefined) {
    this.#id = id;
    this.#command = command;
    this.#key = key;
  }

  check(): boolean {
    return true;
  }

  async run(world: World, subject: Subject): Promise<void> {
    world.count += 1;
    const idempotencyKey = this.#key === undefined ? undefined : `key-${this.#key}`;
    const streamName = `notes:${this.#id}`;
    const expectation = world.model.execute(streamName, this.#command, idempotencyKey);
    const executed = subject.execute(balance, this.#id, this.#command, idempotencyKey === undefined ? {} : { idempotencyKey });
    const outcome = executed.then(({ streamVersion, isRepeated, position, state }) => {
      const sum = world.model.stream(streamName).reduce((total, { n }) => total + n, 0);
      if (!isRepeated) agree('the state', state, sum);
      return { versions: [streamVersion], isRepeated, position };
    });
    await compare(outcome, expectation);
  }

  toString(): string {
    return `execute ${JSON.stringify(this.#command)} on ${this.#id}, key ${this.#key}`;
  }
}

interface ReadDraft {
  readonly what: 'stream' | 'category' | 'all';
  readonly stream: number;
  readonly direction: 'forward' | 'backward';
  /** Per thousand of the log, where it begins; undefined for its default. */
  readonly from: number | undefined;
  readonly by: 'version' | 'position';
  readonly limit: number | undefined;
}

class Read implements Step {
  readonly #draft: ReadDraft;

  constructor(draft: ReadDraft) {
    this.#draft = draft;
  }

  check(): boolean {
    return true;
  }

  async run(world: World, subject: Subject): Promise<void> {
    world.count += 1;
    const { model } = world;
    const { what, direction, limit, from, by } = this.#draft;
    const streamName = STREAMS[this.#draft.stream] ?? '';
    const [categoryName = ''] = streamName.split(':');
    const selects = (event: ModelEvent): boolean =>
      what === 'all' || (what === 'stream' ? event.streamName === streamName : event.streamName.startsWith(`${categoryName}:`));
    const start = from === undefined ? undefined : startIn(model, what === 'stream' && by === 'version' ? streamName : undefined, from);
    const options = { direction, ...(limit !== undefined && { limit }) };
    const isBehind = (event: ModelEvent): boolean => start === undefined || start.isWithin(event, direction);
    const expected = model.read({ selects, from: isBehind, direction, limit });
    const position = start?.position;
    const placed = { ...options, ...(position !== undefined && { from: position }) };
    const reader =
      what === 'all'
        ? subject.readAll(placed)
        : what === 'category'
          ? subject.readCategory({ name: categoryName }, placed)
          : subject.readStream(nameOf(streamName), start?.version === undefined ? placed : { ...options, from: start.version });
    const found = await collect(reader);
    agree(
      this.toString(),
      found.map((event) => [event.streamName, event.streamVersion, event.id, ...numbersOf([event])]),
      expected.map((event) => [event.streamName, event.streamVersion, event.id, event.n]),
    );
    found.forEach((event, index) => learn(expected[index], event.position));
  }

  toString(): string {
    return `read ${JSON.stringify(this.#draft)}`;
  }
}

interface Start {
  readonly position?: Position;
  readonly version?: number;
  isWithin(event: ModelEvent, direction: 'forward' | 'backward'): boolean;
}

/** A place to begin at: a version, which is included, or the position of an event, which is not. */
function startIn({ log }: StoreModel, streamName: string | undefined, perMille: number): Start | undefined {
  const chosen = streamName === undefined ? log : log.filter((event) => event.streamName === streamName);
  const event = chosen[Math.floor((perMille * chosen.length) / 1_000)];
  if (!event) return undefined;
  if (streamName !== undefined) {
    return {
      version: event.streamVersion,
      isWithin: (other, direction) =>
        direction === 'forward' ? other.streamVersion >= event.streamVersion : other.streamVersion <= event.streamVersion,
    };
  }
  if (event.position === undefined) return undefined;
  const place = log.indexOf(event);
  return {
    position: event.position,
    isWithin: (other, direction) => (direction === 'forward' ? log.indexOf(other) > place : log.indexOf(other) < place),
  };
}

const wanted: fc.Arbitrary<Wanted> = fc.oneof(
  { weight: 4, arbitrary: fc.constant('any' as const) },
  { weight: 4, arbitrary: fc.constant({ behind: 0 }) },
  { weight: 2, arbitrary: fc.record({ behind: fc.integer({ min: -2, max: 130 }) }) },
  { weight: 1, arbitrary: fc.constantFrom('no-stream' as const, 'stream-exists' as const) },
);
const stream = fc.nat({ max: STREAMS.length - 1 });
const key = fc.option(fc.nat({ max: 60 }), { nil: undefined, freq: 4 });
const part = fc.record({
  stream,
  count: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 5 }) }),
  hasIds: fc.boolean(),
  expected: wanted,
});
const draft: fc.Arbitrary<Draft> = fc.record({
  parts: fc.oneof({ weight: 4, arbitrary: fc.tuple(part) }, { weight: 1, arbitrary: fc.array(part, { minLength: 2, maxLength: 3 }) }),
  guards: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.record({ stream, expected: wanted }), { minLength: 1, maxLength: 2 }) },
  ),
  key,
});
const read: fc.Arbitrary<ReadDraft> = fc.record({
  what: fc.constantFrom('stream' as const, 'category' as const, 'all' as const),
  stream,
  direction: fc.constantFrom('forward' as const, 'backward' as const),
  from: fc.option(fc.nat({ max: 999 }), { nil: undefined }),
  by: fc.constantFrom('version' as const, 'position' as const),
  limit: fc.option(fc.nat({ max: 40 }), { nil: undefined, freq: 4 }),
});
const modelCommand: fc.Arbitrary<ModelCommand> = fc.oneof(
  fc.record({ add: fc.integer({ min: 1, max: 9 }) }),
  fc.constantFrom('nothing' as const, 'reject' as const),
);

/** All that can be done, as often as is interesting. */
export const allSteps: fc.Arbitrary<Step>[] = [
  fc.tuple(draft).map((drafts) => new Append(drafts)),
  fc.array(draft, { minLength: 2, maxLength: 12 }).map((drafts) => new Append(drafts)),
  fc.nat({ max: 20 }).map((back) => new AskAgain(back)),
  fc.tuple(fc.constantFrom('1', '2'), modelCommand, key).map(([id, command, idempotencyKey]) => new Execute(id, command, idempotencyKey)),
  read.map((each) => new Read(each)),
];

/** What must hold at the end of any run: the whole log is what the model says, and positions strictly increase. */
export async function checkEnd({ model }: World, subject: Subject): Promise<void> {
  const all = await collect(subject.readAll());
  agree(
    'the whole log',
    numbersOf(all),
    model.log.map(({ n }) => n),
  );
  all.forEach((event, index) => learn(model.log[index], event.position));
  all.forEach((event, index) => {
    const before = all[index - 1];
    if (before && comparePositions(before.position, event.position) >= 0) throw new Difference(`${event.position} comes after ${before.position}`);
  });
}
