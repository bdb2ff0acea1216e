// The pure model of a store: what each append, command and read has to give, written without a thought to how it is done.
import type { ExpectedVersion, Position } from 'millrace';
import { note, type Noted } from '../support/store.ts';

export interface ModelEvent {
  readonly streamName: string;
  readonly streamVersion: number;
  readonly id: string;
  readonly n: number;
  /** Known once it was told or read; from then on it must not change. */
  position: Position | undefined;
}

export interface ModelRequest {
  readonly parts: readonly { readonly streamName: string; readonly events: readonly Noted[]; readonly expectedVersion: ExpectedVersion }[];
  readonly guards: readonly { readonly streamName: string; readonly expectedVersion: ExpectedVersion }[];
  readonly idempotencyKey: string | undefined;
}

export type Expectation =
  | { readonly kind: 'appended'; readonly versions: readonly number[]; readonly isRepeated: boolean; readonly events: readonly ModelEvent[] }
  | {
      readonly kind: 'conflict';
      readonly streamName: string;
      readonly actualVersion: number;
      readonly isGuard: boolean;
      readonly missed: readonly number[];
    }
  | { readonly kind: 'key-reused' }
  | { readonly kind: 'rejected' };

export type ModelCommand = { readonly add: number } | 'nothing' | 'reject';

type Appended = Expectation & { readonly kind: 'appended' };

const MISSED_MAX = 100;

export class StoreModel {
  readonly log: ModelEvent[] = [];
  readonly #results = new Map<string, { readonly digest: string; readonly result: Appended }>();
  #lastNumber = 0;

  /** A number that no event has yet. */
  nextNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }

  stream(streamName: string): readonly ModelEvent[] {
    return this.log.filter((event) => event.streamName === streamName);
  }

  version(streamName: string): number {
    return this.stream(streamName).length;
  }

  append(request: ModelRequest): Expectation {
    return this.#once(request.idempotencyKey, digestOf(request), () => this.#append(request));
  }

  execute(streamName: string, command: ModelCommand, idempotencyKey: string | undefined): Expectation {
    return this.#once(idempotencyKey, JSON.stringify([streamName, command]), () => {
      if (command === 'reject') return { kind: 'rejected' };
      const events = command === 'nothing' ? [] : [note(command.add)];
      return this.#write([{ streamName, events, expectedVersion: 'any' }]);
    });
  }

  /** What is checked of a read: everything that it selects, in its order. */
  read({
    selects,
    from,
    direction,
    limit,
  }: {
    selects: (event: ModelEvent) => boolean;
    from: (event: ModelEvent) => boolean;
    direction: 'forward' | 'backward';
    limit: number | undefined;
  }): readonly ModelEvent[] {
    const found = this.log.filter((event) => selects(event) && from(event));
    return (direction === 'forward' ? found : found.reverse()).slice(0, limit);
  }

  #once(key: string | undefined, digest: string, run: () => Expectation): Expectation {
    const earlier = key === undefined ? undefined : this.#results.get(key);
    if (earlier) return earlier.digest === digest ? { ...earlier.result, isRepeated: true } : { kind: 'key-reused' };
    const result = run();
    if (key !== undefined && result.kind === 'appended' && !result.isRepeated) this.#results.set(key, { digest, result });
    return result;
  }

  #append({ parts, guards }: ModelRequest): Expectation {
    for (const { streamName, expectedVersion } of guards) {
      const actualVersion = this.version(streamName);
      if (!isMet(expectedVersion, actualVersion)) return { kind: 'conflict', streamName, actualVersion, isGuard: true, missed: [] };
    }
    for (const { streamName, events, expectedVersion } of parts) {
      const stream = this.stream(streamName);
      if (isMet(expectedVersion, stream.length)) continue;
      const expected = expectedVersion === 'no-stream' ? 0 : Number(expectedVersion);
      const missed = Number.isNaN(expected) ? [] : stream.slice(expected, expected + Math.max(MISSED_MAX, events.length));
      const earlier = missed.slice(0, events.length);
      const isRepeated =
        parts.length === 1 && earlier.length === events.length && events.every(({ id }, index) => id !== undefined && earlier[index]?.id === id);
      if (isRepeated) return { kind: 'appended', versions: [earlier.at(-1)?.streamVersion ?? 0], isRepeated: true, events: earlier };
      return { kind: 'conflict', streamName, actualVersion: stream.length, isGuard: false, missed: missed.slice(0, MISSED_MAX).map(({ n }) => n) };
    }
    return this.#write(parts);
  }

  #write(parts: ModelRequest['parts']): Appended {
    const written: ModelEvent[] = [];
    const versions = parts.map(({ streamName, events }) => {
      let version = this.version(streamName);
      for (const { id, data } of events) {
        version += 1;
        written.push({ streamName, streamVersion: version, id: id ?? `${streamName}@${version}`, n: data.n, position: undefined });
      }
      return version;
    });
    this.log.push(...written);
    return { kind: 'appended', versions, isRepeated: false, events: written };
  }
}

function digestOf({ parts }: ModelRequest): string {
  return JSON.stringify(parts.map(({ streamName, events }) => [streamName, events]));
}

export function isMet(expected: ExpectedVersion, actual: number): boolean {
  if (expected === 'any') return true;
  if (expected === 'stream-exists') return actual > 0;
  return actual === (expected === 'no-stream' ? 0 : expected);
}
