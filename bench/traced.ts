// Figures of tracing: appending and projecting with OpenTelemetry on, every span sampled, against the same without.
import { AlwaysOnSampler, BatchSpanProcessor, NodeTracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace-node';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { EventStore, type StoreOptions, StreamProcessor } from 'millrace';
import { openTelemetry } from 'millrace/telemetry';
import { appender } from './append.ts';
import { type Bench, type BenchEngine, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { checkCount, totals } from './project.ts';
import { forEachNumber, friendAdded, friends, rateOf, secondsOf } from './workload.ts';

const SIDE_MS = 700;
const EVENTS = 100_000;
const DOCUMENTS = 10_000;

export const tracedFigures: readonly Figure[] = [
  {
    name: 'append-traced',
    what: '1,000 appends waiting at any time, with traces and metrics, each span sampled',
    unit: 'appends/s',
    beside: 'the same without',
    aim: null,
    compare: 'ratio>=',
    open: openAppends,
  },
  {
    name: 'project-traced',
    what: `${EVENTS.toLocaleString('en')} events into ${DOCUMENTS.toLocaleString('en')} new documents, with traces and metrics, each span sampled`,
    unit: 'events/s',
    beside: 'the same without',
    aim: null,
    compare: 'ratio>=',
    open: openProjecting,
  },
];

/** Spans are made, kept and handed out in batches; where they go is not measured. */
const nowhere: SpanExporter = { export: (_, done) => done({ code: 0 }), shutdown: () => Promise.resolve() };

function traced(): Pick<StoreOptions, 'telemetry'> {
  const provider = new NodeTracerProvider({
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor(nowhere, { maxQueueSize: 100_000 })],
  });
  provider.register(); // with a context manager, as in a program that traces
  return { telemetry: openTelemetry({ tracer: provider.getTracer('bench'), meter: new MeterProvider().getMeter('bench') }) };
}

async function openBoth({ url }: BenchEngine, namespaces: readonly [string, string]): Promise<readonly [EventStore, EventStore]> {
  const [ours, beside] = namespaces;
  return await Promise.all([EventStore.connect(url, { namespace: ours, ...traced() }), EventStore.connect(url, { namespace: beside })]);
}

async function openAppends({ engine }: Bench): Promise<Sides> {
  const namespaces = [newNamespace(), newNamespace()] as const;
  const [ours, beside] = await openBoth(engine, namespaces);
  const [appendTraced, append] = [appender(ours, 1_000), appender(beside, 1_000)];
  return {
    ours: () => rateOf(1_000, SIDE_MS, appendTraced),
    beside: () => rateOf(1_000, SIDE_MS, append),
    [Symbol.asyncDispose]: () => closeAll(engine, [ours, beside], namespaces),
  };
}

async function openProjecting({ engine }: Bench): Promise<Sides> {
  const namespace = newNamespace();
  const [ours, beside] = await openBoth(engine, [namespace, namespace]);
  await forEachNumber(EVENTS, (number) => beside.append(friends.stream(String(number % DOCUMENTS)), friendAdded(number)));
  let round = 0;
  const project = async (store: EventStore, name: string): Promise<number> => {
    const seconds = await secondsOf(async () => {
      await using processor = new StreamProcessor(store, { projections: [totals(name)] });
      await processor.runUntilCaughtUp();
    });
    return EVENTS / seconds;
  };
  return {
    ours: () => project(ours, `traced-${round++}`),
    beside: () => project(beside, `untraced-${round++}`),
    [Symbol.asyncDispose]: async () => {
      try {
        await checkCount(beside, totals('traced-0'), EVENTS, DOCUMENTS);
      } finally {
        await closeAll(engine, [ours, beside], [namespace]);
      }
    },
  };
}

async function closeAll(engine: BenchEngine, stores: readonly EventStore[], namespaces: readonly string[]): Promise<void> {
  for (const store of stores) await store.close();
  for (const namespace of namespaces) await engine.clear(namespace);
}
