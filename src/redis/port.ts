// The seam to Redis: the few methods that are used, and what each failure means. Two clients implement it.

/** A reply as the protocol has it, RESP2-shaped whatever the client negotiated: maps come flat, nothing is transformed. */
export type Reply = string | number | null | readonly Reply[];

/** A Lua script: its source and the SHA-1 of it. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha: string;
}

/**
 * What a failed call means for what it would have written.
 * - `refused`: the server answered with an error; `RefusedByServer` carries it. It is an answer to *this* sending only: where the
 *   connection changed since the first one (`epoch`), an earlier sending may have been run.
 * - `unknown`: the connection broke, or time ran out, after it may have been sent.
 * - `not-sent`: it surely never left this process.
 */
export type FailureKind = 'refused' | 'unknown' | 'not-sent';

/** The one error that a port throws. `message` never holds a password. */
export class PortError extends Error {
  readonly kind: FailureKind;
  /** For `refused`: the first word of the server's answer, like OOM, READONLY, NOSCRIPT, WRONGTYPE, ERR. Otherwise ''. */
  readonly reply: string;

  constructor(kind: FailureKind, reply: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PortError';
    this.kind = kind;
    this.reply = reply;
  }
}

/**
 * A connection to Redis (to one server, or to a cluster behind a client that routes).
 *
 * Commands called in one turn of the event loop are pipelined and run in the order of the calls, for one `key`'s node.
 * While there is no connection, calls wait for one, up to `timeoutMs` of the port, then fail as `not-sent` (or as `unknown` where
 * the client may have sent it). A client may send a command again by itself after a lost connection: callers must stand that.
 */
export interface RedisPort {
  /** Sends one command; `key` routes it in a cluster (undefined: any node). Rejects with PortError. */
  send(key: string | undefined, args: readonly string[]): Promise<Reply>;
  /** Runs a script by its SHA; loads it and runs it again where the server does not know it (an answer that proves it was not run). */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply>;
  /** Counts the connections made so far: the same number before and after a call means that it was sent on one connection only. */
  readonly epoch: number;
  /** A connection of our own with the same settings, for blocking reads; `close` ends it, at once, also in the middle of a blocking read. */
  dedicated(): Promise<RedisPort>;
  /** Listens to a pub/sub channel on a connection of our own (opened at the first call, shared). The result stops listening. Messages may be missed while it reconnects. */
  listen(channel: string, onMessage: (message: string) => void): Promise<() => Promise<void>>;
  /** Ends what this port opened; a caller's own client is left as it was. Pending calls reject. Idempotent. */
  close(): Promise<void>;
}

/** How to reach Redis by URL. */
export interface ConnectOptions {
  /** ACL user; overrides the URL's. */
  readonly username?: string;
  /** Overrides the URL's. Never shown in an error. */
  readonly password?: string;
  /** TLS settings as `node:tls` takes them, for `rediss://`: `ca`, `cert`, `key`, `rejectUnauthorized`, `servername`. */
  readonly tls?: import('node:tls').ConnectionOptions;
  /** How long `connect` and each later call may wait for a connection, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /** Which client library makes the connections; default: `@redis/client` where it is installed, else `ioredis`. */
  readonly library?: 'node-redis' | 'ioredis';
}
