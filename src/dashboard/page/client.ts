// How the page talks with its server: GET, POST, and streams of what happens.
import type { ErrorReply } from '../api.ts';

/** Where the page is mounted: '' or a path like /millrace. */
const BASE = document.querySelector<HTMLMetaElement>('meta[name="millrace-base"]')?.content ?? '';
/** A browser gives up on a stream that was refused; then it is asked for anew. */
const LISTEN_AGAIN_MS = 2_000;

/** A failure as the server tells it, or that there is no server. */
export class ReplyError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'ReplyError';
    this.code = code;
  }
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

export type Params = Readonly<Record<string, string | number | undefined>>;

function addressOf(path: string, params: Params = {}): string {
  const query = queryOf(params);
  return `${BASE}/api/${path}${query === '' ? '' : `?${query}`}`;
}

/** Those that are given, as an address has them. */
export function queryOf(params: Params): string {
  const given = Object.entries(params).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, String(value)]]));
  return new URLSearchParams(given).toString();
}

export async function get<Reply>(path: string, params?: Params, signal?: AbortSignal): Promise<Reply> {
  return await replyOf<Reply>(fetch(addressOf(path, params), signal ? { signal } : {}));
}

export async function post<Reply = object>(path: string, body: object): Promise<Reply> {
  const headers = { 'content-type': 'application/json', 'x-millrace': 'page' };
  return await replyOf<Reply>(fetch(addressOf(path), { method: 'POST', headers, body: JSON.stringify(body) }));
}

async function replyOf<Reply>(fetching: Promise<Response>): Promise<Reply> {
  let response: Response;
  try {
    response = await fetching;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ReplyError('unreachable', 'The server of this page does not answer. Check that it runs (millrace ui, or your app), and try again.');
  }
  const reply = (await response.json().catch(() => undefined)) as Reply | ErrorReply | undefined;
  if (response.ok && reply !== undefined) return reply as Reply;
  const told = (reply as Partial<ErrorReply> | undefined)?.error;
  throw new ReplyError(
    told?.code ?? 'failed',
    told?.message ?? `The server of this page answered with status ${response.status}, and no words. Look into its output.`,
  );
}

/** What is heard, by the name of the event. */
export type Handlers = Readonly<Record<string, (data: unknown) => void>>;

/** Hears of what happens until the result is called; `onState` tells whether the connection stands. It connects again by itself, always. */
export function listen(path: string, params: Params, handlers: Handlers, onState: (isOpen: boolean) => void): () => void {
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = (): void => {
    source = new EventSource(addressOf(path, params));
    for (const [name, handle] of Object.entries(handlers))
      source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)));
    source.addEventListener('open', () => onState(true));
    source.addEventListener('error', () => {
      onState(false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, LISTEN_AGAIN_MS);
    });
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
