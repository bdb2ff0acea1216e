// Serves the page with Node's own server, behind a token.
// #region mount
import { createServer, type Server } from 'node:http';
import type { EventStore } from 'millrace';
import { dashboard } from 'millrace/dashboard';
import { profiles } from './users.ts';

export function servePage(store: EventStore, port: number): Server {
  const page = dashboard(store, { projections: [profiles] });
  const server = createServer(page.node).listen(port, '127.0.0.1');
  console.log(`The page is at ${page.url(`http://127.0.0.1:${port}`)}`);
  return server;
}
// #endregion mount
