// Mounts the page in an app of Hono, behind the app's own log-in.
// #region mount
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { EventStore } from 'millrace';
import { dashboard } from 'millrace/dashboard';
import { isLoggedIn } from './mount-access.ts';
import { profiles } from './users.ts';

export function serveWithHono(store: EventStore, port: number): ReturnType<typeof serve> {
  const page = dashboard(store, { basePath: '/millrace', projections: [profiles], access: isLoggedIn });
  const app = new Hono();
  app.mount('/millrace', page.fetch);
  return serve({ fetch: app.fetch, port });
}
// #endregion mount
