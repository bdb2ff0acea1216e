// Tests what a store tells OpenTelemetry and a logger of its work, and that it changes nothing of it.
import { context, createTraceState, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, NodeTracerProvider, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { category, type Event, type EventStore, type Logger, ProcessorControl, reactor, StreamProcessor } from 'millrace';
import { observe, openTelemetry } from 'millrace/telemetry';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkout, orders, payments } from '../../examples/docs/processes.ts';
import { user, userUpdates } from '../../examples/docs/users.ts';
import { uniqueNamespace } from '../support/clients.ts';
import { project, sums, throwingAt, until } from '../support/processors.ts';
import { collect, errorOf, marks, note, notes, openStore, someNotes } from '../support/store.ts';

const spans = new InMemorySpanExporter();
const tracing = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
tracing.register();

const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 });
const metering = new MeterProvider({ readers: [reader] });

let store: EventStore;
let namespace: string;

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({
    namespace,
    partitions: 1,
    telemetry: openTelemetry({ tracer: tracing.getTracer('test'), meter: metering.getMeter('test') }),
  });
  spans.reset();
});

afterEach(async () => await store.close());

function spansOf(operation: string): readonly ReadableSpan[] {
  return spans.getFinishedSpans().filter(({ attributes }) => attributes['messaging.operation.name'] === operation);
}

/** The values of a metric, by the labels that are asked for. */
async function valuesOf(name: string): Promise<readonly { readonly labels: object; readonly value: unknown }[]> {
  metrics.reset();
  await reader.forceFlush();
  const all = metrics.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return all
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }) => dataPoints.map(({ attributes, value }) => ({ labels: attributes, value })));
}

describe('traces', () => {
  test('of an append have what it appended to, and go along in the metadata', async () => {
    const { position } = await store.append(notes.stream('1'), [note(1), { ...note(2), metadata: { correlationId: 'c' } }]);
    const [span] = spansOf('append');
    expect(span).toMatchObject({
      name: 'append notes',
      kind: SpanKind.PRODUCER,
      attributes: {
        'messaging.system': 'millrace',
        'messaging.operation.type': 'send',
        'messaging.destination.name': 'notes',
        'messaging.batch.message_count': 2,
      },
    });
    const { traceId, spanId } = span?.spanContext() ?? { traceId: '', spanId: '' };
    const events = await collect(store.readStream(notes.stream('1')));
    expect(events.map(({ metadata }) => metadata)).toEqual([
      { traceparent: `00-${traceId}-${spanId}-01` },
      { traceparent: `00-${traceId}-${spanId}-01`, correlationId: 'c' },
    ]);
    expect(events[1]?.position).toBe(position);
  });

  test('do not touch what the caller put into the metadata, and are children of the span around', async () => {
    const around = tracing.getTracer('test').startSpan('around');
    const mine = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await context.with(trace.setSpan(context.active(), around), () =>
      store.append(notes.stream('1'), { ...note(1), metadata: { traceparent: mine } }),
    );
    around.end();
    expect((await collect(store.readStream(notes.stream('1'))))[0]?.metadata).toEqual({ traceparent: mine });
    expect(spansOf('append')[0]?.parentSpanContext?.spanId).toBe(around.spanContext().spanId);
  });

  test('keep an append under an idempotency key the same request, whichever trace it comes in', async () => {
    const append = () => store.append(notes.stream('1'), note(1), { idempotencyKey: 'k' });
    expect(await append()).toMatchObject({ isRepeated: false });
    expect(await append()).toMatchObject({ isRepeated: true });
    expect(await errorOf(store.append(notes.stream('1'), note(2), { idempotencyKey: 'k' }))).toMatchObject({ code: 'idempotency-key-reused' });
    const parts = () =>
      store.appendAll(
        [
          { stream: notes.stream('2'), events: note(1) },
          { stream: marks.stream('2'), events: note(1) },
        ],
        { idempotencyKey: 'all' },
      );
    await parts();
    expect(await parts()).toMatchObject({ isRepeated: true });
  });

  test('of commands, of what is scheduled and of the steps of process managers go along, too', async () => {
    await store.execute(user, '2', { type: 'Register', name: 'Daffy', surname: 'Duck' }, { idempotencyKey: 'k' });
    expect(await store.execute(user, '2', { type: 'Register', name: 'Daffy', surname: 'Duck' }, { idempotencyKey: 'k' })).toMatchObject({
      isRepeated: true,
    });
    const [commanded] = await collect(store.readStream(userUpdates.stream('2')));
    expect(commanded?.metadata['traceparent']).toContain(spansOf('append')[0]?.spanContext().spanId);
    const later = () => store.schedule(notes.stream('1'), note(1), { deliverAt: Date.now() + 3_600_000, idempotencyKey: 'later' });
    expect([await later(), await later()]).toMatchObject([{ isRepeated: false }, { isRepeated: true }]);
    for await (const { events } of store.readScheduled()) expect(events[0]?.metadata).toHaveProperty('traceparent');
    expect(spansOf('append').length).toBeGreaterThan(2);
    await store.append(orders.stream('7'), { type: 'Placed', data: { total: 3 } });
    const placed = spansOf('append').at(-1);
    await using processor = new StreamProcessor(store, { reactors: [checkout] });
    await processor.runUntilCaughtUp();
    const step = spansOf('react').find((span) => span.attributes['messaging.message.id'] === 'orders:7@1');
    expect(step?.links.map((link) => link.context.spanId)).toEqual([placed?.spanContext().spanId]);
    const effect = spansOf('append').find(({ parentSpanContext }) => parentSpanContext?.spanId === step?.spanContext().spanId);
    const [requested] = await collect(store.readStream(payments.stream('7')));
    expect(requested?.metadata['traceparent']).toContain(effect?.spanContext().spanId);
  });

  test('do not change which metadata is refused, nor put their state beside a parent that the caller gave', async () => {
    for (const metadata of ['text', null, ['a']])
      expect(await errorOf(store.append(notes.stream('1'), note(1), { metadata: metadata as never }))).toMatchObject({ code: 'invalid-input' });
    const around = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1, traceState: createTraceState('vendor=x') };
    const mine = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await context.with(trace.setSpanContext(context.active(), around), async () => {
      await store.append(notes.stream('1'), note(1), { metadata: mine });
      await store.append(notes.stream('1'), { ...note(2), metadata: mine });
      await store.append(notes.stream('1'), note(3));
    });
    const metadata = (await collect(store.readStream(notes.stream('1')))).map((event) => event.metadata);
    expect(metadata.slice(0, 2)).toEqual([mine, mine]);
    expect(metadata[2]).toMatchObject({ traceparent: expect.stringContaining(around.traceId), tracestate: 'vendor=x' });
  });

  test('of what fails say with what', async () => {
    await errorOf(store.append(notes.stream('1'), note(1), { expectedVersion: 7 }));
    const [span] = spansOf('append');
    expect(span?.status.code).toBe(SpanStatusCode.ERROR);
    expect(span?.attributes['error.type']).toBe('VersionConflictError');
  });

  test('of reads count a page, and of projections a batch', async () => {
    await store.append(notes.stream('1'), someNotes(5));
    await collect(store.readCategory(notes));
    expect(spansOf('read')[0]).toMatchObject({ name: 'read notes', kind: SpanKind.CLIENT, attributes: { 'messaging.batch.message_count': 5 } });
    await project(store, sums());
    expect(spansOf('project')).toMatchObject([
      {
        name: 'project sums@1',
        kind: SpanKind.CONSUMER,
        attributes: { 'messaging.batch.message_count': 5, 'messaging.consumer.group.name': 'sums@1' },
      },
    ]);
  });

  test('of a handler link to the append that it came from, and are around what the handler does', async () => {
    const handler = reactor({
      name: 'copies',
      categories: [notes],
      handle: async ({ data }, { append }) => {
        tracing.getTracer('test').startSpan('inner').end();
        await append(marks.stream('copy'), note(data.n));
      },
    });
    await store.append(notes.stream('1'), note(1));
    await using processor = new StreamProcessor(store, { reactors: [handler] });
    await processor.runUntilCaughtUp();
    const [first, second] = spansOf('append');
    const [react] = spansOf('react');
    expect(react).toMatchObject({
      name: 'react copies@1',
      attributes: { 'messaging.message.id': 'notes:1@1', 'millrace.attempt': 1, 'messaging.destination.name': 'notes' },
    });
    expect(react?.links.map((link) => link.context.spanId)).toEqual([first?.spanContext().spanId]);
    const inner = spans.getFinishedSpans().find(({ name }) => name === 'inner');
    expect(inner?.parentSpanContext?.spanId).toBe(react?.spanContext().spanId);
    expect(second?.parentSpanContext?.spanId).toBe(react?.spanContext().spanId);
    expect((await collect(store.readStream(marks.stream('copy'))))[0]?.metadata['traceparent']).toContain(second?.spanContext().spanId);
  });

  test('of what nobody samples leave no trace in events', async () => {
    await using other = await openStore({
      namespace,
      telemetry: openTelemetry({
        tracer: new NodeTracerProvider({ sampler: { shouldSample: () => ({ decision: 0 }), toString: () => 'none' } }).getTracer('none'),
      }),
    });
    await other.append(notes.stream('9'), note(1));
    expect((await collect(other.readStream(notes.stream('9'))))[0]?.metadata).toEqual({});
  });
});

describe('metrics', () => {
  test('count what is appended, folded, handled and given up, with durations', async () => {
    const failing = reactor({
      name: `failing-${namespace}`,
      categories: [notes],
      retry: { attempts: 1 },
      handle: () => Promise.reject(new Error('no')),
    });
    type Own = Event<'Noted', { n: number }>;
    const own = category<Own>(`own-${namespace}`);
    await store.append(own.stream('1'), someNotes(3));
    await store.append(notes.stream('1'), note(1));
    await using processor = new StreamProcessor(store, { projections: [sums(`sums-${namespace}`)], reactors: [failing] });
    await processor.runUntilCaughtUp();
    expect(await valuesOf('messaging.client.sent.messages')).toContainEqual({
      labels: expect.objectContaining({ 'messaging.destination.name': own.name }),
      value: 3,
    });
    expect(await valuesOf('messaging.client.consumed.messages')).toContainEqual({
      labels: expect.objectContaining({ 'messaging.consumer.group.name': `sums-${namespace}@1` }),
      value: 1,
    });
    expect(await valuesOf('millrace.reactor.dead_letters')).toContainEqual({
      labels: expect.objectContaining({ 'messaging.consumer.group.name': `failing-${namespace}@1` }),
      value: 1,
    });
    const durations = await valuesOf('messaging.process.duration');
    expect(durations).toContainEqual({
      labels: expect.objectContaining({ 'messaging.consumer.group.name': `failing-${namespace}@1`, 'error.type': 'Error' }),
      value: expect.objectContaining({ count: 1 }),
    });
  });

  test('of the store tell what the page shows, each time they are collected, until that is ended', async () => {
    const stop = observe(store, { meter: metering.getMeter('observed') });
    await store.append(notes.stream('1'), someNotes(4));
    await project(store, sums());
    await store.append(notes.stream('1'), note(5));
    await new ProcessorControl(store).pause(sums());
    expect(await valuesOf('millrace.events')).toEqual([{ labels: { category: 'notes' }, value: 5 }]);
    expect(await valuesOf('millrace.processor.lag.events')).toEqual([{ labels: { kind: 'projection', processor: 'sums', version: '1' }, value: 1 }]);
    expect(await valuesOf('millrace.processor.paused')).toMatchObject([{ value: 1 }]);
    for (const name of [
      'processor.lag.time',
      'processor.dead_letters',
      'processor.waiting',
      'processor.partitions.run',
      'processor.standing',
      'scheduled',
      'server.memory.used',
      'server.memory.limit',
      'server.replicas',
      'server.troubles',
    ])
      expect((await valuesOf(`millrace.${name}`)).length, name).toBeGreaterThan(0);
    stop();
    await store.append(notes.stream('1'), note(6));
    expect(await valuesOf('millrace.events')).toMatchObject([{ value: 5 }]); // the SDK keeps the last it was told
  });

  test('of a store that cannot be asked are missing, and nothing throws', async () => {
    const errors: unknown[] = [];
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const own = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const stop = observe(store, { meter: new MeterProvider({ readers: [own] }).getMeter('closed'), onError: (error) => errors.push(error) });
    await store.close();
    await own.forceFlush();
    expect(exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)).toEqual([]);
    expect(errors.map(String)).toEqual([expect.stringContaining('closed')]);
    stop();
  });
});

describe('a logger', () => {
  test('as pino is one, hears of starts, leases, failures and dead letters', async () => {
    const lines: { readonly level: number; readonly msg: string; readonly err?: { readonly message: string } }[] = [];
    const logger: Logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
    await using logged = await openStore({ namespace, logger });
    await logged.append(notes.stream('1'), someNotes(2));
    const failing = reactor({ name: 'failing', categories: [notes], retry: { attempts: 1 }, handle: () => Promise.reject(new Error('no')) });
    const processor = new StreamProcessor(logged, { projections: [throwingAt([2])], reactors: [failing] });
    processor.start();
    await until('both are heard of', async () => lines.some(({ level }) => level === 50) && lines.some(({ level }) => level === 40));
    await processor.stop();
    expect(lines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['processor started', 'lease taken', 'stands still', 'event given up: it is a dead letter now', 'processor stopped']),
    );
    expect(lines.find(({ msg }) => msg === 'stands still')?.err?.message).toContain('projection');
  });

  test('that throws stops nothing', async () => {
    const fail = (): never => {
      throw new Error('the disk is full');
    };
    await using logged = await openStore({ namespace, logger: { debug: fail, info: fail, warn: fail, error: fail } });
    await logged.append(notes.stream('1'), note(1));
    await project(logged, sums());
  });
});
