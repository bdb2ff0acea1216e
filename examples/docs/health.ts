// What a service answers to those who ask whether it lives, and whether it can do its work.
// #region health
import { Hono } from 'hono';
import { type EventStore, inspect } from 'millrace';
import { profiles } from './users.ts';

export function healthOf(store: EventStore): Hono {
  const facts = inspect(store);
  const app = new Hono();
  // The process runs, and its event loop turns. Not Redis: when that is gone, a restart of this process mends nothing.
  app.get('/healthz', (context) => context.json({ isAlive: true }));
  // It can do its work: Redis answers, and the documents that it serves are whole and not too old. If not, requests go to others meanwhile.
  app.get('/readyz', async (context) => {
    const health = await facts.health({ timeoutMs: 1_000, processors: [profiles], lagEventsMax: 10_000 });
    return context.json(health, health.isHealthy ? 200 : 503);
  });
  return app;
}
// #endregion health
