// Takes a Redis URL and its options apart, so that no client library ever sees (or shows) the URL itself.
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { InvalidInputError } from '../errors.ts';
import type { ConnectOptions } from './port.ts';
import { InWords } from '../show.ts';

/** Where a server is and how to get in. `where` is what messages show: never the credentials. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly where: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly tls: TlsOptions | undefined;
}

const SHAPE =
  'redis://[user:password@]host[:port][/database] or rediss:// for TLS, with special characters in a password percent-encoded (encodeURIComponent)';

/** Refuses what it does not understand: nothing in a URL is passed over. `found` shows the scheme alone, since a malformed URL may hold a password anywhere. */
export function addressOf(url: string, options: ConnectOptions): Address {
  const parsed = parse(url);
  const secure = parsed.protocol === 'rediss:';
  if (!secure && options.tls !== undefined) throw new InvalidInputError('option tls', 'a rediss:// URL beside it', `${parsed.protocol}//…`);
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1') || 'localhost';
  const port = parsed.port === '' ? 6379 : Number(parsed.port);
  return {
    host,
    port,
    where: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    username: options.username ?? decoded(parsed.username),
    password: options.password ?? decoded(parsed.password),
    database: databaseOf(parsed.pathname),
    tls: secure ? (options.tls ?? {}) : undefined,
  };
}

function parse(url: string): URL {
  const scheme = /^([a-z][a-z0-9+.-]{0,20}):/i.exec(url)?.[1]?.toLowerCase();
  const found = scheme === undefined ? `a text of ${url.length} characters without a scheme` : `${scheme}:…`;
  if (scheme !== 'redis' && scheme !== 'rediss') throw new InvalidInputError('Redis URL', SHAPE, found);
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^rediss?:\/\//i.test(url)) throw new InvalidInputError('Redis URL', SHAPE, found);
  if (parsed.search !== '' || parsed.hash !== '') throw new InvalidInputError('Redis URL', `${SHAPE}, and nothing after ? or #`, found);
  return parsed;
}

function decoded(part: string): string | undefined {
  if (part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw new InvalidInputError('Redis URL', SHAPE, 'a % that is not followed by two hexadecimal digits');
  }
}

function databaseOf(path: string): number {
  if (path === '' || path === '/') return 0;
  if (!/^\/\d{1,5}$/.test(path))
    throw new InvalidInputError('database in the Redis URL', 'a number, as in redis://localhost:6379/2', 'something else');
  return Number(path.slice(1));
}

/** The same access to another server. */
export function addressAt(address: Address, host: string, port: number): Address {
  return { ...address, host, port, where: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}

/** The addresses of several servers that one user and password lead to. `what` names the option. */
export function addressesOf(what: string, urls: unknown, options: ConnectOptions): readonly [Address, ...Address[]] {
  const isList = Array.isArray(urls) && urls.every((url) => typeof url === 'string');
  if (!isList) throw new InvalidInputError(`option ${what}`, 'a list of URLs', new InWords(Array.isArray(urls) ? 'other things in it' : typeof urls));
  const [first, ...others] = urls.map((url: string) => addressOf(url, options));
  if (first === undefined) throw new InvalidInputError(`option ${what}`, 'at least one URL', 'none');
  for (const other of others) {
    const isSame = other.username === first.username && other.password === first.password && (other.tls === undefined) === (first.tls === undefined);
    if (!isSame) throw new InvalidInputError(`option ${what}`, 'one scheme, user and password for all', new InWords('URLs that differ in those'));
  }
  return [first, ...others];
}
