// The processes of a run: started by role, killed, paused, started again, and told to stop.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Target } from './connect.ts';
import type { Random } from './random.ts';
import type { Counts, Role, Settings } from './workload/settings.ts';

const PROGRAM = fileURLToPath(new URL('./workload/main.js', import.meta.url));

/** How long a process may take to end after it was told to, before the run says so and kills it. */
const STOP_MS_MAX = 20_000;

/** A place that a process runs in: started again under another name when it was killed. */
export interface Seat {
  readonly role: Role;
  readonly number: number;
  /** What comes before the program: enters a network namespace, say. */
  readonly prefix: readonly string[];
  readonly target: Target;
}

interface Seated extends Seat {
  starts: number;
  child: ChildProcess | undefined;
  name: string;
}

export class Pool implements AsyncDisposable {
  /** Processes that ended though nobody had told them to, and what they said. */
  readonly unexpectedEnds: string[] = [];
  readonly #settings: Omit<Settings, 'role' | 'name' | 'target'>;
  readonly #seats: Seated[] = [];
  readonly #counts = new Map<string, Counts>();

  constructor(settings: Omit<Settings, 'role' | 'name' | 'target'>) {
    this.#settings = settings;
    process.once('exit', this.#killAll);
  }

  add(seat: Seat): void {
    const seated = { ...seat, starts: 0, child: undefined, name: '' };
    this.#seats.push(seated);
    this.#start(seated);
  }

  /** One that runs, of a role. */
  pick(role: Role, random: Random): Seat | undefined {
    const running = this.#seats.filter((seat) => seat.role === role && seat.child !== undefined);
    return running.length === 0 ? undefined : random.pick(running);
  }

  has(role: Role): boolean {
    return this.#seats.some((seat) => seat.role === role);
  }

  /** The names under which the processes of a role run now. */
  names(role: Role): readonly string[] {
    return this.#seats.filter((seat) => seat.role === role && seat.child !== undefined).map(({ name }) => name);
  }

  /** What all producers told so far, also those that were killed. */
  counts(): Counts {
    const sum = { ok: 0, failed: 0, unknown: 0 };
    for (const { ok, failed, unknown } of this.#counts.values()) {
      sum.ok += ok;
      sum.failed += failed;
      sum.unknown += unknown;
    }
    return sum;
  }

  /** SIGKILL; it stays down until `startAgain`. */
  async kill(seat: Seat): Promise<void> {
    const seated = this.#seatedOf(seat);
    const { child } = seated;
    if (!child) return;
    seated.child = undefined;
    await killed(child);
  }

  startAgain(seat: Seat): void {
    const seated = this.#seatedOf(seat);
    if (!seated.child) this.#start(seated);
  }

  pause(seat: Seat): void {
    this.#seatedOf(seat).child?.kill('SIGSTOP');
  }

  resume(seat: Seat): void {
    this.#seatedOf(seat).child?.kill('SIGCONT');
  }

  /** Tells the processes of a role to finish what is under way and end. One that does not is an unexpected end of another kind. */
  async stop(role: Role): Promise<void> {
    await Promise.all(this.#seats.filter((seat) => seat.role === role).map((seat) => this.#stopOne(seat)));
  }

  async #stopOne(seated: Seated): Promise<void> {
    const { child, name } = seated;
    if (!child) return;
    seated.child = undefined;
    const timer = setTimeout(() => {
      this.unexpectedEnds.push(`${name} did not end within ${STOP_MS_MAX} ms after it was told to`);
      child.kill('SIGKILL');
    }, STOP_MS_MAX);
    const ended = hasEnded(child) ? undefined : once(child, 'exit');
    child.kill('SIGCONT');
    if (child.connected) child.send('stop');
    await ended;
    clearTimeout(timer);
    if (child.exitCode !== 0 && child.signalCode !== 'SIGKILL') this.unexpectedEnds.push(`${name} ended with ${child.exitCode ?? child.signalCode}`);
  }

  #start(seated: Seated): void {
    seated.starts += 1;
    const name = `${seated.role}-${seated.number}.${seated.starts}`;
    const settings: Settings = { ...this.#settings, role: seated.role, target: seated.target, name };
    const [command, ...args] = [...seated.prefix, process.execPath, PROGRAM];
    const child = spawn(command, args, {
      env: { ...process.env, MILLRACE_FAULTS: JSON.stringify(settings), NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-2_000)));
    child.on('message', (counts) => this.#counts.set(name, counts as Counts));
    child.once('exit', (code, signal) => {
      if (seated.child !== child) return;
      this.unexpectedEnds.push(`${name} ended with ${signal ?? code}: ${said}`);
      this.#start(seated);
    });
    child.on('error', () => {}); // it never ran, or a message came too late: it ends, too
    seated.child = child;
    seated.name = name;
  }

  #seatedOf(seat: Seat): Seated {
    const found = this.#seats.find(({ role, number }) => role === seat.role && number === seat.number);
    if (!found) throw new Error(`there is no ${seat.role} ${seat.number}`);
    return found;
  }

  /** One that is stopped would not notice that its parent is gone. */
  readonly #killAll = (): void => {
    for (const { child } of this.#seats) child?.kill('SIGKILL');
  };

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#killAll);
    await Promise.all(
      this.#seats.map(async (seated) => {
        const { child } = seated;
        seated.child = undefined;
        if (child) await killed(child);
      }),
    );
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function killed(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
