// Every error as a problem document (RFC 9457).
import { STATUS_CODES } from 'node:http';
import { InvalidInputError, isMillraceError } from 'millrace';
import { z } from 'zod';
import { RefusedError } from './domain.ts';

/** What goes wrong with the request itself. */
export class RequestError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.status = status;
    this.headers = headers;
  }
}

/** The members of a problem document, and the headers that go with it. */
interface Problem {
  readonly status: number;
  /** Names the problem; without one its status says all. */
  readonly code?: string;
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is wrong with each part of the request. */
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

const TYPES = 'https://profile-service.example/problems';

export function problemResponse(error: unknown): Response {
  const { status, code, detail, headers, errors } = problemOf(error);
  const type = code === undefined ? 'about:blank' : `${TYPES}/${code}`;
  const title = STATUS_CODES[status];
  return Response.json({ type, title, status, detail, errors }, { status, headers: { ...headers, 'content-type': 'application/problem+json' } });
}

/** What is asked again in a moment may well be answered. */
const LATER = { 'retry-after': '1' };

const STATUS_OF_REFUSAL: Readonly<Record<string, number>> = { 'unknown-user': 404, 'already-registered': 409 };

function problemOf(error: unknown): Problem {
  if (error instanceof RequestError) return { status: error.status, detail: error.message, headers: error.headers };
  if (error instanceof RefusedError) return { status: STATUS_OF_REFUSAL[error.code] ?? 422, code: error.code, detail: error.message };
  if (error instanceof z.ZodError)
    return { status: 400, code: 'invalid-request', detail: 'The request does not fit. Nothing was written.', errors: issuesOf(error) };
  if (isMillraceError(error)) return problemOfStore(error);
  console.error(error);
  return { status: 500, detail: 'Something went wrong here, not in your request.' };
}

function issuesOf({ issues }: z.ZodError): { pointer: string; detail: string }[] {
  return issues.map(({ path, message }) => ({
    pointer: `#${path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`,
    detail: message,
  }));
}

function problemOfStore(error: Error & { readonly code: string }): Problem {
  const { code, message: detail } = error;
  switch (code) {
    case 'invalid-input':
      return {
        status: 400,
        code,
        detail: error instanceof InvalidInputError ? `Invalid ${error.what}: expected ${error.expected}, found ${error.found}.` : detail,
      };
    case 'store-mismatch':
      return { status: 400, code, detail: 'This token is of another store.' };
    case 'idempotency-key-reused':
      return { status: 422, code, detail };
    case 'log-lost':
      return { status: 409, code, detail: 'The write that this token stands for is not there: the log has been lost since.' };
    case 'not-caught-up':
      return { status: 503, code, detail: 'The profiles have not reached this write yet.', headers: LATER };
    case 'version-conflict':
      return { status: 503, code, detail: 'Too many others are writing to this user. Nothing was written.', headers: LATER };
    case 'outcome-unknown':
      return { status: 503, code, detail: 'Whether this was written is unknown. Send it again with the same Idempotency-Key.', headers: LATER };
    case 'connection-failed':
    case 'server-refused':
    case 'store-closed':
      return { status: 503, code, detail: 'The engine does not take this now. Nothing was written.', headers: LATER };
    default:
      console.error(error);
      return { status: 500, code, detail: 'Something went wrong here, not in your request.' };
  }
}
