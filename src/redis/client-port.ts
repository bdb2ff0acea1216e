// The port over any client: connections of our own beside it, listening, closing.
import { ConnectionFailedError } from '../errors.ts';
import { Calls } from './calls.ts';
import { connectionFailed } from './failures.ts';
import { PortError, type RedisPort, type Reply, type Script } from './port.ts';
import { becomeReady, GONE, inTime, type Wire } from './wire.ts';

export interface ClientPortOptions {
  readonly timeoutMs: number;
  /** How long an answer may take on a connection that seems alive. Default 30,000; Infinity for blocking reads, whose user watches over them. */
  readonly silenceMs?: number;
  readonly onClose?: () => void;
}

/** Any command but a blocking one is answered long before; if not, the connection is dead, whatever the socket says. */
const SILENCE_MS = 30_000;
/** How often a server that is still loading is asked again. */
const PROBE_MS = 100;

export class ClientPort implements RedisPort {
  readonly isCluster = false;
  readonly #wire: Wire;
  readonly #calls: Calls;
  readonly #options: ClientPortOptions;
  readonly #children = new Set<RedisPort>();
  #listener: Promise<Wire> | undefined;
  #isClosed = false;

  constructor(wire: Wire, options: ClientPortOptions) {
    this.#wire = wire;
    this.#options = options;
    const { timeoutMs, silenceMs = SILENCE_MS } = options;
    this.#calls = new Calls(wire, { timeoutMs, silenceMs, onSilence: () => wire.isOwn && wire.reconnect() });
    wire.on('ready', this.#onReady);
    wire.on('error', this.#onError);
    for (const event of GONE) wire.on(event, this.#onGone);
  }

  get epoch(): number {
    return this.#calls.epoch;
  }

  send(key: string | undefined, args: readonly string[]): Promise<Reply> {
    return this.#calls.call(key, args);
  }

  async sendEach(args: readonly string[]): Promise<readonly Reply[]> {
    return [await this.send(undefined, args)];
  }

  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    return this.#calls.run(script, ['EVALSHA', script.sha, String(keys.length)].concat(keys, args), keys[0]);
  }

  dedicated(): Promise<RedisPort> {
    return this.#openChild(this.#wire.duplicate());
  }

  async listen(channel: string, onMessage: (message: string) => void): Promise<() => Promise<void>> {
    this.#listener ??= this.#openListener();
    const wire = await this.#listener;
    // A function of its own for each call: the same one may listen twice.
    const deliver = (message: string): void => onMessage(message);
    await inTime(wire, 'SUBSCRIBE', wire.subscribe(channel, deliver), this.#options.timeoutMs);
    // Where there is no connection there is nothing to stop, and the client has forgotten the function already.
    return () => inTime(wire, 'UNSUBSCRIBE', wire.unsubscribe(channel, deliver), this.#options.timeoutMs).catch(() => undefined);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#calls.close('this connection was closed');
    this.#wire.off('ready', this.#onReady);
    for (const event of GONE) this.#wire.off(event, this.#onGone);
    // An 'error' event without a listener ends the process, and our own clients emit it after their end, too: there the listener stays.
    if (this.#wire.isOwn) this.#wire.destroy();
    else this.#wire.off('error', this.#onError);
    this.#options.onClose?.();
    await Promise.all([...this.#children].map((child) => child.close()));
  }

  /** Resolves once the server answers. Throws ConnectionFailedError when that takes too long, and at once where waiting cannot help. */
  async connect(): Promise<void> {
    const wasOpen = !this.#wire.isEnded();
    const until = performance.now() + this.#options.timeoutMs;
    try {
      await becomeReady(this.#wire, this.#options.timeoutMs);
      await this.#probe(until);
    } catch (error) {
      // A caller's client that was not open is left as it was, too: else it would try for ever.
      if (!wasOpen) this.#wire.destroy();
      await this.close();
      throw error;
    }
  }

  /** A client is ready before anything was asked: only now a missing password shows, or a server that is loading. */
  async #probe(until: number): Promise<void> {
    const { where, secrets } = this.#wire;
    let answered: unknown;
    for (;;) {
      try {
        await inTime(this.#wire, 'PING', this.send(undefined, ['PING']), until - performance.now());
        return;
      } catch (error) {
        const code = error instanceof PortError ? error.reply : '';
        // A user who may not PING is connected all the same.
        if (code === 'NOPERM') return;
        const mayPass = code === 'LOADING' || code === 'MASTERDOWN' || code === 'BUSY';
        // What it said before tells more than that it said nothing in the little time that was left.
        if (code !== '') answered = error;
        if (!mayPass || performance.now() + PROBE_MS > until) throw connectionFailed(where, this.#options.timeoutMs, answered ?? error, secrets);
      }
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
  }

  async #openListener(): Promise<Wire> {
    const wire = this.#wire.duplicate();
    try {
      await this.#openChild(wire);
    } catch (error) {
      this.#listener = undefined;
      throw error;
    }
    return wire;
  }

  async #openChild(wire: Wire): Promise<RedisPort> {
    if (this.#isClosed) throw new ConnectionFailedError(`The connection to Redis at ${wire.where} was closed. Open another one.`);
    const child = new ClientPort(wire, {
      timeoutMs: this.#options.timeoutMs,
      silenceMs: Number.POSITIVE_INFINITY,
      onClose: () => this.#children.delete(child),
    });
    this.#children.add(child);
    await child.connect();
    return child;
  }

  readonly #onReady = (): void => this.#calls.ready();

  readonly #onError = (cause: unknown): void => {
    this.#calls.lastError = cause;
    this.#onGone();
  };

  readonly #onGone = (): void => {
    if (this.#isClosed) return;
    if (this.#wire.isEnded()) this.#calls.end('the client is closed');
    else if (!this.#wire.isReady()) this.#calls.lost();
  };
}
