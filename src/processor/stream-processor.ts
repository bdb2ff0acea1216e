// StreamProcessor: runs projections, reactors and imports, together with every other process that runs the same ones.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidInputError, StoreClosedError } from '../errors.ts';
import { Executor } from '../execute.ts';
import type { AnyProjection } from '../fold/projection.ts';
import type { Source } from '../fold/source.ts';
import { readHead } from '../log/page.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { isPassing, publicError, reading } from '../redis/public-error.ts';
import { endsOfSources, type FollowedTask, haveCaughtUp, haveImported } from './caught-up.ts';
import { PartitionLoop } from '../loop/partition-loop.ts';
import { type Listener, type ProcessorEvents, ProcessorListeners } from './processor-events.ts';
import { type ProjectionProgress, projectionProgress, type SourceProgress, sourceProgress } from './progress.ts';
import { ProjectionTask } from './projection-task.ts';
import type { Reactor } from '../reactor/reactor.ts';
import { type ReactorProgress, reactorProgress } from './reactor-progress.ts';
import { Announcer } from './announcer.ts';
import type { StreamProcessorOptions } from './processor-options.ts';
import { isRunHere, reactorRun, type ReactorRun, type ReactorTasksOptions } from '../reactor/reactor-tasks.ts';
import { deliverDue, ScheduleLoops } from './schedule-loop.ts';
import { Share } from '../loop/share.ts';
import { type Throttle, throttleOf } from '../loop/throttle.ts';
import { SourceLoop } from './source-loop.ts';
import type { Task } from '../loop/task.ts';
import { InWords } from '../show.ts';
import { waitAtMost } from '../loop/wait-at-most.ts';

/** How far a processor's work is, whoever does it. */
export interface ProcessorProgress {
  readonly projections: readonly ProjectionProgress[];
  readonly reactors: readonly ReactorProgress[];
  readonly sources: readonly SourceProgress[];
}

/** Less than a read waits for a token by default, so that a process that died does not make it fail. */
const LEASE_MS = 4_000;
const LEASE_MS_MIN = 100;
const POLL_MS = 20;

/**
 * Runs projections and imports until it is stopped. Any number of processes may run the same ones: each projection has one owner in each
 * partition, and every event counts exactly once, whatever happens to a process.
 */
export class StreamProcessor {
  readonly #connection: Connection;
  readonly #options: StreamProcessorOptions;
  readonly #tasks: readonly ProjectionTask[];
  readonly #throttle: Throttle | undefined;
  readonly #reactorRuns: readonly ReactorRun[];
  readonly #listeners = new ProcessorListeners();
  readonly #announcer: Announcer;
  /** Stands in each checkpoint that is held, so that people see who works: machine, process, and this processor of it. */
  readonly #owner: string = `${hostname()}/${process.pid}/${randomUUID()}`;
  #loops: PartitionLoop[] = [];
  #sourceLoops: SourceLoop[] = [];
  #scheduleLoops: ScheduleLoops | undefined;
  #isStarted = false;
  /** Calls of runUntilCaughtUp under way: a failure reaches their callers. */
  #waiting = 0;
  #stopped: Promise<void> | undefined;

  /** Throws InvalidInputError for projections that share a name and version, or a lease that is too short. */
  constructor(store: object, options: StreamProcessorOptions = {}) {
    this.#connection = connectionOf(store);
    this.#options = options;
    this.#throttle = throttleOf(options.eventsPerSecond);
    const { leaseMs = LEASE_MS } = options;
    if (!Number.isSafeInteger(leaseMs) || leaseMs < LEASE_MS_MIN)
      throw new InvalidInputError('leaseMs', `a whole number of milliseconds from ${LEASE_MS_MIN}`, leaseMs);
    const { reactors = [], sources = [] } = options;
    const definitions = [...this.#projections(), ...reactors];
    assertDistinct('projections and reactors of a processor', definitions.map(titleOf));
    assertDistinct('sources of a processor', sources.map(keyOf));
    this.#announcer = new Announcer(this.#connection, this.#owner, definitions, sources);
    const taskOptions = {
      leaseMs,
      onCommit: ({ projection: { name, version }, partition }: ProjectionTask, events: number) =>
        this.#tell('progress', { projection: name, version, partition, events }),
    };
    this.#tasks = this.#partitions().flatMap((partition) =>
      this.#projections().map((projection) => new ProjectionTask(this.#connection, projection, partition, taskOptions)),
    );
    this.#reactorRuns = this.#makeReactorRuns(reactors, leaseMs);
  }

  #makeReactorRuns(reactors: readonly Reactor[], leaseMs: number): ReactorRun[] {
    const executor = new Executor(this.#connection);
    const runOptions: ReactorTasksOptions = {
      leaseMs,
      owner: this.#owner,
      throttle: this.#throttle,
      onCommit: (of, events) => this.#tell('reacted', { ...of, events }),
      onDeadLetter: (of, event, error) => {
        this.#tell('deadLetter', { ...of, event, error });
        this.#announcer.deadLetter(of, event, error);
      },
      onFailure: ({ reactor, partition }, error) => this.#tell('failed', { reactor, partition, error }),
    };
    return reactors.flatMap((reactor) =>
      this.#partitions().map((partition) => reactorRun(this.#connection, executor, reactor, partition, runOptions)),
    );
  }

  /** Runs until `stop`. Failures of single projections are told by the event `failed`, or as a warning of the process where nobody listens. */
  start(): void {
    if (this.#stopped) throw new InvalidInputError('call of start', 'a processor that was not stopped; make a new one', new InWords('one that was'));
    this.#assertOpen();
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#announcer.started();
    const { leaseMs = LEASE_MS, sources = [] } = this.#options;
    const owner = this.#owner;
    // Projections of a partition read it together; each reactor by itself, for its handlers take their time.
    const share = new Share(owner);
    const shares = new Map((this.#options.reactors ?? []).map((reactor) => [reactor, new Share(owner)]));
    const tasksIn = (partition: number): readonly Task[] => this.#tasks.filter((task) => task.partition === partition);
    this.#loops = [
      ...(this.#tasks.length === 0 ? [] : this.#partitions().map((partition) => this.#loop(partition, tasksIn(partition), share))),
      ...this.#reactorRuns.map(({ task }) => this.#loop(task.partition, [task], shares.get(task.reactor) ?? share)),
    ];
    const onSourceFailure = (source: Source, error: unknown): void => {
      this.#tell('failed', { source: source.key, error });
      this.#announcer.sourceFailed(source, error);
    };
    this.#sourceLoops = sources.map((source) => new SourceLoop(this.#connection, source, { owner, leaseMs, onFailure: onSourceFailure }));
    for (const loop of this.#loops) loop.start();
    for (const { worker } of this.#reactorRuns) worker?.start();
    for (const loop of this.#sourceLoops) loop.start();
    if (!this.#delivers()) return;
    const onFailure = (partition: number, error: unknown): void => this.#tell('failed', { partition, error });
    this.#scheduleLoops = new ScheduleLoops(this.#connection, { owner, leaseMs, onFailure });
    this.#scheduleLoops.start();
  }

  #loop(partition: number, tasks: readonly Task[], share: Share): PartitionLoop {
    const { leaseMs = LEASE_MS } = this.#options;
    const onLease = (task: Task): void => this.#announcer.leased(task);
    const onFailure = (task: Task, error: unknown): void => {
      this.#tell('failed', { ...task.subject, partition, error });
      this.#announcer.taskFailed(task, error);
    };
    return new PartitionLoop(this.#connection, partition, tasks, {
      owner: this.#owner,
      leaseMs,
      share,
      throttle: this.#throttle,
      onFailure,
      onLease,
    });
  }

  /**
   * Resolves when every source is imported and every projection folded up to where they ended at the call, and
   * every reactor done with the events up to there (handled, dead letters, or waiting behind one), whoever did it. Starts the
   * processor if it does not run, and stops it then.
   * @throws ProjectionFailedError, SourceFailedError, LogLostError: whatever one of them stands still for.
   * @throws PausedError where one is behind and paused, or being rewound or dropped.
   */
  async runUntilCaughtUp({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted();
    const wasStarted = this.#isStarted;
    const { sources = [] } = this.#options;
    this.#waiting += 1;
    try {
      const ends = await this.#waitThrough(signal, () => endsOfSources(this.#connection, sources));
      this.start();
      await this.#until(signal, () => haveImported(this.#connection, ends));
      if (this.#delivers()) await deliverDue(this.#connection, signal);
      const heads = await this.#waitThrough(signal, () => Promise.all(this.#partitions().map((partition) => readHead(this.#connection, partition))));
      await this.#until(signal, () => haveCaughtUp(this.#connection, this.#followed(), heads));
    } finally {
      this.#waiting -= 1;
      if (!wasStarted) await this.stop();
    }
  }

  /**
   * Finishes and stores the batches in hand, and gives the work to other processes. Cannot be started again. Where the server does not
   * answer it resolves after the store's `timeoutMs` all the same: leases run out, and what was not stored is folded by the next owner.
   */
  async stop(): Promise<void> {
    const workers = this.#reactorRuns.flatMap(({ worker }) => worker ?? []);
    const loops = [...this.#loops, ...workers, ...this.#sourceLoops, ...(this.#scheduleLoops ? [this.#scheduleLoops] : [])];
    this.#stopped ??= waitAtMost(this.#connection.timeoutMs, Promise.all(loops.map((loop) => loop.stop()))).finally(() => this.#announcer.stopped());
    await this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Listens; the result stops listening. */
  on<Name extends keyof ProcessorEvents>(name: Name, listener: Listener<Name>): () => void {
    return this.#listeners.add(name, listener);
  }

  /** How far each projection is in each partition, and each source: checkpoint, lag in events and in time, errors. */
  async progress(): Promise<ProcessorProgress> {
    this.#assertOpen();
    const projections = this.#tasks.map((task) =>
      projectionProgress(this.#connection, task.projection, task.partition, { isRunHere: task.checkpoint !== undefined, error: task.failure }),
    );
    const reactors = this.#reactorRuns.map((run) =>
      reactorProgress(this.#connection, run.task.reactor, run.task.partition, { isRunHere: isRunHere(run), error: run.task.failure }),
    );
    const failures = new Map(this.#sourceLoops.map(({ source, failure }) => [source.key, failure]));
    const sources = (this.#options.sources ?? []).map((source) => sourceProgress(this.#connection, source, failures.get(source.key)));
    return await reading(
      'read the progress',
      Promise.all([Promise.all(projections), Promise.all(reactors), Promise.all(sources)]).then(([folded, reacted, imported]) => ({
        projections: folded,
        reactors: reacted,
        sources: imported,
      })),
    );
  }

  // What is folded on read needs no processor.
  #projections(): readonly AnyProjection[] {
    return (this.#options.projections ?? []).filter(({ consistency }) => consistency === 'async');
  }

  #delivers(): boolean {
    return this.#options.deliverScheduled ?? true;
  }

  #partitions(): readonly number[] {
    return Array.from({ length: this.#connection.keys.partitions }, (_, partition) => partition);
  }

  #tell<Name extends keyof ProcessorEvents>(name: Name, event: ProcessorEvents[Name]): void {
    const isHeard = this.#listeners.tell(name, event);
    if (name === 'failed' && !isHeard && this.#waiting === 0 && !this.#connection.logger)
      process.emitWarning((event as ProcessorEvents['failed']).error as Error);
  }

  #followed(): readonly FollowedTask[] {
    const folded = this.#tasks.map((task) => ({ task, what: task.projection }));
    return [...folded, ...this.#reactorRuns.map(({ task }) => ({ task, what: task.reactor }))];
  }

  async #until(signal: AbortSignal | undefined, isDone: () => Promise<boolean>): Promise<void> {
    for (;;) {
      this.#throwFailure();
      if (await this.#waitThrough(signal, isDone)) return;
      await delay(POLL_MS);
    }
  }

  /** A lost connection is waited out here too. */
  async #waitThrough<T>(signal: AbortSignal | undefined, read: () => Promise<T>): Promise<T> {
    for (;;) {
      signal?.throwIfAborted();
      this.#assertOpen();
      try {
        return await read();
      } catch (error) {
        this.#throwFailure();
        if (!isPassing(error)) throw publicError('see how far the processor is', error);
        await delay(POLL_MS);
      }
    }
  }

  #assertOpen(): void {
    if (this.#connection.closed.aborted) throw new StoreClosedError();
  }

  #throwFailure(): void {
    const failures = [...this.#tasks, ...this.#reactorRuns.map(({ task }) => task), ...this.#sourceLoops].map(({ failure }) => failure);
    const failure = failures.find((each) => each !== undefined);
    if (failure !== undefined) throw failure as Error;
  }
}

function keyOf({ key }: Source): string {
  return key;
}

function titleOf({ name, version }: AnyProjection | Reactor): string {
  return `${name}@${version}`;
}

function assertDistinct(what: string, names: readonly string[]): void {
  if (new Set(names).size < names.length) throw new InvalidInputError(what, 'each once', names);
}
