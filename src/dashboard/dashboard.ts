// Dashboard: the page's server as a handler of requests, to be mounted or served by itself.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toNodeHandler } from 'srvx/node';
import { type AnyProjection, category, type EventStore, InvalidInputError, inspect, ProcessorControl, StoreClosedError } from '../index.ts';
import { Access, type AccessOptions } from './access.ts';
import type { SettingsReply } from './api.ts';
import { deeds } from './deeds.ts';
import { eventStream } from './event-stream.ts';
import { Files } from './files.ts';
import { Histories } from './history.ts';
import { queries, type Sources } from './queries.ts';
import { ApiError, failed, json } from './replies.ts';
import { asJson, Sampler } from './sampler.ts';

/** What the page shows beside what is in the store, what it may do, and who is let in. */
export interface DashboardOptions extends AccessOptions {
  /** The code of projections: of those the page shows how a document became what it is. Default: none. */
  readonly projections?: readonly AnyProjection[];
  /** Whether it may act: pause, rewind, flip, drop, retry, discard. Default false. */
  readonly allowWrites?: boolean;
  /** The path by which browsers reach it, where that is not the root: `/millrace`. Default ''. */
  readonly basePath?: string;
}

/** Larger bodies are refused, in bytes. */
const BODY_BYTES_MAX = 1_048_576;

/**
 * The page over a store, as a handler: `fetch` for servers of that form (Hono, Bun), `node` for Node's own, Express and Fastify.
 * Read-only, and behind a token, unless told otherwise. Throws InvalidInputError for options that cannot be.
 */
export function dashboard(store: EventStore, options: DashboardOptions = {}): Dashboard {
  return new Dashboard(store, options);
}

export class Dashboard {
  /** The handler for servers that speak fetch. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The handler for Node's own server, and what is like it. */
  readonly node: (request: IncomingMessage, response: ServerResponse) => void;
  /** What `?token=` has to bring along; undefined where a function decides. */
  readonly token: string | undefined;
  readonly #store: EventStore;
  readonly #sources: Sources;
  readonly #sampler: Sampler;
  readonly #access: Access;
  readonly #files: Files;
  readonly #basePath: string;
  readonly #allowWrites: boolean;
  readonly #closing = new AbortController();

  constructor(store: EventStore, options: DashboardOptions = {}) {
    const { projections = [], allowWrites = false, basePath = '' } = options;
    if (typeof basePath !== 'string' || !/^(\/[\w.~-]+)*$/.test(basePath))
      throw new InvalidInputError('option basePath', "'' or a path like /millrace, without a slash at its end", basePath);
    this.#store = store;
    this.#basePath = basePath;
    this.#allowWrites = allowWrites;
    const facts = inspect(store);
    this.#sources = {
      store,
      facts,
      control: new ProcessorControl(store),
      histories: new Histories(facts),
      projections: new Map(projections.map((each) => [`${each.name}@${each.version}`, each])),
    };
    this.#sampler = new Sampler(facts, this.#closing.signal);
    this.#access = new Access(options);
    this.#files = new Files(basePath);
    this.token = this.#access.token;
    this.fetch = async (request) => await this.#handle(request).catch(failed);
    // Of its two kinds of handlers, for HTTP/1 and HTTP/2, this is the first.
    const handler = toNodeHandler(this.fetch, { maxRequestBodySize: BODY_BYTES_MAX }) as (
      request: IncomingMessage,
      response: ServerResponse,
    ) => unknown;
    this.node = (request, response) => void handler(request, response);
  }

  /** Where to open it, the token included. `origin` like http://127.0.0.1:4680. */
  url(origin: string): string {
    return `${origin}${this.#basePath}/${this.token === undefined ? '' : `?token=${this.token}`}`;
  }

  /** Ends what is under way. The store stays open. */
  close(): void {
    this.#closing.abort(new StoreClosedError());
  }

  async #handle(request: Request): Promise<Response> {
    const path = this.#pathOf(request);
    const entered = path === '' ? this.#access.enter(request, `${this.#basePath}/`) : undefined;
    if (entered) return entered;
    const refusal = await this.#access.check(request);
    if (refusal) return refusal;
    if (!path.startsWith('api/')) return await this.#files.serve(path, request);
    const name = path.slice('api/'.length);
    return request.method === 'POST' ? await this.#act(name, request) : await this.#answer(name, request);
  }

  /** Without the base path, which a router may have taken away already. */
  #pathOf(request: Request): string {
    const { pathname } = new URL(request.url);
    const inner = this.#basePath !== '' && `${pathname}/`.startsWith(`${this.#basePath}/`) ? pathname.slice(this.#basePath.length) : pathname;
    return inner.replace(/^\//, '');
  }

  async #answer(name: string, request: Request): Promise<Response> {
    if (request.method !== 'GET') throw new ApiError(405, 'method', 'Expected GET.');
    const { searchParams: params } = new URL(request.url);
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    if (name === 'live') return this.#live(signal);
    if (name === 'follow') return await this.#follow(params.get('category'), signal);
    if (name === 'settings') return json(await this.#settings());
    if (name === 'now') return json(await this.#sampler.now());
    const query = Object.hasOwn(queries, name) ? queries[name] : undefined;
    if (!query) throw new ApiError(404, 'not-found', `Expected one of ${Object.keys(queries).join(', ')}, found ${JSON.stringify(name)}.`);
    return json(await query(this.#sources, { params, signal }));
  }

  async #settings(): Promise<SettingsReply> {
    const { namespace, partitions } = await this.#sources.facts.store();
    return { namespace, partitions, allowWrites: this.#allowWrites, projections: [...this.#sources.projections.keys()] };
  }

  #live(signal: AbortSignal): Response {
    return eventStream(signal, (send) =>
      this.#sampler.watch((look) => {
        if ('now' in look) send('now', look.now);
        else send('trouble', { message: look.error instanceof Error ? look.error.message : String(look.error) });
      }),
    );
  }

  async #follow(name: string | null, signal: AbortSignal): Promise<Response> {
    const ending = new AbortController();
    const categories = name === null || name === '' ? {} : { categories: [category(name)] };
    const events = await this.#store.subscribe({ ...categories, from: 'now', signal: AbortSignal.any([signal, ending.signal]) });
    return eventStream(signal, (send, whenReady) => {
      const pump = async (): Promise<void> => {
        for await (const event of events) if (!send('event', asJson(event))) await whenReady();
      };
      pump().catch((error: unknown) => {
        if (!ending.signal.aborted && !signal.aborted) send('trouble', { message: error instanceof Error ? error.message : String(error) });
      });
      return () => ending.abort();
    });
  }

  async #act(name: string, request: Request): Promise<Response> {
    const deed = Object.hasOwn(deeds, name) ? deeds[name] : undefined;
    if (!deed) throw new ApiError(404, 'not-found', `Expected one of ${Object.keys(deeds).join(', ')}, found ${JSON.stringify(name)}.`);
    if (!this.#allowWrites)
      throw new ApiError(
        403,
        'read-only',
        'This page may only look. Start it with --allow-writes, or give allowWrites: true to dashboard(), to act here.',
      );
    if (request.headers.get('x-millrace') !== 'page') throw new ApiError(403, 'header', 'Expected the header x-millrace, which the page sends.');
    const body = await bodyOf(request);
    return json(await deed({ ...this.#sources, signal: AbortSignal.any([request.signal, this.#closing.signal]) }, body));
  }
}

async function bodyOf(request: Request): Promise<Readonly<Record<string, unknown>>> {
  if (!/^application\/json\b/.test(request.headers.get('content-type') ?? ''))
    throw new ApiError(415, 'content-type', 'Expected a body of application/json.');
  const text = await textOf(request);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // told below
  }
  throw new ApiError(400, 'invalid-input', 'Expected a JSON object as the body, found something else.');
}

async function textOf(request: Request): Promise<string> {
  const length = Number(request.headers.get('content-length') ?? 0);
  const text = length > BODY_BYTES_MAX ? undefined : await request.text().catch(() => undefined);
  if (text === undefined || text.length > BODY_BYTES_MAX)
    throw new ApiError(413, 'too-large', `Expected a body of at most ${BODY_BYTES_MAX} bytes, found a larger one.`);
  return text;
}
