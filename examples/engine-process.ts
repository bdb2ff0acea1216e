// Starts a server program that dies with us, however we die.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export interface EngineProgram {
  /** The program and what comes before the arguments given here; it must become the engine itself (exec), not fork it. */
  readonly command: readonly string[];
  readonly folder: string;
  readonly port: number;
  readonly args: readonly string[];
}

export interface EngineProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Whether `stop` is still to come. Until then `pid` is the engine's or, when it has ended by itself, nobody's. */
  readonly running: boolean;
  /** Resolves when the engine has ended. With `keepFolder` it is asked to, and writes what it has to write; without, it is killed. */
  stop(options?: { readonly keepFolder?: boolean }): Promise<void>;
}

/**
 * A shell stands between us and the engine, in a session of its own, and reads a pipe from us. The pipe ends when we do, also by
 * SIGKILL: then the shell kills the engine and removes the folder. Ctrl-C reaches neither, so that we can stop in good order first.
 * What cannot be helped: somebody who kills the shell itself by SIGKILL leaves the engine running (and a machine that stops leaves
 * the folder); both are named in the process list by the folder's path.
 */
const GUARD = `
folder=$1; shift
sh -c 'echo "engine $$"; exec "$@"' sh "$@" </dev/null 2>&1 & engine=$!
exec >&- 2>&-
trap '' HUP INT TERM
word=; read -r word
if [ "$word" = keep ]; then kill -TERM $engine; else kill -KILL $engine; fi
wait $engine
[ "$word" = keep ] || rm -rf "$folder"
`;

/** How long an engine may take until it answers: a large append-only file is read first. */
const START_MS_MAX = 20_000;

/** Starts the engine and waits until it answers. Rejects with what it printed when it ends before that. */
export async function startProcess({ command, folder, port, args }: EngineProgram): Promise<EngineProcess> {
  const engineArgs = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...args];
  const guard = spawn('sh', ['-c', GUARD, 'engine-guard', folder, ...command, ...engineArgs], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  guard.stdin.on('error', () => {}); // it ended before it was told to
  const output = collect(guard);
  try {
    await answering(guard, port);
  } catch (error) {
    await end(guard, 'kill');
    throw new Error(`${command.join(' ')} did not start: ${(error as Error).message}\n${output.text.slice(-2_000)}`);
  }
  // A finished program must not wait for its engine.
  guard.unref();
  for (const stream of [guard.stdin, guard.stdout]) (stream as Socket).unref();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: Number(/^engine (\d+)/.exec(output.text)?.[1]),
    get running() {
      return isRunning(guard);
    },
    stop: ({ keepFolder = false } = {}) => end(guard, keepFolder ? 'keep' : 'kill'),
  };
}

/**
 * A port that nobody listens on. It lies below those that systems give to outgoing connections: a port from among those can be taken
 * by any connection between now and the engine's start, and again while the engine is down.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function isRunning(guard: ChildProcess): boolean {
  return guard.exitCode === null && guard.signalCode === null;
}

async function end(guard: ChildProcess, word: 'keep' | 'kill'): Promise<void> {
  if (!isRunning(guard)) return;
  guard.ref();
  const ended = once(guard, 'exit');
  guard.stdin?.end(`${word}\n`);
  await ended;
}

/** Keeps the first line, which names the process, and the last ones, which say why it ended. */
function collect(guard: ChildProcess): { text: string } {
  const output = { text: '' };
  guard.stdout?.on('data', (chunk: Buffer) => {
    const text = output.text + String(chunk);
    output.text = text.length > 10_000 ? text.slice(0, 20) + text.slice(-5_000) : text;
  });
  return output;
}

/** The engine's output ends when it does: the guard itself has closed its own. */
async function answering(guard: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + START_MS_MAX;
  let ended = false;
  guard.once('error', () => (ended = true));
  guard.stdout?.once('end', () => (ended = true));
  while (!(await pings(port))) {
    if (ended) throw new Error('it ended.');
    if (performance.now() > deadline) throw new Error(`it did not answer within ${START_MS_MAX} ms.`);
    await wait(10);
  }
  if (ended) throw new Error(`it ended, and something else answers on port ${port}.`);
}

function pings(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.write('PING\r\n'));
    // -LOADING is no answer yet; -NOAUTH is one: a password was asked for.
    socket.once('data', (reply) => socket.destroy() && resolve(/^(\+PONG|-NOAUTH)/.test(String(reply))));
    socket.once('error', () => resolve(false));
    socket.setTimeout(1_000, () => socket.destroy() && resolve(false));
  });
}
