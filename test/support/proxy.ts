// A TCP proxy in front of an engine that makes the network's faults on demand: lost replies, cuts, silence, split and late packets.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { freePort } from '../../examples/engine-process.ts';
import { type Direction, Link, type LinkOwner, type Matches, type Trap } from './proxy-link.ts';
import type { SentCommand } from './resp.ts';

export interface Shape {
  /** At most so many bytes go into one packet. Default: as they come. */
  readonly chunkBytes?: number;
  /** How long each packet is held. Default 0. */
  readonly delayMs?: number;
}

export interface LossOptions {
  /** So many matching commands are run, and all replies from the first of them on are lost, before the connection is cut. Default 1. */
  readonly count?: number;
  /** Runs after the cut; until it is done, nobody can connect. A client's resend meets what it has made. */
  readonly whileCut?: () => Promise<unknown>;
}

export interface Proxy extends AsyncDisposable {
  /** The target's URL with this proxy's address in it. */
  readonly url: string;
  /** How many clients are connected. */
  readonly connections: number;
  /** How many clients have ever connected. */
  readonly accepted: number;
  /** Destroys all connections. New ones are welcome. */
  cut(): void;
  /** From now on a connection is refused (ECONNREFUSED); those that exist stay. */
  refuse(): void;
  accept(): Promise<void>;
  /** From now on what connects gets to another engine; its own address stays. Connections that exist stay too. */
  retarget(targetUrl: string): void;
  /** Half-open: connections stay and are taken, and nothing goes through until `thaw`, when everything held does. */
  freeze(direction?: Direction | 'both'): void;
  thaw(): void;
  shape(shape: Shape): void;
  /** The next command that matches is run, its reply is swallowed, and its connection cut. Resolves with the command when that has happened. */
  loseReplyOf(matches: Matches, options?: LossOptions): Promise<string[]>;
  /** The next command that matches never arrives: its connection is cut instead. */
  loseCommand(matches: Matches, options?: Pick<LossOptions, 'whileCut'>): Promise<string[]>;
  /** Resolves when a command that matches passes. */
  seen(matches: Matches): Promise<string[]>;
  close(): Promise<void>;
}

/** Starts a proxy for `targetUrl` on a free port of the loopback. Not for TLS: it reads the commands. */
export async function startProxy(targetUrl: string): Promise<Proxy> {
  const proxy = new TcpProxy(targetUrl, await freePort());
  await proxy.accept();
  return proxy;
}

class TcpProxy implements Proxy, LinkOwner {
  #target: URL;
  readonly #port: number;
  readonly #links = new Set<Link>();
  readonly #frozen = new Set<Direction>();
  #server: Server | undefined;
  #thawed: (() => void)[] = [];
  #traps: Trap[] = [];
  #shape: Shape = {};
  accepted = 0;

  constructor(targetUrl: string, port: number) {
    this.#target = new URL(targetUrl);
    this.#port = port;
  }

  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  get connections(): number {
    return this.#links.size;
  }

  cut(): void {
    for (const link of this.#links) link.cut();
  }

  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async accept(): Promise<void> {
    if (this.#server) return;
    const server = createServer((client) => this.#connect(client));
    this.#server = server;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
  }

  retarget(targetUrl: string): void {
    this.#target = new URL(targetUrl);
  }

  #connect(client: Socket): void {
    this.accepted++;
    const upstream = connect(Number(this.#target.port || 6379), this.#target.hostname.replace(/^\[|\]$/g, ''));
    const link = new Link(client, upstream, this);
    this.#links.add(link);
    void link.run().finally(() => this.#links.delete(link));
  }

  freeze(direction: Direction | 'both' = 'both'): void {
    if (direction !== 'replies') this.#frozen.add('commands');
    if (direction !== 'commands') this.#frozen.add('replies');
  }

  thaw(): void {
    this.#frozen.clear();
    for (const go of this.#thawed.splice(0)) go();
  }

  shape(shape: Shape): void {
    this.#shape = shape;
  }

  loseReplyOf(matches: Matches, { count = 1, whileCut = async () => {} }: LossOptions = {}): Promise<string[]> {
    return this.#trap('reply', matches, count, whileCut);
  }

  loseCommand(matches: Matches, { whileCut = async () => {} }: Pick<LossOptions, 'whileCut'> = {}): Promise<string[]> {
    return this.#trap('command', matches, 1, whileCut);
  }

  seen(matches: Matches): Promise<string[]> {
    return this.#trap('seen', matches, 1, async () => {});
  }

  #trap(kind: Trap['kind'], matches: Matches, left: number, whileCut: Trap['whileCut']): Promise<string[]> {
    return new Promise((caught, failed) => this.#traps.push({ kind, matches, whileCut, left, caught, failed }));
  }

  /** Takes out the first trap that this command springs. Commands are decoded only while one is set. */
  sprung(command: SentCommand): { trap: Trap; args: string[] } | undefined {
    if (this.#traps.length === 0) return undefined;
    const args = command.args();
    const index = this.#traps.findIndex((trap) => trap.matches(args));
    const [trap] = index === -1 ? [] : this.#traps.splice(index, 1);
    return trap && { trap, args };
  }

  /** Ends one link as its trap says, and keeps the door shut meanwhile. */
  async spring(link: Link, trap: Trap, command: string[]): Promise<void> {
    this.refuse();
    this.#links.delete(link);
    link.cut();
    await trap.whileCut().then(async () => (await this.accept(), trap.caught(command)), trap.failed);
  }

  /** Writes in the shape that is set, waits while frozen, and for the other side to take it. */
  async write(to: Socket, bytes: Buffer, direction: Direction): Promise<void> {
    const size = this.#shape.chunkBytes ?? bytes.length;
    for (let from = 0; from < bytes.length; from += size) {
      while (this.#frozen.has(direction)) await new Promise<void>((go) => this.#thawed.push(go));
      if (this.#shape.delayMs) await wait(this.#shape.delayMs);
      if (to.destroyed) return;
      if (!to.write(bytes.subarray(from, from + size))) await drained(to);
      if (size < bytes.length) await nextTurn();
    }
  }

  async close(): Promise<void> {
    this.refuse();
    this.cut();
    this.thaw();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function drained(socket: Socket): Promise<void> {
  const over = new AbortController();
  await Promise.race([once(socket, 'drain', over), once(socket, 'close', over)]).finally(() => over.abort());
}
