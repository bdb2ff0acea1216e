// The responses of the page's server: JSON, refusals and failures, each with headers that let a browser do as little as possible.
import { isMillraceError, StoreClosedError } from '../index.ts';
import type { ErrorReply } from './api.ts';

/** On every response. */
export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** A failure that a handler tells with a status of its own. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

export function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { ...HEADERS, 'content-type': 'application/json', 'cache-control': 'no-store' } });
}

export function refused(status: number, code: string, message: string): Response {
  const reply: ErrorReply = { error: { code, message } };
  return json(reply, status);
}

/** The same for a person who opened the page in a browser; text only as text. */
export function refusedPage(status: number, message: string): Response {
  const text = message.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>millrace</title><h1>millrace</h1><p>${text}</p></html>`;
  return new Response(body, { status, headers: { ...HEADERS, 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' } });
}

const STATUSES: Readonly<Record<string, number>> = {
  'invalid-input': 400,
  'partition-mismatch': 400,
  'in-use': 409,
  paused: 409,
  'not-caught-up': 409,
  'version-conflict': 409,
  'unknown-version': 409,
  'connection-failed': 503,
  'server-refused': 503,
  'store-closed': 503,
};

/** What a handler threw, in words; a bug of ours without its insides. */
export function failed(error: unknown): Response {
  if (error instanceof ApiError) return refused(error.status, error.code, error.message);
  if (error instanceof StoreClosedError || isMillraceError(error)) return refused(STATUSES[error.code] ?? 500, error.code, error.message);
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
  return refused(500, 'failed', `${name}: ${message}`);
}
