// Keeps the calls of one connection: holds them while there is none, settles each exactly once, and says what a failure means.
import { replyCode, says, type Secrets, withoutSecrets } from './failures.ts';
import { type FailureKind, PortError, type Reply, type Script } from './port.ts';

/** What the calls need of a client. */
export interface Sender {
  readonly where: string;
  readonly secrets: Secrets;
  /** Whether the client keeps what was in flight when the connection broke, to send it again. If not, such calls fail at once. */
  readonly resends: boolean;
  isReady(): boolean;
  /** Whether the client was closed for good. */
  isEnded(): boolean;
  send(key: string | undefined, args: readonly string[]): Promise<unknown>;
  shape(args: readonly string[], raw: unknown): Reply;
}

export interface CallsOptions {
  readonly timeoutMs: number;
  /** How long a call that was sent may stay unanswered on a connection that seems alive; Infinity for blocking reads. */
  readonly silenceMs: number;
  /** Called when that long has passed: the connection is dead, whatever the socket says. */
  readonly onSilence: () => void;
}

class Call {
  readonly key: string | undefined;
  readonly args: readonly string[];
  readonly script: Script | undefined;
  readonly resolve: (reply: Reply | Promise<Reply>) => void;
  readonly reject: (error: PortError) => void;
  /** The connection it was handed to the client on. */
  epoch = 0;
  /** While held: when it gives up (performance.now). Once sent: the tick of the watch. */
  mark = 0;

  constructor({ key, args, script }: Pick<Call, 'key' | 'args' | 'script'>, resolve: Call['resolve'], reject: Call['reject']) {
    this.key = key;
    this.args = args;
    this.script = script;
    this.resolve = resolve;
    this.reject = reject;
  }
}

const WATCH_TICKS = 6;

/**
 * A call that finds no connection is held here and not in the client's own queue: only so can it be said for sure, when its time is
 * over, that it was never sent. One that was handed to the client is 'unknown' from then on, unless the server answers.
 */
export class Calls {
  /** Connections made so far. */
  epoch = 0;
  /** The last thing that went wrong with the connection, for messages. */
  lastError: unknown;
  readonly #sender: Sender;
  readonly #options: CallsOptions;
  readonly #sent = new Set<Call>();
  #held: Call[] = [];
  #heldTimer: NodeJS.Timeout | undefined;
  #lostTimer: NodeJS.Timeout | undefined;
  readonly #watch: NodeJS.Timeout | undefined;
  #tick = 0;
  #isClosed = false;
  readonly #loads = new Map<string, Promise<unknown>>();

  constructor(sender: Sender, options: CallsOptions) {
    this.#sender = sender;
    this.#options = options;
    if (sender.isReady()) this.epoch = 1;
    // One coarse timer for all calls: a timer for each would cost more than the call.
    if (Number.isFinite(options.silenceMs)) this.#watch = setInterval(() => this.#onWatch(), options.silenceMs / WATCH_TICKS).unref();
  }

  call(key: string | undefined, args: readonly string[], script?: Script): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const call = new Call({ key, args, script }, resolve, reject);
      // While some are held, others line up behind them: the order of the calls is kept.
      if (this.#held.length === 0 && this.#sender.isReady() && !this.#isClosed) this.#hand(call);
      else this.#hold(call);
    });
  }

  /** Runs a script by its SHA. While it is being loaded, others wait for that instead of loading it too. */
  run(script: Script, args: readonly string[], key: string | undefined): Promise<Reply> {
    const loading = this.#loads.size === 0 ? undefined : this.#loads.get(script.sha);
    if (loading === undefined) return this.call(key, args, script);
    const again = (): Promise<Reply> => this.call(key, args, script);
    return loading.then(again, again);
  }

  /** There is a connection. */
  ready(): void {
    this.epoch += 1;
    this.lastError = undefined;
    this.#lostTimer = clear(this.#lostTimer);
    this.#heldTimer = clear(this.#heldTimer);
    const held = this.#held;
    this.#held = [];
    for (const call of held) this.#hand(call);
  }

  /** The connection is gone; the client is making another one. */
  lost(): void {
    if (!this.#sender.resends) this.#rejectSent('the connection broke before the answer came');
    else this.#lostTimer ??= setTimeout(() => this.#onLostTooLong(), this.#options.timeoutMs);
  }

  /** The client was closed, by its owner or by us: nothing more will be sent. */
  end(why: string): void {
    this.#lostTimer = clear(this.#lostTimer);
    this.#heldTimer = clear(this.#heldTimer);
    const held = this.#held;
    this.#held = [];
    for (const call of held) this.#fail(call, 'not-sent', why);
    this.#rejectSent(why);
  }

  close(why: string): void {
    this.#isClosed = true;
    clearInterval(this.#watch);
    this.end(why);
  }

  #hand(call: Call): void {
    call.epoch = this.epoch;
    call.mark = this.#tick;
    this.#sent.add(call);
    try {
      this.#sender.send(call.key, call.args).then(
        (raw) => this.#onReply(call, raw),
        (error: unknown) => this.#onError(call, error),
      );
    } catch (error) {
      this.#sent.delete(call);
      this.#fail(call, 'not-sent', 'the client did not take it', error);
    }
  }

  #onReply(call: Call, raw: unknown): void {
    if (this.#sent.delete(call)) call.resolve(this.#sender.shape(call.args, raw));
  }

  #onError(call: Call, error: unknown): void {
    if (!this.#sent.delete(call)) return;
    const code = replyCode(error);
    if (code === 'NOSCRIPT' && call.script !== undefined) call.resolve(this.#loadAndRun(call, call.script));
    else if (code === '') this.#fail(call, 'unknown', 'the connection broke before the answer came', error);
    else this.#refuse(call, code, error);
  }

  /** An answer that came on another connection than the first sending went to proves nothing about that one. */
  #refuse(call: Call, code: string, error: unknown): void {
    const kind = call.epoch === this.epoch ? 'refused' : 'unknown';
    const doubt = kind === 'refused' ? '' : ', to a second sending after the connection broke';
    call.reject(
      new PortError(kind, code, `${call.args[0]}: the server at ${this.#sender.where} answered ${says(error, this.#sender.secrets)}${doubt}`),
    );
  }

  async #loadAndRun(call: Call, script: Script): Promise<Reply> {
    // Sent twice, with the second answer only: the first sending may have been run, whatever comes of the next.
    const isDoubtful = call.epoch !== this.epoch;
    try {
      await this.#load(call.key, script);
      return await this.#runLoaded(call, script);
    } catch (error) {
      if (!isDoubtful || !(error instanceof PortError)) throw error;
      throw new PortError('unknown', error.reply, error.message, { cause: error.cause });
    }
  }

  #load(key: string | undefined, script: Script): Promise<unknown> {
    const known = this.#loads.get(script.sha);
    if (known !== undefined) return known;
    const load = this.call(key, ['SCRIPT', 'LOAD', script.source]).finally(() => this.#loads.delete(script.sha));
    this.#loads.set(script.sha, load);
    return load;
  }

  async #runLoaded(call: Call, script: Script): Promise<Reply> {
    try {
      return await this.call(call.key, call.args);
    } catch (error) {
      // Flushed again in between, or loaded on another node than the one that runs it: the source itself settles it.
      if (!(error instanceof PortError) || error.reply !== 'NOSCRIPT') throw error;
      return this.call(call.key, ['EVAL', script.source, ...call.args.slice(2)]);
    }
  }

  #hold(call: Call): void {
    if (this.#isClosed || this.#sender.isEnded()) {
      this.#fail(call, 'not-sent', this.#isClosed ? 'this connection was closed' : 'the client is closed');
      return;
    }
    call.mark = performance.now() + this.#options.timeoutMs;
    this.#held.push(call);
    this.#heldTimer ??= setTimeout(() => this.#onHeldTooLong(), this.#options.timeoutMs);
  }

  #onHeldTooLong(): void {
    this.#heldTimer = undefined;
    const now = performance.now();
    // Timers fire up to a millisecond early.
    while (this.#held[0] !== undefined && this.#held[0].mark <= now + 1) {
      this.#fail(this.#held.shift() as Call, 'not-sent', `no connection within ${this.#options.timeoutMs} ms`, this.lastError);
    }
    const next = this.#held[0];
    if (next !== undefined) this.#heldTimer = setTimeout(() => this.#onHeldTooLong(), next.mark - now);
  }

  #onLostTooLong(): void {
    this.#lostTimer = undefined;
    this.#rejectSent(`the connection broke before the answer came, and there was none again within ${this.#options.timeoutMs} ms`);
  }

  #onWatch(): void {
    this.#tick += 1;
    let isSilent = false;
    for (const call of this.#sent) {
      if (this.#tick - call.mark <= WATCH_TICKS) break;
      this.#sent.delete(call);
      this.#fail(call, 'unknown', `no answer within ${this.#options.silenceMs} ms`);
      isSilent = true;
    }
    if (isSilent) this.#options.onSilence();
  }

  #rejectSent(why: string): void {
    const sent = [...this.#sent];
    this.#sent.clear();
    for (const call of sent) this.#fail(call, 'unknown', why, this.lastError);
  }

  #fail(call: Call, kind: FailureKind, why: string, error?: unknown): void {
    const { where, secrets } = this.#sender;
    const last = error === undefined ? '' : ` (${says(error, secrets)})`;
    const options = error === undefined ? undefined : { cause: withoutSecrets(error, secrets) };
    call.reject(new PortError(kind, '', `${call.args[0]} to ${where}: ${why}${last}`, options));
  }
}

function clear(timer: NodeJS.Timeout | undefined): undefined {
  clearTimeout(timer);
  return undefined;
}
