// Mounts the page in an app of Express, behind the app's own log-in.
// #region mount
import type { Server } from 'node:http';
import express from 'express';
import type { EventStore } from 'millrace';
import { dashboard } from 'millrace/dashboard';
import { isLoggedIn } from './mount-access.ts';
import { profiles } from './users.ts';

export function serveWithExpress(store: EventStore, port: number): Server {
  const page = dashboard(store, { basePath: '/millrace', projections: [profiles], access: isLoggedIn });
  const app = express();
  app.use('/millrace', page.node); // before any body parser
  return app.listen(port);
}
// #endregion mount
