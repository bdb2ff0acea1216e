// Inspector: read-only facts about a store, for people, their tools, and health probes.
import type { RecordedEvent } from '../event.ts';
import type { Projection } from '../fold/projection.ts';
import type {
  ProcessorFacts,
  CategoryFacts,
  DocumentFacts,
  DocumentStep,
  EventFacts,
  HealthFacts,
  ServerFacts,
  StoreFacts,
  StreamFacts,
} from './facts.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import type { Versioned } from '../snapshot/scan.ts';
import { type DocumentKeysOptions, type HistoryOptions, readDocument, readHistory, walkDocumentKeys } from './document-facts.ts';
import { type EventPlace, findById, readEvent, readEventFacts, type SearchOptions } from './event-facts.ts';
import { type HealthOptions, readHealth } from './health.ts';
import { ProcessorLooks } from './processor-facts.ts';
import { readServers } from './server-facts.ts';
import { type CategoriesOptions, readCategories, readStore, type StreamsOptions, walkStreams } from './store-facts.ts';

/** Looks into a store: takes any open one, and needs no closing. */
export function inspect(store: object): Inspector {
  return new Inspector(store);
}

/**
 * What is in a store and what runs on it, as values to look at. It writes nothing, and asks for nothing that holds Redis up; what walks the
 * log or the keyspace says so. Its methods throw ConnectionFailedError and ServerRefusedError, as every read, and StoreClosedError.
 */
export class Inspector {
  readonly #store: object;
  readonly #looks = new ProcessorLooks();

  constructor(store: object) {
    this.#store = store;
    connectionOf(store);
  }

  /** The server, or each primary of a cluster: version, memory, replicas, and what it says is wrong with it. */
  async server(): Promise<readonly ServerFacts[]> {
    return await reading('look at the server', readServers(this.#connection));
  }

  /** How many events there are, and where each partition ends. */
  async store(): Promise<StoreFacts> {
    return await reading('look at the store', readStore(this.#connection));
  }

  /** The categories that have events, by name. */
  async categories(options: CategoriesOptions = {}): Promise<readonly CategoryFacts[]> {
    return await reading('look at the categories', readCategories(this.#connection, options));
  }

  /** Streams, those written last first; with `order: 'any'` by a walk over the whole keyspace. Take as many as you need: it reads on as you go. */
  streams(options: StreamsOptions = {}): AsyncIterableIterator<StreamFacts, undefined, undefined> {
    return walkStreams(this.#connection, options);
  }

  /** One event; undefined where there is none. Throws InvalidInputError for what is no position or stream name. */
  async event(place: EventPlace): Promise<RecordedEvent | undefined> {
    return await reading('read an event', readEvent(this.#connection, place));
  }

  /** The event with an id: at once where that is the usual `stream@version`; one of the caller's own is searched for among the last events. */
  async findById(id: string, options: SearchOptions = {}): Promise<RecordedEvent | undefined> {
    return await reading('find an event', findById(this.#connection, id, options));
  }

  /** One event, what caused it by its `causationId`, and what it caused: there is no index of that, so the next `within` events are looked at. */
  async eventFacts(place: EventPlace, options: SearchOptions = {}): Promise<EventFacts | undefined> {
    return await reading('look at an event', readEventFacts(this.#connection, place, options));
  }

  /**
   * Every projection, reactor, process manager and source that a StreamProcessor ran since it was dropped last: who runs it, how far it is, its
   * dead letters, what stopped it. Speed and time left are told from the second call on, by the same Inspector.
   */
  async processors(): Promise<readonly ProcessorFacts[]> {
    return await reading('look at the processors', this.#looks.look(this.#connection));
  }

  /** The keys of a projection's documents, in no order, by a walk over the whole keyspace: for people, not for queries. */
  documentKeys(of: Versioned, options: DocumentKeysOptions = {}): AsyncIterableIterator<string, undefined, undefined> {
    return walkDocumentKeys(this.#connection, of, options);
  }

  /** A document as it is stored, whatever its projection has yet to fold; needs none of its code. Throws CorruptDocumentError. */
  async document(of: Versioned, key: string): Promise<DocumentFacts | undefined> {
    return await reading('read a document', readDocument(this.#connection, of, key));
  }

  /** Every event of a document, each with the document after it: how it became what it is. Throws whatever `evolve` throws. */
  history<State>(
    projection: Projection<State>,
    key: string,
    options: HistoryOptions = {},
  ): AsyncIterableIterator<DocumentStep<State>, undefined, undefined> {
    return readHistory(this.#connection, projection, key, options);
  }

  /** For a readiness probe: whether the server answers in time, and what this process needs is caught up. Never throws but StoreClosedError. */
  async health(options: HealthOptions = {}): Promise<HealthFacts> {
    return await readHealth(this.#connection, options);
  }

  get #connection(): Connection {
    return connectionOf(this.#store);
  }
}
