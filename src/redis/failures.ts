// Reads the errors of the client libraries: whether the server answered, what happened in words, and without any password.
import { ConnectionFailedError } from '../errors.ts';

/** Passwords that must not show: each is struck out of every text that leaves this folder. */
export type Secrets = readonly string[];

interface ForeignError {
  readonly message?: unknown;
  readonly code?: unknown;
  readonly name?: unknown;
}

function foreign(error: unknown): ForeignError {
  return typeof error === 'object' && error !== null ? error : {};
}

/** How servers say that a user may not run a command of a script: since Redis 7.2 and Valkey, and before. */
const REFUSED_IN_SCRIPT = /^ERR (ACL failure in script|The user executing the script can't run this command)/;

/**
 * The first word of the server's answer, or '' where the error is the client's own.
 * By shape, not by class: the class is one of the caller's copy of the library, and bundlers rename classes. Errors of sockets and of
 * TLS have a `code`; what the clients say themselves starts with a small letter or a word in mixed case.
 */
export function replyCode(error: unknown): string {
  const { message, code } = foreign(error);
  if (typeof message !== 'string' || code !== undefined) return '';
  if (REFUSED_IN_SCRIPT.test(message)) return 'NOPERM'; // as outside of one
  return /^[A-Z][A-Z0-9_]+(?= |$)/.exec(message)?.[0] ?? '';
}

export function scrub(text: string, secrets: Secrets): string {
  let clean = text;
  for (const secret of secrets) if (secret !== '') clean = clean.replaceAll(secret, '***');
  return clean;
}

/** What an error says, in one line; an AggregateError (a name with two addresses) has no message but a code. */
export function says(error: unknown, secrets: Secrets): string {
  const { message, code } = foreign(error);
  if (typeof message === 'string' && message !== '') return scrub(message, secrets);
  return typeof code === 'string' ? code : 'no reason given';
}

/** A copy that is safe to show: ioredis hangs the command on its errors, `AUTH` and its password among them. */
export function withoutSecrets(error: unknown, secrets: Secrets): Error {
  const clean = new Error(says(error, secrets));
  const { name, code } = foreign(error);
  if (typeof name === 'string') clean.name = name;
  return typeof code === 'string' ? Object.assign(clean, { code }) : clean;
}

interface Reason {
  readonly pattern: RegExp;
  readonly happened: string;
  readonly next: string;
  /** Trying again cannot help. */
  readonly isFinal?: true;
}

const TRY_PASSWORD = 'Correct the user name and password, in the URL or by the options username and password.';

/** Matched against "code: message", first match wins. */
const REASONS: readonly Reason[] = [
  { pattern: /WRONGPASS|invalid password/, happened: 'the server refused the user name or the password', next: TRY_PASSWORD, isFinal: true },
  { pattern: /NOAUTH/, happened: 'the server asks for a password and none was given', next: TRY_PASSWORD, isFinal: true },
  {
    pattern: /without any password configured|no password is set/,
    happened: 'a password was given, but the server has none',
    next: 'Leave the password out.',
    isFinal: true,
  },
  {
    pattern: /NOPERM/,
    happened: 'this user may not do that',
    next: 'Give the user the permission (ACL SETUSER), or use another user.',
    isFinal: true,
  },
  {
    pattern: /DB index|SELECT is not allowed/,
    happened: 'the server has no such database',
    next: 'Correct the number at the end of the URL.',
    isFinal: true,
  },
  {
    pattern: /is no node of a cluster/,
    happened: 'it is a server by itself',
    next: 'Connect to it by its URL, EventStore.connect(url).',
    isFinal: true,
  },
  {
    pattern: /knows no primary of the name/,
    happened: 'the sentinels do not watch over that primary',
    next: 'Correct the option name, or the sentinels.',
    isFinal: true,
  },
  { pattern: /max number of clients/, happened: 'the server has as many clients as it takes', next: 'Close some, or raise maxclients.' },
  { pattern: /LOADING|MASTERDOWN|BUSY/, happened: 'the server is not ready to answer', next: 'Wait until it is, or raise timeoutMs.' },
  { pattern: /ECONNREFUSED/, happened: 'nothing listens there', next: 'Start Redis or Valkey there, or correct the URL.' },
  { pattern: /ENOTFOUND|EAI_AGAIN/, happened: 'this host name is not known', next: 'Correct the host in the URL, or the name service.' },
  {
    pattern: /CERT|SIGNATURE|UNABLE_TO_|certificate/,
    happened: 'the certificate of the server was not accepted',
    next: 'Give its authority by the option tls.ca, or its name by tls.servername.',
    isFinal: true,
  },
  {
    pattern: /EPROTO|ERR_SSL|ERR_TLS|SSL routines/,
    happened: 'TLS did not come about',
    next: 'Use redis:// for a server without TLS; check the option tls.',
    isFinal: true,
  },
  {
    pattern: /Unknown RESP type|Protocol error/,
    happened: 'what answers there does not speak the protocol of Redis',
    next: 'Correct host and port in the URL.',
    isFinal: true,
  },
  { pattern: /EHOSTUNREACH|ENETUNREACH/, happened: 'there is no route to it', next: 'Check the network and firewalls.' },
  {
    pattern: /ECONNRESET|closed|EPIPE/i,
    happened: 'the connection was cut while it was made',
    next: 'Check that this port is of Redis, and with TLS that the URL says rediss://.',
  },
];

function reasonOf(error: unknown, secrets: Secrets): Reason | undefined {
  const { code } = foreign(error);
  const text = `${typeof code === 'string' ? code : ''}: ${says(error, secrets)}`;
  return REASONS.find(({ pattern }) => pattern.test(text));
}

/** Whether trying again cannot help: a wrong password, a wrong certificate, another protocol. */
export function isFinal(error: unknown): boolean {
  return error !== undefined && reasonOf(error, [])?.isFinal === true;
}

/** Says what was tried, what happened and what to do next. `error` is undefined where there was silence until the time was over. */
export function connectionFailed(where: string, timeoutMs: number, error: unknown, secrets: Secrets): ConnectionFailedError {
  const reason = error === undefined ? undefined : reasonOf(error, secrets);
  const happened = reason?.happened ?? (error === undefined ? 'no answer' : 'the connection failed');
  const detail = error === undefined ? `within ${timeoutMs} ms` : `(${says(error, secrets)})${reason?.isFinal ? '' : `, tried for ${timeoutMs} ms`}`;
  const next = reason?.next ?? 'Check that the server runs and that the network lets this port through, or raise timeoutMs.';
  const options = error === undefined ? undefined : { cause: withoutSecrets(error, secrets) };
  return new ConnectionFailedError(`Could not connect to Redis at ${where}: ${happened} ${detail}. ${next}`, options);
}
