// Gives Prometheus the metrics of a store and of this process, on a port of its own.
// #region metrics
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { EventStore } from 'millrace';
import { observe, openTelemetry } from 'millrace/telemetry';

export interface Measured {
  readonly store: EventStore;
  close(): Promise<void>;
}

/** `http://…:9464/metrics` is what Prometheus scrapes. One process of a service observes the store: it tells of all of it. */
export async function openMeasured(url: string, { port = 9_464, namespace = 'millrace' } = {}): Promise<Measured> {
  const exporter = new PrometheusExporter({ port });
  const meter = new MeterProvider({ readers: [exporter] }).getMeter('millrace');
  const store = await EventStore.connect(url, { namespace, telemetry: openTelemetry({ meter }) });
  const stop = observe(store, { meter, onError: console.error });
  return {
    store,
    close: async () => {
      stop();
      await exporter.shutdown();
      await store.close();
    },
  };
}
// #endregion metrics
