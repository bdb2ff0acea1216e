// Traces and metrics by OpenTelemetry's conventions for messaging: append, read, project, react.
import {
  type Attributes,
  context,
  type Counter,
  type Histogram,
  type Link,
  type Meter,
  metrics,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { AppendedTrace, EventMetadata, FoldTrace, ReactTrace, ReadTrace, Telemetry } from '../index.ts';
import { contextOf, metadataOf } from './trace-context.ts';

/** Where traces and metrics go. */
export interface OpenTelemetryOptions {
  /** Default: that of the global provider, by the name `millrace`. */
  readonly tracer?: Tracer;
  readonly meter?: Meter;
}

/** There is no well-known value for Redis Streams: the conventions ask for a name of one's own then. */
const SYSTEM = { 'messaging.system': 'millrace' } as const;
const SECONDS = { unit: 's', advice: { explicitBucketBoundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] } };

type Operation = 'send' | 'receive' | 'process';

/** What is to be said of a piece of work. */
interface Work {
  readonly operation: Operation;
  /** What the span is called behind the operation's name. */
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  readonly links?: readonly Link[];
  readonly isTopmost?: boolean;
}

/** For the option `telemetry` of `EventStore.connect`. Needs the package `@opentelemetry/api`. */
export function openTelemetry(options: OpenTelemetryOptions = {}): Telemetry {
  return new OpenTelemetry(options.tracer ?? trace.getTracer('millrace'), options.meter ?? metrics.getMeter('millrace'));
}

class OpenTelemetry implements Telemetry {
  readonly #tracer: Tracer;
  readonly #durations: Histogram;
  readonly #processing: Histogram;
  readonly #sent: Counter;
  readonly #consumed: Counter;
  readonly #dead: Counter;

  constructor(tracer: Tracer, meter: Meter) {
    this.#tracer = tracer;
    this.#durations = meter.createHistogram('messaging.client.operation.duration', { ...SECONDS, description: 'Duration of appends and reads.' });
    this.#processing = meter.createHistogram('messaging.process.duration', {
      ...SECONDS,
      description: 'Duration of folding a batch, or handling an event.',
    });
    this.#sent = meter.createCounter('messaging.client.sent.messages', { unit: '{message}', description: 'Events that were appended.' });
    this.#consumed = meter.createCounter('messaging.client.consumed.messages', {
      unit: '{message}',
      description: 'Events that were read, folded or handled.',
    });
    this.#dead = meter.createCounter('millrace.reactor.dead_letters', { unit: '{message}', description: 'Events that reactors gave up.' });
  }

  async append<T>({ categories, events }: AppendedTrace, work: (trace: EventMetadata) => Promise<T>): Promise<T> {
    const destination = categories.join(',');
    const labels = { 'messaging.operation.name': 'append', 'messaging.destination.name': destination };
    const attributes = { ...labels, 'messaging.batch.message_count': events };
    const result = await this.#run({ operation: 'send', name: destination, kind: SpanKind.PRODUCER, attributes }, this.#durations, (span) =>
      work(span.isRecording() ? metadataOf(span.spanContext()) : {}),
    );
    this.#sent.add(events, { ...SYSTEM, ...labels });
    return result;
  }

  async read<T>({ category }: ReadTrace, work: () => Promise<T>, countOf: (read: T) => number): Promise<T> {
    const name = category ?? 'all';
    const attributes = { 'messaging.operation.name': 'read', 'messaging.destination.name': name };
    return await this.#run({ operation: 'receive', name, kind: SpanKind.CLIENT, attributes }, this.#durations, async (span) => {
      const read = await work();
      const count = countOf(read);
      span.setAttribute('messaging.batch.message_count', count);
      this.#consumed.add(count, { ...SYSTEM, ...attributes });
      return read;
    });
  }

  async fold({ projection, version, partition, events }: FoldTrace, work: () => Promise<void>): Promise<void> {
    const name = `${projection}@${version}`;
    const labels = { 'messaging.operation.name': 'project', 'messaging.consumer.group.name': name };
    const attributes = { ...labels, 'messaging.destination.partition.id': String(partition), 'messaging.batch.message_count': events };
    await this.#run({ operation: 'process', name, kind: SpanKind.CONSUMER, attributes, isTopmost: true }, this.#processing, work);
    this.#consumed.add(events, { ...SYSTEM, ...labels });
  }

  async react({ reactor, version, partition, attempt, event }: ReactTrace, work: () => Promise<unknown> | void): Promise<unknown> {
    const name = `${reactor}@${version}`;
    const labels = { 'messaging.operation.name': 'react', 'messaging.consumer.group.name': name };
    const attributes = {
      ...labels,
      'messaging.destination.name': event.streamName.slice(0, event.streamName.indexOf(':')),
      'messaging.destination.partition.id': String(partition),
      'messaging.message.id': event.id,
      'millrace.event.type': event.type,
      'millrace.attempt': attempt,
    };
    const from = contextOf(event.metadata);
    const links = from ? [{ context: from }] : [];
    const result = await this.#run(
      { operation: 'process', name, kind: SpanKind.CONSUMER, attributes, links, isTopmost: true },
      this.#processing,
      () => work(),
    );
    this.#consumed.add(1, { ...SYSTEM, ...labels });
    return result;
  }

  deadLetter({ reactor, version }: Omit<ReactTrace, 'attempt'>): void {
    this.#dead.add(1, { ...SYSTEM, 'messaging.consumer.group.name': `${reactor}@${version}` });
  }

  async #run<T>(work: Work, histogram: Histogram, call: (span: Span) => Promise<T> | T): Promise<T> {
    const { operation, name, kind, attributes, links = [], isTopmost = false } = work;
    const all: Attributes = { ...SYSTEM, 'messaging.operation.type': operation, ...attributes };
    const span = this.#tracer.startSpan(`${String(attributes['messaging.operation.name'])} ${name}`, {
      kind,
      attributes: all,
      links: [...links],
      root: isTopmost,
    });
    const started = performance.now();
    const labels = labelsOf(all);
    try {
      return await context.with(trace.setSpan(context.active(), span), () => call(span));
    } catch (error) {
      labels['error.type'] = tellError(span, error);
      throw error;
    } finally {
      span.end();
      histogram.record((performance.now() - started) / 1_000, labels);
    }
  }
}

function tellError(span: Span, error: unknown): string {
  const type = error instanceof Error ? error.name : typeof error;
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
  span.setAttribute('error.type', type);
  return type;
}

/** Of a metric: what has few values. */
function labelsOf({
  'messaging.message.id': _,
  'messaging.batch.message_count': __,
  'messaging.destination.partition.id': ___,
  'millrace.attempt': ____,
  ...labels
}: Attributes): Attributes {
  return labels;
}
