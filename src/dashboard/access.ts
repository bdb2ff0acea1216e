// Who is let in: a token in a cookie, or what the mounting app says; and only from the page's own origin.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { InvalidInputError } from '../index.ts';
import { refused, refusedPage } from './replies.ts';

/** Whether a request is let in, by whatever the mounting app knows of it. */
export type Authorize = (request: Request) => boolean | Promise<boolean>;

/** How requests are let in. */
export interface AccessOptions {
  /**
   * A token that the first request brings along (`?token=`), which puts it into a cookie; or a function that tells whether a request is let in,
   * where the page is mounted behind an app's own authentication. Default: a random token.
   */
  readonly access?: string | Authorize;
  /**
   * The names by which the page may be reached, as the header Host has them without a port: others are refused, lest a foreign name is made
   * to point here. Default: this machine's (localhost, 127.0.0.1, [::1]) with a token, any with a function.
   */
  readonly allowedHosts?: readonly string[];
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const TOKEN_LENGTH_MIN = 16;

export class Access {
  /** Undefined where a function decides. */
  readonly token: string | undefined;
  readonly #authorize: Authorize;
  readonly #hosts: readonly string[] | undefined;
  readonly #cookie: string;

  constructor({ access = randomBytes(24).toString('base64url'), allowedHosts }: AccessOptions) {
    if (typeof access === 'string' && !/^[\w.~-]+$/.test(access))
      throw new InvalidInputError('option access', 'a token of letters, digits and . _ ~ -, or a function', 'another text');
    if (typeof access === 'string' && access.length < TOKEN_LENGTH_MIN)
      throw new InvalidInputError('option access', `a token of at least ${TOKEN_LENGTH_MIN} characters, or a function`, 'a shorter one');
    this.token = typeof access === 'string' ? access : undefined;
    this.#hosts = allowedHosts ?? (this.token === undefined ? undefined : LOOPBACK);
    this.#cookie = `millrace-${digestOf(this.token ?? '')
      .toString('hex')
      .slice(0, 8)}`; // cookies know no ports
    this.#authorize = typeof access === 'function' ? access : (request) => this.#isToken(cookiesOf(request).get(this.#cookie));
  }

  /** The refusal, or undefined where the request is let in. */
  async check(request: Request): Promise<Response | undefined> {
    const host = hostOf(request);
    const isPage = (request.headers.get('accept') ?? '').includes('text/html');
    const refuse = (status: number, code: string, message: string): Response =>
      isPage ? refusedPage(status, message) : refused(status, code, message);
    if (this.#hosts && !this.#hosts.includes(host.replace(/:\d+$/, ''))) return refuse(403, 'host', this.#hostWords());
    if (!isOfThisOrigin(request, host))
      return refuse(403, 'origin', 'Expected a request of the page itself, found one from another origin. Open the page by its own address.');
    return (await this.#authorize(request)) ? undefined : refuse(401, 'no-access', this.#accessWords());
  }

  #hostWords(): string {
    return `Expected to be reached as ${this.#hosts?.join(' or ')}, found another name in the header Host. Give the name that is meant with allowedHosts (millrace ui --allowed-host).`;
  }

  #accessWords(): string {
    if (this.token === undefined) return 'Expected a request that the app lets in, found another. Log in first.';
    return 'Expected the token of this page, found none or another one. Open the address that was printed when it was started; if you did, load this page again.';
  }

  /** For a first request that brings the token along: puts it into a cookie, and leads to the address without it. */
  enter(request: Request, path: string): Response | undefined {
    const url = new URL(request.url);
    if (request.method !== 'GET' || this.token === undefined || !url.searchParams.has('token')) return undefined;
    if (!this.#isToken(url.searchParams.get('token') ?? undefined)) return undefined;
    const secure = url.protocol === 'https:' ? '; Secure' : '';
    const cookie = `${this.#cookie}=${this.token}; HttpOnly; SameSite=Strict; Path=${path}${secure}`;
    return new Response(null, { status: 303, headers: { location: path, 'set-cookie': cookie, 'cache-control': 'no-store' } });
  }

  #isToken(given: string | undefined): boolean {
    return this.token !== undefined && given !== undefined && timingSafeEqual(digestOf(given), digestOf(this.token));
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function cookiesOf(request: Request): ReadonlyMap<string, string> {
  const pairs = (request.headers.get('cookie') ?? '').split(';').map((pair) => pair.trim().split('='));
  return new Map(pairs.map(([name = '', value = '']) => [name, value]));
}

function hostOf(request: Request): string {
  return request.headers.get('host') ?? new URL(request.url).host;
}

/** A browser tells where a request comes from; a link from elsewhere may lead to the page, but nothing else may. */
function isOfThisOrigin(request: Request, host: string): boolean {
  const isNavigation =
    request.method === 'GET' && request.headers.get('sec-fetch-mode') === 'navigate' && request.headers.get('sec-fetch-dest') === 'document';
  const site = request.headers.get('sec-fetch-site') ?? 'none';
  if (site !== 'same-origin' && site !== 'none' && !isNavigation) return false;
  const origin = request.headers.get('origin');
  return origin === null || (URL.canParse(origin) && new URL(origin).host === host);
}
