// One node of a set-up: a connection to it that is opened on demand, and whether it can be used now.
import { setTimeout as delay } from 'node:timers/promises';
import { ClientPort } from './client-port.ts';
import type { RedisPort, Reply, Script } from './port.ts';
import type { NodeName } from './slot-map.ts';
import type { Topology } from './topology.ts';
import { GONE } from './wire.ts';

/** A call as it goes to whichever node serves it. */
export interface RoutedCall {
  readonly slot: number | undefined;
  readonly key: string | undefined;
  /** The command, or what stands behind the script and its number of keys. */
  readonly args: readonly string[];
  readonly script: Script | undefined;
  readonly keys: readonly string[];
}

export interface LinkOptions {
  readonly timeoutMs: number;
  readonly silenceMs: number | undefined;
  /** There is a connection, the first or another one. Called before anything is sent on it. */
  readonly onReady: () => void;
  /** The connection is gone, or there was none to be had; then the link is of no more use. */
  readonly onGone: (link: NodeLink, error?: unknown) => void;
}

const PAUSE_AFTER_REFUSAL_MS = 200;

export class NodeLink {
  readonly node: NodeName;
  readonly #port: ClientPort;
  readonly #isWireReady: () => boolean;
  readonly #onReady: () => void;
  readonly #onGone: LinkOptions['onGone'];
  #wasOpen = false;
  #isOpen = false;
  #isClosed = false;
  #pending = 0;
  #answers = 0;
  #answersBefore = -1;

  constructor(topology: Topology, node: NodeName, { timeoutMs, silenceMs, onReady, onGone }: LinkOptions) {
    this.node = node;
    const wire = topology.wireTo(node);
    this.#isWireReady = () => wire.isReady();
    this.#onReady = onReady;
    this.#onGone = onGone;
    // Before the port's own listeners: what it held back is sent by those.
    wire.on('ready', () => this.#wasOpen && void this.#verify(topology));
    this.#port = new ClientPort(wire, { timeoutMs, ...(silenceMs === undefined ? {} : { silenceMs }) });
    for (const event of GONE) wire.on(event, () => this.#wasOpen && onGone(this));
    void this.#open(topology);
  }

  /** Whether a call would be sent at once. */
  get isReady(): boolean {
    return this.#isOpen && this.#isWireReady();
  }

  get port(): RedisPort {
    return this.#port;
  }

  async send(call: RoutedCall): Promise<Reply> {
    return await this.#counted(this.#sent(call));
  }

  /** To a node that is about to get the slot. A script goes whole: the permission holds for one command, which loading it would use up. */
  async sendAsking({ key, args, script, keys }: RoutedCall): Promise<Reply> {
    const command = script === undefined ? args : ['EVAL', script.source, String(keys.length), ...keys, ...args];
    const asking = this.#port.send(undefined, ['ASKING']);
    const answer = this.#port.send(key, command);
    const [reply] = await this.#counted(Promise.all([answer, asking]));
    return reply;
  }

  /** Whether calls are waiting for an answer, and none came since this was asked before. */
  isSilent(): boolean {
    const isSilent = this.#pending > 0 && this.#answers === this.#answersBefore;
    this.#answersBefore = this.#pending > 0 ? this.#answers : -1;
    return isSilent;
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#isClosed = true;
    await this.#port.close();
  }

  #sent({ key, args, script, keys }: RoutedCall): Promise<Reply> {
    return script === undefined ? this.#port.send(key, args) : this.#port.run(script, keys, args);
  }

  async #counted<T>(work: Promise<T>): Promise<T> {
    this.#pending += 1;
    try {
      return await work;
    } finally {
      this.#pending -= 1;
      this.#answers += 1;
    }
  }

  async #open(topology: Topology): Promise<void> {
    try {
      await this.#port.connect();
      this.#wasOpen = true;
    } catch (error) {
      this.#onGone(this, error);
      return;
    }
    await this.#verify(topology);
  }

  /** After each connecting: the server may have come back as something else. */
  async #verify(topology: Topology): Promise<void> {
    this.#isOpen = false;
    try {
      await topology.check(this.#port);
      if (this.#isClosed) return;
      this.#isOpen = true;
      this.#onReady();
    } catch (error) {
      await this.close();
      // Whoever waits for it tries again at once.
      await delay(PAUSE_AFTER_REFUSAL_MS);
      this.#onGone(this, error);
    }
  }
}
