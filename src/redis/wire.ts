// What differs between the client libraries, for one connection; and how one becomes ready, or why it does not.
import type { Sender } from './calls.ts';
import { connectionFailed, isFinal, replyCode, says, withoutSecrets } from './failures.ts';
import { PortError } from './port.ts';

/** One connection of a client library. Its events are 'ready', 'error' and those of `GONE`. */
export interface Wire extends Sender {
  /** Whether we opened it: a caller's own client is never closed here. */
  readonly isOwn: boolean;
  /** Starts connecting where that was not done yet. What comes of it shows in the events; a rejection may just be the first attempt's. */
  open(): Promise<unknown>;
  /** Cuts the connection at once, for good. */
  destroy(): void;
  /** Cuts a connection that went silent, so that the client makes another one. Only for our own. */
  reconnect(): void;
  /** Another connection with the same settings (to another server): ours, not opened yet, sends nothing again by itself, reconnects for ever. */
  duplicate(at?: { readonly host: string; readonly port: number }): Wire;
  subscribe(channel: string, onMessage: (message: string) => void): Promise<unknown>;
  unsubscribe(channel: string, onMessage: (message: string) => void): Promise<unknown>;
  on(event: string, listener: (cause?: unknown) => void): unknown;
  off(event: string, listener: (cause?: unknown) => void): unknown;
}

/** The events by which the clients tell that a connection is gone; not every client has every one. */
export const GONE = ['close', 'reconnecting', 'end', 'terminated'] as const;

/** Resolves once the client says that it is ready. Fails when that takes too long, and at once where trying again cannot help. */
export function becomeReady(wire: Wire, timeoutMs: number): Promise<void> {
  let last: unknown;
  return new Promise((resolve, reject) => {
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      wire.off('ready', onReady);
      wire.off('error', onError);
      for (const event of GONE) wire.off(event, onGone);
      action();
    };
    const fail = (): void => settle(() => reject(connectionFailed(wire.where, timeoutMs, last, wire.secrets)));
    const onReady = (): void => settle(resolve);
    const onGone = (): void => void (wire.isEnded() && fail());
    const onError = (cause: unknown): void => {
      last = cause;
      if (wire.isEnded() || isFinal(cause)) fail();
    };
    const timer = setTimeout(fail, timeoutMs);
    wire.on('ready', onReady);
    wire.on('error', onError);
    for (const event of GONE) wire.on(event, onGone);
    wire.open().catch((cause: unknown) => {
      last ??= cause;
      onGone();
    });
    if (wire.isReady()) onReady();
  });
}

/** What is not a call of ours (subscribing) has a time, too, and its failures the same words. */
export async function inTime({ where, secrets }: Wire, command: string, work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PortError('unknown', '', `${command} to ${where}: no answer within ${Math.round(ms)} ms`)), ms);
  });
  try {
    await Promise.race([work, late]);
  } catch (error) {
    if (error instanceof PortError) throw error;
    const code = replyCode(error);
    throw new PortError(code === '' ? 'unknown' : 'refused', code, `${command} to ${where}: ${says(error, secrets)}`, {
      cause: withoutSecrets(error, secrets),
    });
  } finally {
    clearTimeout(timer);
  }
}

/** A delay that doubles from 50 ms to 2 s, between half and all of it by chance, so that many clients do not come back as one. */
export function backoffMs(attempt: number): number {
  return Math.min(2_000, 50 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2);
}
