// Metrics of what the store is like, asked for when they are collected: what the page shows, for whoever watches and alarms.
import { type BatchObservableResult, type Meter, metrics, type Observable } from '@opentelemetry/api';
import { type CategoryFacts, inspect, type ProcessorFacts, type ServerFacts, type StoreFacts } from '../index.ts';

/** Where the metrics go. */
export interface ObserveOptions {
  /** Default: that of the global provider, by the name `millrace`. */
  readonly meter?: Meter;
  /** Told where the store could not be asked: those metrics are missing then, which is what an alert looks at. Default: nothing. */
  readonly onError?: (error: unknown) => void;
}

interface Seen {
  readonly servers: readonly ServerFacts[];
  readonly store: StoreFacts;
  readonly categories: readonly CategoryFacts[];
  readonly processors: readonly ProcessorFacts[];
}

/** One thing that is told. */
interface Told {
  readonly observable: Observable;
  readonly tell: (result: BatchObservableResult, seen: Seen) => void;
}

/**
 * Observes a store: one process of a service is enough, for it asks Redis. It asks once for each collection, and never twice at the same time.
 * What it gives ends it.
 */
export function observe(store: object, { meter = metrics.getMeter('millrace'), onError = () => {} }: ObserveOptions = {}): () => void {
  const facts = inspect(store);
  const all = [...ofStore(meter), ...ofProcessors(meter)];
  const observables = all.map(({ observable }) => observable);
  let looking: Promise<Seen> | undefined;
  const look = async (): Promise<Seen> => {
    const [servers, stored, categories, processors] = await Promise.all([facts.server(), facts.store(), facts.categories(), facts.processors()]);
    return { servers, store: stored, categories, processors };
  };
  const callback = async (result: BatchObservableResult): Promise<void> => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    const seen = await looking.catch(onError);
    if (seen) for (const { tell } of all) tell(result, seen);
  };
  meter.addBatchObservableCallback(callback, observables);
  return () => meter.removeBatchObservableCallback(callback, observables);
}

function ofStore(meter: Meter): readonly Told[] {
  const events = meter.createObservableCounter('millrace.events', { unit: '{event}', description: 'Events in the log, by category.' });
  const scheduled = meter.createObservableGauge('millrace.scheduled', { unit: '{event}', description: 'Appends that wait for their time.' });
  const used = meter.createObservableGauge('millrace.server.memory.used', { unit: 'By', description: 'Memory that the server uses.' });
  const limit = meter.createObservableGauge('millrace.server.memory.limit', {
    unit: 'By',
    description: 'maxmemory, else the memory of the machine.',
  });
  const replicas = meter.createObservableGauge('millrace.server.replicas', { unit: '{replica}', description: 'Replicas that are connected.' });
  const troubles = meter.createObservableGauge('millrace.server.troubles', {
    unit: '{trouble}',
    description: 'What the server says is wrong with it.',
  });
  const eachServer = (observable: Observable, valueOf: (server: ServerFacts) => number | undefined): Told => ({
    observable,
    tell: (result, { servers }) => {
      for (const [index, server] of servers.entries()) {
        const value = valueOf(server);
        if (value !== undefined) result.observe(observable, value, { server: String(server.port ?? index) });
      }
    },
  });
  return [
    {
      observable: events,
      tell: (result, { categories }) => categories.forEach(({ category, events: count }) => result.observe(events, count, { category })),
    },
    { observable: scheduled, tell: (result, { store }) => result.observe(scheduled, store.scheduled) },
    eachServer(used, ({ memoryUsedBytes }) => memoryUsedBytes),
    eachServer(limit, ({ memoryLimitBytes, memoryOfMachineBytes }) => memoryLimitBytes ?? memoryOfMachineBytes),
    eachServer(replicas, (server) => server.replicas),
    eachServer(troubles, (server) => server.troubles.length),
  ];
}

function ofProcessors(meter: Meter): readonly Told[] {
  const gauge = (name: string, unit: string, description: string, valueOf: (each: ProcessorFacts) => number): Told => {
    const observable = meter.createObservableGauge(`millrace.processor.${name}`, { unit, description });
    const labels = ({ kind, name: processor, version }: ProcessorFacts): Record<string, string> => ({ kind, processor, version: String(version) });
    return { observable, tell: (result, { processors }) => processors.forEach((each) => result.observe(observable, valueOf(each), labels(each))) };
  };
  return [
    gauge('lag.events', '{event}', 'Events that it has yet to fold or handle.', ({ lagEvents }) => lagEvents),
    gauge('lag.time', 's', 'How long ago the first of them was recorded.', ({ lagMs }) => lagMs / 1_000),
    gauge('dead_letters', '{event}', 'Open dead letters.', ({ deadLetters }) => deadLetters),
    gauge('waiting', '{event}', 'Events that wait behind dead letters.', ({ eventsWaiting }) => eventsWaiting),
    gauge('partitions.run', '{partition}', 'Partitions in which somebody runs it.', ({ partitionsRun }) => partitionsRun),
    gauge('standing', '1', '1 while it stands still for a failure.', ({ lastFailure }) => (lastFailure?.isCurrent === true ? 1 : 0)),
    gauge('paused', '1', '1 while it is paused.', ({ isPaused }) => (isPaused ? 1 : 0)),
  ];
}
