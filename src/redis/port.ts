// The seam to Redis: the few methods that are used, and what each failure means, whichever of two clients is behind it.

/**
 * A reply as RESP2 has it, whatever the client negotiated: maps come flat (`XREAD` as pairs), doubles as text, booleans as 1 and 0; nothing
 * is transformed, and text is UTF-8. No command or script that is used here nests an error in an array: such a one is not looked for.
 */
export type Reply = string | number | null | readonly Reply[];

/** A Lua script: its source and the SHA-1 of it. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha: string;
}

/**
 * What a failed call means for what it would have written.
 * - `refused`: the server answered with an error, on the connection that the call was first sent on: this is all that became of it.
 * - `unknown`: the connection broke, or time ran out, after it may have been sent. `reply` is not '' where the client sent it again and
 *   that sending was refused: it proves nothing about the first one.
 * - `not-sent`: it surely never left this process, and never will.
 */
export type FailureKind = 'refused' | 'unknown' | 'not-sent';

/** The one error that a port throws. `message` never holds a password. */
export class PortError extends Error {
  readonly kind: FailureKind;
  /** The first word of the server's answer, like OOM, READONLY, NOSCRIPT, WRONGTYPE, ERR; '' where it gave none. */
  readonly reply: string;

  constructor(kind: FailureKind, reply: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PortError';
    this.kind = kind;
    this.reply = reply;
  }
}

/**
 * A connection to Redis: to one server, to the primary that sentinels name, or to the nodes of a cluster.
 *
 * Commands called in one turn of the event loop are pipelined and run in the order of the calls, for one `key`'s node.
 * (While a script that the server does not know is being loaded, others overtake it; so do they where a slot moves to another node.)
 * A call that finds no connection is held back, up to `timeoutMs` of the port, and then fails as `not-sent`. One that is under way when
 * the connection breaks fails as `unknown`: at once, or after `timeoutMs` where a caller's client keeps it to send it again by itself,
 * which callers must stand. One that gets no answer for 30 s on a connection that seems alive fails as `unknown`, except on a dedicated one.
 */
export interface RedisPort {
  /** Sends one command, its name first and in capitals; `key` routes it in a cluster (undefined: any node). Rejects with PortError. */
  send(key: string | undefined, args: readonly string[]): Promise<Reply>;
  /** Whether the data are spread over the nodes of a cluster. */
  readonly isCluster: boolean;
  /** Sends one command to each primary that has a part of the data: to the one server, or to every node of a cluster. */
  sendEach(args: readonly string[]): Promise<readonly Reply[]>;
  /** Runs a script by its SHA; loads it, once for all who wait, and runs it again where the server does not know it. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply>;
  /**
   * Counts the connections made so far, and in a cluster the moves of slots: the same number before and after a call means that it was sent
   * on one connection only, and that what was sent before it for the same key went to the same server.
   */
  readonly epoch: number;
  /**
   * A connection of our own with the same settings, for blocking reads: nothing is sent again on it, and it reconnects for ever. `close` ends
   * it at once, also in the middle of a blocking read. In a cluster it is one to the node that serves `key` (undefined: any node), and goes
   * on at another when that does. Throws ConnectionFailedError.
   */
  dedicated(key?: string): Promise<RedisPort>;
  /**
   * Listens to a pub/sub channel on a connection of our own (opened at the first call, shared), and again after each reconnect; messages in
   * between are missed. The result stops listening. Throws ConnectionFailedError or PortError.
   */
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
