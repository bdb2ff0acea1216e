// One client's connection through the proxy, and how a reply of it is lost.
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { CommandParser, type SentCommand } from './resp.ts';

export type Matches = (command: readonly string[]) => boolean;
export type Direction = 'commands' | 'replies';

/** What is to happen to the next command that matches. */
export interface Trap {
  readonly kind: 'reply' | 'command' | 'seen';
  readonly matches: Matches;
  readonly whileCut: () => Promise<unknown>;
  left: number;
  readonly caught: (command: string[]) => void;
  readonly failed: (error: Error) => void;
}

/** What a link needs of its proxy. */
export interface LinkOwner {
  /** Takes out the first trap that this command springs. */
  sprung(command: SentCommand): { readonly trap: Trap; readonly args: string[] } | undefined;
  /** Ends the link as its trap says, and keeps the door shut meanwhile. */
  spring(link: Link, trap: Trap, command: string[]): Promise<void>;
  write(to: Socket, bytes: Buffer, direction: Direction): Promise<void>;
}

/** A reply being lost: what comes before `opening` is still the client's, what comes between the two markers is swallowed. */
interface Loss {
  readonly trap: Trap;
  readonly command: string[];
  readonly opening: Marker;
  readonly closing: Marker;
  received: Buffer;
  swallowing: boolean;
}

/** An ECHO of our own: where its reply comes, the replies of all that was sent before have come. */
interface Marker {
  readonly command: Buffer;
  readonly reply: Buffer;
}

function marker(): Marker {
  const text = randomUUID();
  const bulk = `$${text.length}\r\n${text}\r\n`;
  return { command: Buffer.from(`*2\r\n$4\r\nECHO\r\n${bulk}`), reply: Buffer.from(bulk) };
}

/** One client's connection and its twin to the engine. */
export class Link {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #proxy: LinkOwner;
  #loss: Loss | undefined;

  constructor(client: Socket, upstream: Socket, proxy: LinkOwner) {
    this.#client = client;
    this.#upstream = upstream;
    this.#proxy = proxy;
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => {}); // a cut is what we are here for; the pumps end by it
    }
  }

  cut(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  async run(): Promise<void> {
    const pumps = [this.#pumpCommands(), this.#pumpReplies()].map((pump) => pump.catch(() => {}));
    await Promise.race(pumps.map((pump, index) => (index === 1 ? pump : pump.then(() => (this.#loss ? pumps[1] : undefined)))));
    this.cut();
    this.#loss?.trap.failed(new Error('the connection ended before the reply that was to be lost had come'));
  }

  async #pumpCommands(): Promise<void> {
    const parser = new CommandParser();
    // Not destroyed at the end: a client whose reply is being lost must not see it coming.
    for await (const chunk of this.#client.iterator({ destroyOnReturn: false })) {
      for (const command of parser.push(chunk as Buffer)) if ((await this.#forward(command)) === 'last') return;
    }
  }

  async #forward(command: SentCommand): Promise<'last' | undefined> {
    if (this.#loss) return this.#forwardLosing(command, this.#loss);
    const sprung = this.#proxy.sprung(command);
    if (sprung?.trap.kind === 'command') return this.#proxy.spring(this, sprung.trap, sprung.args).then(() => 'last');
    if (sprung?.trap.kind === 'reply') return this.#beginLoss(command, sprung.trap, sprung.args);
    await this.#send(command.raw);
    sprung?.trap.caught(sprung.args);
    return undefined;
  }

  async #beginLoss(command: SentCommand, trap: Trap, args: string[]): Promise<'last' | undefined> {
    const loss: Loss = { trap, command: args, opening: marker(), closing: marker(), received: Buffer.alloc(0), swallowing: false };
    this.#loss = loss;
    await this.#send(loss.opening.command);
    return this.#forwardLosing(command, loss);
  }

  async #forwardLosing(command: SentCommand, loss: Loss): Promise<'last' | undefined> {
    await this.#send(command.raw);
    if (loss.trap.matches(command.args())) loss.trap.left--;
    if (loss.trap.left > 0) return undefined;
    await this.#send(loss.closing.command);
    return 'last';
  }

  #send(bytes: Buffer): Promise<void> {
    return this.#proxy.write(this.#upstream, bytes, 'commands');
  }

  async #pumpReplies(): Promise<void> {
    for await (const chunk of this.#upstream) {
      if (!this.#loss) await this.#proxy.write(this.#client, chunk as Buffer, 'replies');
      else if (await this.#swallow(chunk as Buffer, this.#loss)) return;
    }
  }

  /** Says whether everything that was to be lost is. */
  async #swallow(chunk: Buffer, loss: Loss): Promise<boolean> {
    loss.received = Buffer.concat([loss.received, chunk]);
    const opened = loss.swallowing ? -1 : loss.received.indexOf(loss.opening.reply);
    if (opened !== -1) {
      await this.#proxy.write(this.#client, loss.received.subarray(0, opened), 'replies');
      loss.received = loss.received.subarray(opened + loss.opening.reply.length);
      loss.swallowing = true;
    }
    if (!loss.swallowing || !loss.received.includes(loss.closing.reply)) return false;
    this.#loss = undefined;
    await this.#proxy.spring(this, loss.trap, loss.command);
    return true;
  }
}
