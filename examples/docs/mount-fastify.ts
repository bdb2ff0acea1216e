// Mounts the page in an app of Fastify, behind the app's own log-in.
// #region mount
import fastify, { type FastifyInstance } from 'fastify';
import type { EventStore } from 'millrace';
import { dashboard } from 'millrace/dashboard';
import { isLoggedIn } from './mount-access.ts';
import { profiles } from './users.ts';

export async function serveWithFastify(store: EventStore, port: number): Promise<FastifyInstance> {
  const page = dashboard(store, { basePath: '/millrace', projections: [profiles], access: isLoggedIn });
  const app = fastify({ forceCloseConnections: true });
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_, __, done) => done(null)); // the page reads its bodies itself
    scope.all('/millrace', (_, reply) => reply.redirect('/millrace/'));
    scope.all('/millrace/*', (request, reply) => {
      reply.hijack();
      page.node(request.raw, reply.raw);
    });
  });
  await app.listen({ port });
  return app;
}
// #endregion mount
