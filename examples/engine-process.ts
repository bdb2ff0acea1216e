// Starts a server program that dies with us, however we die.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
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
"$@" </dev/null 2>&1 & engine=$!
echo "engine $engine"
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
  const pid = Number(/^engine (\d+)/.exec(output.text)?.[1]);
  return { url: `redis://127.0.0.1:${port}`, port, pid, stop: ({ keepFolder = false } = {}) => end(guard, keepFolder ? 'keep' : 'kill') };
}

/** A port that nobody used a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

async function end(guard: ChildProcess, word: 'keep' | 'kill'): Promise<void> {
  if (guard.exitCode !== null) return;
  guard.ref();
  const ended = once(guard, 'exit');
  guard.stdin?.end(`${word}\n`);
  await ended;
}

function collect(guard: ChildProcess): { text: string } {
  const output = { text: '' };
  guard.stdout?.on('data', (chunk: Buffer) => {
    output.text = output.text.slice(0, 20) + (output.text + String(chunk)).slice(20).slice(-10_000);
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

/** Removes a folder that an engine has just left. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
