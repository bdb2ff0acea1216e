// One connection of @redis/client (or redis) 5 or 6.
import { InvalidInputError } from '../errors.ts';
import type { Address } from './address.ts';
import type { Reply } from './port.ts';
import { reshaped } from './replies.ts';
import { backoffMs, type Wire } from './wire.ts';

/** The part of a client of `@redis/client` or `redis` that is used; clients of versions 5 and 6 fit. */
export interface NodeRedisClient {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  readonly isPubSubActive?: boolean;
  readonly options?: object | undefined;
  connect(): Promise<unknown>;
  destroy(): void;
  duplicate(overrides?: object): NodeRedisClient;
  sendCommand(args: readonly string[], options?: object): Promise<unknown>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  unsubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  on(event: string, listener: (cause?: unknown) => void): unknown;
  off(event: string, listener: (cause?: unknown) => void): unknown;
}

/** The module: what `import('@redis/client')` or `import('redis')` gives. */
export interface NodeRedisModule {
  createClient(options: object): NodeRedisClient;
}

/** The options that are looked at. */
interface KnownOptions {
  readonly RESP?: number;
  readonly keyPrefix?: string;
  readonly password?: string;
  readonly socket?: { readonly host?: string; readonly port?: number; readonly path?: string };
}

/**
 * Given with each command, so that a caller's settings do not change it. `typeMapping` goes by the first byte of a RESP3 type: maps (%)
 * and sets (~) as flat arrays, doubles (,) and big numbers (() as text. The time limit of version 6 would make an AbortSignal for
 * each command (1,000 GET at once: 5.7 µs each with it, 3.0 without); waiting is done in Calls.
 */
const COMMAND_OPTIONS = {
  typeMapping: { [byte('%')]: Array, [byte('~')]: Array, [byte(',')]: String, [byte('(')]: String },
  timeout: undefined,
  abortSignal: undefined,
  asap: false,
};

/** Of every connection that we make. RESP2 answers as is; the rest would need RESP3, or change what is sent. */
const OWN_OPTIONS = {
  RESP: 2,
  clientSideCache: undefined,
  emitInvalidate: false,
  maintNotifications: 'disabled',
  disableOfflineQueue: false,
  commandOptions: undefined,
  pingInterval: undefined,
};

function byte(char: string): number {
  return char.charCodeAt(0);
}

export function nodeRedisWire(client: NodeRedisClient, isOwn: boolean, secrets: readonly string[]): Wire {
  const options: KnownOptions = client.options ?? {};
  // Version 6 makes RESP3 connections unless told otherwise; which version this is, a client does not say.
  const mayBeResp3 = options.RESP !== 2;
  const connecting = new Connecting(isOwn ? client : undefined);
  return {
    where: whereOf(options),
    secrets,
    isOwn,
    // What was written is rejected when the connection breaks, but what still waited to be written is sent on the next one.
    resends: true,
    isReady: () => client.isReady,
    isEnded: () => !client.isOpen,
    send: (_key, args) => client.sendCommand(args, COMMAND_OPTIONS),
    shape: (args, raw) => (mayBeResp3 ? reshaped(args[0] as string, raw) : (raw as Reply)),
    open: async () => {
      if (client.isOpen) return;
      connecting.begun();
      await client.connect();
    },
    destroy: () => connecting.over(() => destroy(client)),
    reconnect: () => {
      destroy(client);
      connecting.begun();
      client.connect().catch(() => undefined);
    },
    duplicate: (at) => nodeRedisWire(duplicate(client, options, at), true, secrets),
    subscribe: (channel, onMessage) => client.subscribe(channel, onMessage),
    unsubscribe: (channel, onMessage) => client.unsubscribe(channel, onMessage),
    on: (event, listener) => client.on(event, listener),
    off: (event, listener) => client.off(event, listener),
  };
}

/** A client that we make for an address. */
export function createNodeRedis(module: NodeRedisModule, address: Address, timeoutMs: number): NodeRedisClient {
  const { host, port, tls, username, password, database } = address;
  const socket = { ...tls, host, port, tls: tls !== undefined, connectTimeout: timeoutMs, reconnectStrategy: backoffMs };
  return module.createClient({ ...OWN_OPTIONS, username, password, database, socket });
}

/** Refuses a caller's client whose settings would change what is stored or break the connection. */
export function checkNodeRedis(client: NodeRedisClient): void {
  const options: KnownOptions = client.options ?? {};
  if (options.keyPrefix)
    throw new InvalidInputError('client', 'one without keyPrefix (give the store a namespace instead)', 'a @redis/client client with keyPrefix');
  if (client.isPubSubActive)
    throw new InvalidInputError(
      'client',
      'one that is not subscribed to channels (use client.duplicate() for those)',
      'a @redis/client client with subscriptions',
    );
}

function duplicate(
  client: NodeRedisClient,
  options: KnownOptions,
  at: { readonly host: string; readonly port: number } | undefined,
): NodeRedisClient {
  const socket = { ...options.socket, socketTimeout: undefined, reconnectStrategy: backoffMs };
  if (at === undefined) return client.duplicate({ ...OWN_OPTIONS, socket });
  // A URL among the settings would win over the address.
  return client.duplicate({ ...OWN_OPTIONS, url: undefined, readonly: false, socket: { ...socket, ...at, path: undefined } });
}

/**
 * Whether a client is making a connection at this moment. One that is destroyed then forgets the socket, which connects all the same and
 * stays for good: so the end of the attempt is waited for, which the client's `connectTimeout` limits. On a caller's client nothing listens.
 */
class Connecting {
  readonly #client: NodeRedisClient | undefined;
  #isUnderWay = false;
  #waiting: (() => void)[] = [];

  constructor(client: NodeRedisClient | undefined) {
    this.#client = client;
    client?.on('reconnecting', () => this.begun());
    client?.on('connect', () => this.#ended());
    client?.on('error', () => this.#ended());
  }

  begun(): void {
    this.#isUnderWay = this.#client !== undefined;
  }

  /** Calls `then` when no attempt is under way: at once, or when it ends. */
  over(then: () => void): void {
    if (this.#isUnderWay) this.#waiting.push(then);
    else then();
  }

  #ended(): void {
    this.#isUnderWay = false;
    for (const then of this.#waiting.splice(0)) then();
  }
}

/** Version 5.0 throws where there is nothing to destroy. */
function destroy(client: NodeRedisClient): void {
  try {
    client.destroy();
  } catch {
    // It was closed already.
  }
}

function whereOf({ socket }: KnownOptions): string {
  return socket?.path ?? `${socket?.host ?? 'localhost'}:${socket?.port ?? 6379}`;
}
