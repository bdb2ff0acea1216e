// Tests the recipes for those who operate a service: health probes, and metrics with alerts for Prometheus.
import { readFileSync } from 'node:fs';
import { type EventStore, reactor, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { healthOf } from '../../examples/docs/health.ts';
import { openObserved } from '../../examples/docs/telemetry.ts';
import { copy } from '../../examples/docs/transfer.ts';
import { profiles, userUpdates } from '../../examples/docs/users.ts';
import { freePort } from '../../examples/engine-process.ts';
import { openMeasured } from '../../examples/prometheus/metrics.ts';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { startEngine, whyNoEngine } from '../support/engine.ts';
import { project } from '../support/processors.ts';
import { openStore } from '../support/store.ts';

async function statusOf(store: EventStore, path: string): Promise<number> {
  return (await healthOf(store).request(path)).status;
}

describe('health probes', () => {
  test('tell that a process lives, and that it is ready once its documents are whole', async () => {
    await using store = await openStore({ namespace: uniqueNamespace() });
    await store.append(userUpdates.stream('1'), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } });
    expect(await statusOf(store, '/healthz')).toBe(200);
    const early = await healthOf(store).request('/readyz');
    expect(early.status).toBe(503);
    expect(await early.json()).toMatchObject({ isHealthy: false, reasons: [expect.stringContaining('has not folded everything once')] });
    await project(store, profiles);
    expect(await statusOf(store, '/readyz')).toBe(200);
  });

  test('tell that it is not ready, but lives, while the server does not answer or is gone', async ({ skip }) => {
    const why = whyNoEngine();
    if (why !== undefined) skip(why);
    await using engine = await startEngine();
    await using store = await openStore({ url: engine.url, timeoutMs: 500 });
    await project(store, profiles);
    engine.pause();
    expect([await statusOf(store, '/healthz'), await statusOf(store, '/readyz')]).toEqual([200, 503]);
    engine.resume();
    expect(await statusOf(store, '/readyz')).toBe(200);
    await engine.kill();
    expect([await statusOf(store, '/healthz'), await statusOf(store, '/readyz')]).toEqual([200, 503]);
    await engine.restart();
    await expect.poll(() => statusOf(store, '/readyz'), { timeout: 10_000 }).toBe(200);
  });
});

describe('the metrics for Prometheus', () => {
  test('have every name that the alerts and the documents ask for', async () => {
    const port = await freePort();
    const measured = await openMeasured(testUrl(), { port, namespace: uniqueNamespace() });
    const { store } = measured;
    await store.append(userUpdates.stream('1'), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } });
    const failing = reactor({ name: 'failing', categories: [userUpdates], retry: { attempts: 1 }, handle: () => Promise.reject(new Error('no')) });
    {
      await using processor = new StreamProcessor(store, { projections: [profiles], reactors: [failing] });
      await processor.runUntilCaughtUp();
    }
    const text = await (await fetch(`http://localhost:${port}/metrics`)).text();
    await measured.close();
    const served = new Set([...text.matchAll(/^([a-z_]+)(?:\{| )/gm)].map(([, name]) => name));
    const { groups } = parse(readFileSync('examples/prometheus/alerts.yml', 'utf8')) as {
      groups: { rules: { alert: string; expr: string; annotations: object }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(6);
    for (const { alert, expr, annotations } of rules) {
      const names = [...expr.matchAll(/\b(?:millrace|messaging)_(?!consumer_group_name)[a-z_]+/g)].map(([name]) => name);
      expect(names.length, alert).toBeGreaterThan(0);
      for (const name of names) expect([...served], `${alert} asks for ${name}`).toContain(name);
      expect(Object.keys(annotations)).toEqual(['summary', 'description']);
    }
    expect(text).toMatch(/millrace_events(_total)?\{category="user_updates"[^}]*\} 1/);
    expect(text).toMatch(/millrace_processor_dead_letters\{kind="reactor",processor="failing",version="1"[^}]*\} 1/);
  });
});

describe('the code of the how-tos', () => {
  test('opens a store that is observed, and copies it', async () => {
    const namespace = uniqueNamespace();
    await using store = await openObserved(testUrl(), namespace);
    await store.append(userUpdates.stream('1'), { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } });
    await using other = await openStore({ namespace: uniqueNamespace() });
    expect(await copy(store, other)).toEqual({ appended: 1, alreadyThere: 0 });
  });
});
