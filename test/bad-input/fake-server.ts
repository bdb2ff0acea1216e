// A server that answers as a test tells it to: for what no engine at hand can be made to say.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { CommandParser } from '../support/resp.ts';

/** What it answers to a command, by its name in capitals; as the protocol has it, without the line end of a simple answer. */
export type Answers = Record<string, (args: readonly string[]) => string>;

export interface FakeServer extends AsyncDisposable {
  readonly url: string;
  /** Replaces answers from now on; `*` is for every command. */
  answer(answers: Answers): void;
}

export const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}`;
export const array = (...items: readonly string[]): string => [`*${items.length}`, ...items.map(bulk)].join('\r\n');

/** What both clients ask of a server while they connect, and a store that has been used before. */
const USUAL: Answers = {
  PING: () => '+PONG',
  INFO: () => bulk('redis_version:7.0.0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\nloading:0'),
  HMGET: () => array('abcdefghijkl', '1', '1'),
};

export async function startFakeServer(answers: Answers = {}): Promise<FakeServer> {
  const known = { ...USUAL, ...answers };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const parser = new CommandParser();
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const command of parser.push(chunk)) {
        const [name = '', ...args] = command.args();
        const answer = known['*'] ?? known[name.toUpperCase()] ?? (() => '+OK');
        socket.write(`${answer(args)}\r\n`);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (more) => void Object.assign(known, more),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
