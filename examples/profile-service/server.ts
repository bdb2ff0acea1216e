// The HTTP side: routes, what a request has to be, and answers.
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { type EventStore, parsePosition, type SnapshotStore, type Token } from 'millrace';
import { z } from 'zod';
import { commands, type HttpCommand, newUserId, registration, type Repeatable, type Written } from './commands.ts';
import { UnknownUserError } from './domain.ts';
import { historyOf } from './history.ts';
import { problemResponse, RequestError } from './problems.ts';
import { profiles } from './profiles.ts';
import * as values from './values.ts';

/** What the routes work on. */
export interface Backend {
  readonly store: EventStore;
  readonly snapshots: SnapshotStore;
  /** What the processor is about, as JSON can hold it. */
  progress(): Promise<object>;
}

const BODY_BYTES_MAX = 65_536;

/** How long a read waits for the write that its token stands for. */
const TOKEN_MS_MAX = 2_000;

export const TOKEN_HEADER = 'Millrace-Token';

export function createApp(backend: Backend): Hono {
  const app = new Hono();
  const limit = bodyLimit({
    maxSize: BODY_BYTES_MAX,
    onError: () => {
      throw new RequestError(413, `A body has at most ${BODY_BYTES_MAX} bytes.`, { connection: 'close' });
    },
  });
  app.get('/', (c) => c.json({ routes: routesOf(app) }));
  app.get('/progress', async (c) => c.json(await backend.progress()));
  app.get('/users/:id/profile', async (c) => c.json(await profileOf(backend, c)));
  app.get('/users/:id/history', async (c) => await history(backend, c));
  app.post('/users', limit, async (c) => await register(backend, c));
  for (const [name, command] of Object.entries(commands)) {
    app.post(`/users/:id/${name}`, limit, async (c) => written(c, c.req.param('id'), await run(backend, command, c, c.req.param('id')), 200));
  }
  refuseOtherMethods(app);
  app.notFound(({ req }) => problemResponse(new RequestError(404, `There is nothing at ${req.path}. GET / lists what there is.`)));
  app.onError((error) => problemResponse(error));
  return app;
}

/** Each once: what only looks at requests on their way is no route of its own. */
function routesOf(app: Hono): string[] {
  return [...new Set(app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`))];
}

function refuseOtherMethods(app: Hono): void {
  const methodsOf = new Map<string, Set<string>>();
  for (const { method, path } of app.routes) {
    const methods = methodsOf.get(path) ?? new Set();
    methodsOf.set(path, methods.add(method === 'GET' ? 'GET, HEAD' : method));
  }
  for (const [path, methods] of methodsOf) {
    const allow = [...methods].join(', ');
    app.all(path, ({ req }) => problemResponse(new RequestError(405, `${req.path} takes ${allow}, not ${req.method}.`, { allow })));
  }
}

// Reads

const profileQuery = z.strictObject({ at: values.time.optional(), token: z.string().optional() });

/** A profile, with the friends' names joined from their own documents, as they were at that time too. */
async function profileOf({ snapshots }: Backend, c: Context): Promise<object> {
  const id = c.req.param('id') ?? '';
  const { at, token = c.req.header(TOKEN_HEADER) } = profileQuery.parse(queryOf(c));
  const when = at === undefined ? {} : { at };
  // A profile as it was then is folded from the log itself: no write has to be waited for.
  const atLeast = token === undefined || at !== undefined ? {} : { atLeast: token as Token, timeoutMs: TOKEN_MS_MAX };
  const profile = await snapshots.get(profiles, id, { ...when, ...atLeast });
  if (!profile || profile.knownSince === null) throw new UnknownUserError(id);
  const { friendIds, ...personal } = profile;
  const found = await snapshots.getMany(profiles, friendIds, when);
  const friends = friendIds.map((friendId) => ({
    id: friendId,
    name: found.get(friendId)?.name ?? null,
    surname: found.get(friendId)?.surname ?? null,
  }));
  return { id, ...personal, friends };
}

const historyQuery = z.strictObject({
  after: z.string().transform(parsePosition).optional(),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(1).max(1_000))
    .default(100),
});

async function history({ store }: Backend, c: Context): Promise<Response> {
  const id = c.req.param('id') ?? '';
  const { after, limit } = historyQuery.parse(queryOf(c));
  const { events, next } = await historyOf(store, id, { after, limit });
  const query = new URLSearchParams({ after: next ?? '', limit: String(limit) });
  const link = next === undefined ? null : `${c.req.path}?${query.toString()}`;
  return c.json({ id, events, next: link }, 200, link === null ? {} : { link: `<${link}>; rel="next"` });
}

/** Each parameter once: of a doubled one it is unknown which is meant. */
function queryOf(c: Context): Record<string, string> {
  return Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, given]) => {
      if (given.length !== 1) throw new RequestError(400, `The query parameter ${name} stands there ${given.length} times.`);
      return [name, given[0] as string];
    }),
  );
}

// Writes

async function register(backend: Backend, c: Context): Promise<Response> {
  const id = newUserId(repeatable(c).idempotencyKey);
  return written(c, id, await run(backend, registration, c, id), 201, { location: `/users/${id}/profile` });
}

async function run({ store }: Backend, command: HttpCommand, c: Context, id: string): Promise<Written> {
  const options = repeatable(c);
  return await command.run(store, id, await bodyOf(c), options);
}

/** The same for the first answer and for its repetition. */
function written(
  c: Context,
  id: string,
  { events, streamVersion, token }: Written,
  status: 200 | 201,
  headers: Record<string, string> = {},
): Response {
  const happened = events.map(({ type, data }) => ({ type, data }));
  return c.json({ id, events: happened, streamVersion, token }, status, { ...headers, [TOKEN_HEADER]: token });
}

/** Quoted, as the draft of the header has it, or bare, as most send it. */
function repeatable(c: Context): Repeatable {
  const given = c.req.header('Idempotency-Key');
  if (given === undefined) return {};
  const key = given.replace(/^"(.*)"$/, '$1');
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) throw new RequestError(400, 'An Idempotency-Key has 1 to 255 visible ASCII characters.');
  return { idempotencyKey: key };
}

async function bodyOf(c: Context): Promise<unknown> {
  if (!/^application\/(json|[\w.+-]+\+json)\s*(;|$)/i.test(c.req.header('Content-Type') ?? '')) {
    throw new RequestError(415, 'Send the body as JSON, with the header Content-Type: application/json.');
  }
  const bytes = await c.req.arrayBuffer();
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw new RequestError(400, 'The body is no JSON in UTF-8.');
  }
}
