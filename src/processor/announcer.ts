// Tells what a processor runs and what stopped it: in Redis, for people and tools without its code, and to whoever logs and traces.
import type { AnyProjection } from '../fold/projection.ts';
import type { Source } from '../fold/source.ts';
import { checkpointText } from '../loop/lease.ts';
import type { Task } from '../loop/task.ts';
import type { Reactor } from '../reactor/reactor.ts';
import type { Connection } from '../redis/connection.ts';
import type { RecordedEvent } from '../event.ts';
import type { ReactorIn } from '../reactor/reactor-tasks.ts';
import { log } from '../telemetry.ts';
import { type RegisteredFacts, registeredOf, registeredSource } from './registered.ts';
import { type Failure, noteFailure, register } from './registry.ts';

export class Announcer {
  readonly #connection: Connection;
  readonly #owner: string;
  readonly #registered: ReadonlyMap<string, RegisteredFacts>;
  readonly #sources: readonly RegisteredFacts[];
  #isUnderWay = false;

  constructor(connection: Connection, owner: string, definitions: readonly (AnyProjection | Reactor)[], sources: readonly Source[]) {
    this.#connection = connection;
    this.#owner = owner;
    this.#registered = new Map(definitions.map((each) => [`${each.name}@${each.version}`, registeredOf(each)]));
    this.#sources = sources.map(registeredSource);
  }

  started(): void {
    log(
      this.#connection.logger,
      'info',
      { owner: this.#owner, runs: [...this.#registered.keys()], sources: this.#sources.map(({ name }) => name) },
      'processor started',
    );
    this.#announce();
  }

  stopped(): void {
    log(this.#connection.logger, 'info', { owner: this.#owner }, 'processor stopped');
  }

  leased({ name, partition, checkpoint }: Task): void {
    log(this.#connection.logger, 'debug', { processor: name, partition, epoch: checkpoint?.epoch, owner: this.#owner }, 'lease taken');
    this.#announce();
  }

  deadLetter({ reactor, version, partition }: ReactorIn, event: RecordedEvent, error: unknown): void {
    const { logger, telemetry } = this.#connection;
    telemetry?.deadLetter({ reactor, version, partition, event });
    log(
      logger,
      'warn',
      { err: error, reactor: `${reactor}@${version}`, partition, eventId: event.id, position: event.position },
      'event given up: it is a dead letter now',
    );
  }

  /** At the start, and with each lease that is taken: what was dropped meanwhile, and is run all the same, is told again. */
  #announce(): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    void register(this.#connection, [...this.#registered.values(), ...this.#sources])
      .catch(() => undefined) // the next lease tells it again
      .finally(() => {
        this.#isUnderWay = false;
      });
  }

  taskFailed({ name, partition, lastKnown }: Task, error: unknown): void {
    log(this.#connection.logger, 'error', { err: error, processor: name, partition }, 'stands still');
    const of = this.#registered.get(name);
    if (of) this.#note({ of, partition, error, entryId: checkpointText(lastKnown?.place ?? -1) });
  }

  sourceFailed(source: Source, error: unknown): void {
    log(this.#connection.logger, 'error', { err: error, source: source.key }, 'stands still');
    this.#note({ of: registeredSource(source), partition: undefined, error, entryId: '' });
  }

  #note(failure: Omit<Failure, 'owner'>): void {
    noteFailure(this.#connection, { ...failure, owner: this.#owner }).catch(() => undefined); // listeners have it
  }
}
