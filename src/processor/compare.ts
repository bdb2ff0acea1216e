// Compares the documents of two versions of a projection, or of two projections, page by page.
import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import type { Projection } from '../fold/projection.ts';
import { readHead } from '../log/page.ts';
import { packEntryId, type Position, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { readDocuments } from '../redis/scripts.ts';
import { decodeDocument, documentFields } from '../snapshot/document.ts';
import { hasReached, readCheckpoint } from '../snapshot/reached.ts';
import { scanDocuments } from '../snapshot/scan.ts';

/** Options of `compare`. */
export interface CompareOptions<First, Second> {
  /** What counts as equal. Default: deep equality, as `node:util` has it. `undefined` stands for a document that is not there. */
  readonly equal?: (first: First, second: Second) => boolean;
  /** How many differences to find at most. Default: all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** One of the two documents: undefined state where there is none. */
export interface ComparedDocument<State> {
  readonly state: State | undefined;
  /** The last event folded into it, of each partition whose events it holds. */
  readonly positions: readonly Position[];
}

/** A document that is not the same in both. */
export interface DocumentDifference<First, Second> {
  readonly key: string;
  readonly kind: 'differs' | 'only-first' | 'only-second';
  readonly first: ComparedDocument<First>;
  readonly second: ComparedDocument<Second>;
  /** Whether one of the two may merely be behind: it had not passed all that the other one holds. Compare again once both are caught up. */
  readonly mayBeBehind: boolean;
}

/** Keys that are remembered, so that one which SCAN tells twice is not told twice. */
const REMEMBERED_MAX = 10_000;
const PAIRS_AT_ONCE = 50;

/** A document as it was read: where each partition's events end in it, as packed places. */
interface ReadDocument {
  readonly state: unknown;
  readonly places: ReadonlyMap<number, number>;
}

interface Pair {
  readonly key: string;
  readonly first: ReadDocument;
  readonly second: ReadDocument;
}

/** One comparison. Memory is bounded: it holds a page of documents, and the keys of the last differences. */
export class Comparison {
  readonly #connection: Connection;
  readonly #first: Projection<unknown>;
  readonly #second: Projection<unknown>;
  readonly #equal: (first: unknown, second: unknown) => boolean;
  readonly #told: LRUCache<string, true> = new LRUCache({ max: REMEMBERED_MAX });

  constructor(
    connection: Connection,
    [first, second]: readonly [Projection<unknown>, Projection<unknown>],
    equal: ((first: unknown, second: unknown) => boolean) | undefined,
  ) {
    this.#connection = connection;
    this.#first = first;
    this.#second = second;
    this.#equal = equal ?? isDeepStrictEqual;
  }

  async *run(signal: AbortSignal | undefined): AsyncGenerator<DocumentDifference<unknown, unknown>, undefined, undefined> {
    for (let partition = 0; partition < this.#connection.keys.partitions; partition += 1) {
      for (const walked of [this.#first, this.#second]) {
        const { length } = this.#connection.keys.snapshotPrefix(partition, walked.name, walked.version);
        for await (const page of scanDocuments(this.#connection, walked, partition, { signal })) {
          for (let from = 0; from < page.length; from += PAIRS_AT_ONCE) {
            signal?.throwIfAborted();
            const keys = page.slice(from, from + PAIRS_AT_ONCE).map((key) => key.slice(length));
            yield* await reading('compare documents', this.#compare(partition, keys));
          }
        }
      }
    }
  }

  /** What differs is looked at again, once it is known how far both are: what went on in between must not pass for a difference. */
  async #compare(partition: number, keys: readonly string[]): Promise<DocumentDifference<unknown, unknown>[]> {
    const isSuspect = (pair: Pair): boolean => this.#isDifferent(pair) && !this.#told.has(pair.key);
    const suspects = (await this.#readPairs(partition, keys)).filter(isSuspect).map(({ key }) => key);
    if (suspects.length === 0) return [];
    const reached = await Promise.all([this.#reached(this.#first), this.#reached(this.#second)]);
    const pairs = (await this.#readPairs(partition, suspects)).filter(isSuspect);
    const passed = await Promise.all([this.#checkpoints(this.#first), this.#checkpoints(this.#second)]);
    return pairs.map((pair) => {
      this.#told.set(pair.key, true);
      return this.#differenceOf(pair, isBehind(pair, { reached, passed }));
    });
  }

  #isDifferent({ first, second }: Pair): boolean {
    if (first.state === undefined || second.state === undefined) return first.state !== second.state;
    return !this.#equal(first.state, second.state);
  }

  /** Both documents of a key lie in the same partition, and are read at the same moment. */
  async #readPairs(partition: number, keys: readonly string[]): Promise<Pair[]> {
    const { port, keys: names } = this.#connection;
    const nameOf = ({ name, version }: Projection<unknown>, key: string): string => names.snapshot(partition, name, version, key);
    const documentKeys = keys.flatMap((key) => [nameOf(this.#first, key), nameOf(this.#second, key)]);
    const found = await readDocuments(port, documentKeys);
    const decode = (at: number): ReadDocument => this.#decode(partition, documentKeys[at] ?? '', found[at] ?? []);
    return keys.map((key, index) => ({ key, first: decode(2 * index), second: decode(2 * index + 1) }));
  }

  #decode(partition: number, documentKey: string, fields: readonly string[]): ReadDocument {
    const { state, reserved } = decodeDocument<unknown>(this.#connection.codec, fields, documentKey);
    const places = new Map<number, number>();
    for (const [name, entryId] of reserved) {
      if (name === documentFields.position) places.set(partition, packEntryId(entryId));
      else if (name.startsWith(`${documentFields.position}:`))
        places.set(Number(name.slice(documentFields.position.length + 1)), packEntryId(entryId));
    }
    return { state, places };
  }

  /** Up to where a projection surely has folded everything, in each partition: the head, where nothing of its own lies before that. */
  async #reached(projection: Projection<unknown>): Promise<readonly number[]> {
    return await this.#ofPartitions(async (partition) => {
      const head = await readHead(this.#connection, partition);
      const checkpoint = await readCheckpoint(this.#connection, projection, partition);
      return (await hasReached(this.#connection, projection, partition, head)) ? Math.max(head, checkpoint) : checkpoint;
    });
  }

  async #checkpoints(projection: Projection<unknown>): Promise<readonly number[]> {
    return await this.#ofPartitions((partition) => readCheckpoint(this.#connection, projection, partition));
  }

  async #ofPartitions<T>(read: (partition: number) => Promise<T>): Promise<T[]> {
    return await Promise.all(Array.from({ length: this.#connection.keys.partitions }, (_, partition) => read(partition)));
  }

  #differenceOf({ key, first, second }: Pair, mayBeBehind: boolean): DocumentDifference<unknown, unknown> {
    const kind = first.state === undefined ? 'only-second' : second.state === undefined ? 'only-first' : 'differs';
    return { key, kind, first: comparedOf(first), second: comparedOf(second), mayBeBehind };
  }
}

function comparedOf({ state, places }: ReadDocument): ComparedDocument<unknown> {
  return { state, positions: [...places].map(([partition, place]) => positionOf(partition, place)) };
}

/** How far both projections surely were before the documents were read, and at most were afterwards. */
interface HowFar {
  readonly reached: readonly [readonly number[], readonly number[]];
  readonly passed: readonly [readonly number[], readonly number[]];
}

/** A document that is not there may have been deleted by any event up to where its projection was. */
function isBehind({ first, second }: Pair, { reached, passed }: HowFar): boolean {
  const places = (document: ReadDocument, until: readonly number[]): ReadonlyMap<number, number> =>
    document.state === undefined ? new Map(until.entries()) : document.places;
  const isBeyond = (held: ReadonlyMap<number, number>, until: readonly number[]): boolean =>
    [...held].some(([partition, place]) => place > (until[partition] ?? -1));
  return isBeyond(places(first, passed[0]), reached[1]) || isBeyond(places(second, passed[1]), reached[0]);
}
