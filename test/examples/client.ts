// A profile service of a test's own on the shared engine, and the requests that the tests send it.
import { type Service, startService } from '../../examples/profile-service/service.ts';
import type { SourceKeys } from '../../examples/profile-service/sources.ts';
import { testUrl, uniqueNamespace } from '../support/clients.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Api {
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** `body` as JSON, a text as it is. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  send(path: string, init: RequestInit): Promise<Answer>;
}

export interface TestService extends Api, AsyncDisposable {
  readonly service: Service;
  readonly sourceKeys: SourceKeys;
  /** Registers a user, and gives the id. */
  register(name: string, surname?: string): Promise<string>;
}

export interface TestServiceOptions {
  readonly namespace?: string;
  readonly sourceKeys?: SourceKeys;
  readonly url?: string;
}

/** Keys of foreign Redis Streams that nobody else fills. */
export function uniqueSourceKeys(): SourceKeys {
  const prefix = uniqueNamespace('source');
  return { updates: `${prefix}-updates`, activity: `${prefix}-activity`, friends: `${prefix}-friends` };
}

export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const { namespace = uniqueNamespace('profile-service'), sourceKeys = uniqueSourceKeys(), url = testUrl() } = options;
  const service = await startService(url, { namespace, sourceKeys, port: 0 });
  const api = apiAt(service.url);
  return {
    ...api,
    service,
    sourceKeys,
    register: async (name, surname = 'Duck') => String((await api.post('/users', { name, surname })).body['id']),
    [Symbol.asyncDispose]: () => service.close(),
  };
}

export function apiAt(url: string): Api {
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
  };
  return {
    send,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, body, headers = {}) =>
      send(path, {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
  };
}
