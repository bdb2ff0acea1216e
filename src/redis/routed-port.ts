// The port over several servers: finds the one that serves a call, follows where its slot moves, and waits out a failover.
import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import { ConnectionFailedError } from '../errors.ts';
import { redirectIn } from './cluster-topology.ts';
import { connectionFailed, isFinal, says } from './failures.ts';
import { Listener } from './listener.ts';
import { NodeLink, type RoutedCall } from './node-link.ts';
import { PortError, type RedisPort, type Reply, type Script } from './port.ts';
import type { Routes } from './routes.ts';
import type { NodeName } from './slot-map.ts';

export interface RoutedOptions {
  readonly timeoutMs: number;
  /** How long an answer may take on a connection that seems alive; Infinity for blocking reads. */
  readonly silenceMs?: number;
  /** Of a dedicated port: it shares the map, and does not end it. */
  readonly onClose?: () => void;
}

/** Refusals that end with a failover or a slot's move. The call was not run. */
const WAITED_OUT: ReadonlySet<string> = new Set(['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'READONLY', 'MOVED', 'ASK']);
/** How long to wait for a change at most before looking again. */
const LOOK_AGAIN_MS = 50;
/** Nodes that point at each other are asked no faster than this after so many redirects. */
const REDIRECTS_AT_ONCE = 3;
/** How often to look for a node that does not answer. */
const WATCH_MS = 1_000;

/**
 * Each call goes on one known connection, so what its failure means stays exact. A refusal because another node serves the slot, or none
 * does for now, says that it was not run: it goes on by itself, until `timeoutMs` are over. Whatever may have run is left to the caller.
 */
export class RoutedPort implements RedisPort {
  readonly #routes: Routes;
  readonly #options: RoutedOptions;
  readonly #links = new Map<NodeName, NodeLink>();
  readonly #retiring = new Map<NodeLink, NodeJS.Timeout>();
  readonly #children = new Set<RoutedPort>();
  readonly #stopWatchingMap: () => void;
  readonly #watch: NodeJS.Timeout | undefined;
  #listener: Listener | undefined;
  readonly #waiting = new Set<() => void>();
  #epoch = 1;
  #isClosed = false;

  constructor(routes: Routes, options: RoutedOptions) {
    this.#routes = routes;
    this.#options = options;
    this.#stopWatchingMap = routes.onChange(() => this.#onMap());
    if (options.silenceMs !== Number.POSITIVE_INFINITY) this.#watch = setInterval(() => this.#lookForSilence(), WATCH_MS).unref();
  }

  get isCluster(): boolean {
    return this.#routes.topology.isCluster;
  }

  get epoch(): number {
    return this.#epoch;
  }

  send(key: string | undefined, args: readonly string[]): Promise<Reply> {
    return this.#route({ slot: key === undefined ? undefined : calculateSlot(key), key, args, script: undefined, keys: [] });
  }

  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    const key = keys[0];
    return this.#route({ slot: key === undefined ? undefined : calculateSlot(key), key, args, script, keys });
  }

  async sendEach(args: readonly string[]): Promise<readonly Reply[]> {
    const call = { slot: undefined, key: undefined, args, script: undefined, keys: [] };
    return await Promise.all([...this.#routes.map.primaries].map((node) => this.#route(call, node)));
  }

  async dedicated(key?: string): Promise<RedisPort> {
    if (this.#isClosed) throw new ConnectionFailedError(`The connection to Redis at ${this.#routes.topology.where} was closed. Open another one.`);
    const { timeoutMs } = this.#options;
    const child = new RoutedPort(this.#routes, {
      timeoutMs,
      silenceMs: Number.POSITIVE_INFINITY,
      onClose: () => this.#children.delete(child),
    });
    this.#children.add(child);
    const slot = key === undefined ? undefined : calculateSlot(key);
    await child.#untilReady(() => [this.#routes.map.ownerOf(slot ?? 0)]);
    return child;
  }

  async listen(channel: string, onMessage: (message: string) => void): Promise<() => Promise<void>> {
    this.#listener ??= new Listener(this.#routes, this.#options.timeoutMs);
    return await this.#listener.listen(channel, onMessage);
  }

  /** Resolves once every primary answers. Throws ConnectionFailedError. */
  async connect(): Promise<void> {
    try {
      await this.#routes.open(this.#options.timeoutMs);
      await this.#untilReady(() => [...this.#routes.map.primaries]);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#watch);
    this.#stopWatchingMap();
    for (const timer of this.#retiring.values()) clearTimeout(timer);
    this.#tell();
    const links = [...this.#links.values(), ...this.#retiring.keys()];
    await Promise.all([...this.#children, ...links, ...(this.#listener ? [this.#listener] : [])].map((each) => each.close()));
    this.#options.onClose?.();
    if (this.#options.onClose === undefined) await this.#routes.close();
  }

  /** Up to its first await this runs at once: calls of one turn keep their order. */
  async #route(call: RoutedCall, at?: NodeName): Promise<Reply> {
    const until = performance.now() + this.#options.timeoutMs;
    let redirect: { readonly isAsk: boolean; readonly node: NodeName } | undefined;
    let refusal: PortError | undefined;
    for (let attempt = 0; ; attempt += 1) {
      if (this.#isClosed) throw this.#notSent(call, 'this connection was closed');
      const link = redirect === undefined ? this.#linkFor(call, at) : this.#linkTo(redirect.node);
      if (link?.isReady) {
        try {
          return await (redirect?.isAsk ? link.sendAsking(call) : link.send(call));
        } catch (error) {
          refusal = this.#surelyNotRun(error);
          redirect = this.#follow(refusal, call, link);
          if (redirect !== undefined && attempt < REDIRECTS_AT_ONCE) continue;
        }
      }
      void this.#routes.refresh();
      if (performance.now() >= until) throw refusal?.kind === 'refused' ? refusal : this.#notSent(call, 'no connection', refusal);
      if (link?.isReady || redirect !== undefined) await delay(LOOK_AGAIN_MS);
      else await this.#change();
      redirect = undefined;
    }
  }

  /** Throws whatever may have run, and what waiting cannot help. */
  #surelyNotRun(error: unknown): PortError {
    if (!(error instanceof PortError) || this.#isClosed) throw error;
    if (error.kind === 'unknown') void this.#routes.refresh();
    const isPassing = error.kind === 'not-sent' || (error.kind === 'refused' && WAITED_OUT.has(error.reply));
    if (!isPassing) throw error;
    return error;
  }

  /** What a refusal says of where to go. The map learns it, and the epoch tells that another server may have the call. */
  #follow(refusal: PortError, { slot }: RoutedCall, from: NodeLink): { readonly isAsk: boolean; readonly node: NodeName } | undefined {
    const { topology } = this.#routes;
    const told = redirectIn(refusal, from.node);
    if (told === undefined) return undefined;
    const redirect = { isAsk: told.isAsk, node: topology.translated(told.node) };
    this.#epoch += 1;
    if (!redirect.isAsk && slot !== undefined) this.#routes.moved(slot, redirect.node);
    return redirect;
  }

  #linkFor({ slot }: RoutedCall, at: NodeName | undefined): NodeLink | undefined {
    const { map } = this.#routes;
    if (at !== undefined) return this.#linkTo(at);
    if (slot !== undefined) return this.#linkTo(map.ownerOf(slot));
    const links = [...map.primaries].map((node) => this.#links.get(node));
    return links.find((link) => link?.isReady) ?? this.#linkTo([...map.primaries][0]);
  }

  #linkTo(node: NodeName | undefined): NodeLink | undefined {
    if (node === undefined || this.#isClosed) return undefined;
    let link = this.#links.get(node);
    if (link === undefined) {
      const { timeoutMs, silenceMs } = this.#options;
      const onReady = (): void => {
        this.#epoch += 1;
        this.#routes.lastError = undefined;
        this.#tell();
      };
      link = new NodeLink(this.#routes.topology, node, { timeoutMs, silenceMs, onReady, onGone: (gone, error) => this.#onGone(gone, error) });
      this.#links.set(node, link);
    }
    return link;
  }

  #onGone(link: NodeLink, error: unknown): void {
    if (this.#retiring.has(link)) this.#leave(link);
    if (this.#links.get(link.node) !== link) return;
    if (error !== undefined) {
      this.#routes.lastError = error;
      this.#links.delete(link.node);
    }
    this.#tell();
    if (!this.#isClosed) void this.#routes.refresh();
  }

  /** Nodes that serve nothing any more are left: at once where no answer can come, else when what is on its way had its time. */
  #onMap(): void {
    this.#epoch += 1;
    for (const [node, link] of this.#links) {
      if (this.#routes.map.primaries.has(node)) continue;
      this.#links.delete(node);
      this.#retiring.set(link, setTimeout(() => this.#leave(link), this.#options.timeoutMs).unref());
      if (!link.isReady) this.#leave(link);
    }
    this.#tell();
  }

  #leave(link: NodeLink): void {
    clearTimeout(this.#retiring.get(link));
    this.#retiring.delete(link);
    void link.close();
  }

  #lookForSilence(): void {
    const silent = [...this.#links.values()].filter((link) => link.isSilent());
    if (silent.length > 0) void this.#routes.refresh();
  }

  /** Resolves when a connection or the map changed, or a moment later. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, LOOK_AGAIN_MS);
      this.#waiting.add(wake);
    });
  }

  #tell(): void {
    for (const wake of this.#waiting) wake();
  }

  async #untilReady(nodes: () => readonly (NodeName | undefined)[]): Promise<void> {
    const { timeoutMs } = this.#options;
    const start = performance.now();
    const until = start + timeoutMs;
    this.#routes.lastError = undefined;
    while (!nodes().every((node) => this.#linkTo(node)?.isReady)) {
      const { lastError, topology } = this.#routes;
      if (isFinal(lastError) || performance.now() >= until || this.#isClosed) {
        await this.close();
        throw lastError instanceof ConnectionFailedError ? lastError : connectionFailed(topology.where, timeoutMs, lastError, topology.secrets);
      }
      // A node that is down may be followed by another one in the meantime.
      if (performance.now() >= start + WATCH_MS / 4) void this.#routes.refresh();
      await this.#change();
    }
  }

  #notSent({ args, script }: RoutedCall, why: string, cause?: PortError): PortError {
    const { lastError, topology } = this.#routes;
    const last = cause ?? lastError;
    const reason = last === undefined ? '' : ` (${says(last, topology.secrets)})`;
    const time = why === 'no connection' ? ` within ${this.#options.timeoutMs} ms` : '';
    return new PortError('not-sent', '', `${script?.name ?? args[0]} to ${topology.where}: ${why}${time}${reason}`);
  }
}
