// A part of the workload in a network of its own, which is cut off without a word: no packet says that it is gone.
import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Fault, Unavailable } from '../schedule.ts';

const run = promisify(execFile);

/** A network namespace that reaches this machine by one link. */
export interface Namespace extends AsyncDisposable {
  /** Enters it; comes before a program. */
  readonly prefix: readonly string[];
  /** This machine's address as seen from there. */
  readonly host: string;
  readonly faults: readonly Fault[];
}

/** One of its own for this run, or why there can be none. */
export async function openNamespace(): Promise<Namespace | Unavailable> {
  const kind = 'network partition';
  if (process.getuid?.() !== 0) return { kind, why: 'network namespaces need root' };
  const name = `millrace-${process.pid}`;
  const net = `10.231.${process.pid % 250}`;
  const [link, far] = [`mr${process.pid % 100_000}a`, `mr${process.pid % 100_000}b`];
  const [host, there] = [`${net}.1`, `${net}.2`];
  try {
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', far, 'netns', name]);
    await run('ip', ['address', 'add', `${host}/30`, 'dev', link]);
    await run('ip', ['link', 'set', link, 'up']);
    await run('ip', ['-netns', name, 'address', 'add', `${there}/30`, 'dev', far]);
    await run('ip', ['-netns', name, 'link', 'set', far, 'up']);
  } catch (error) {
    remove(name);
    return { kind, why: `no network namespace can be made: ${String(error).slice(0, 200)}` };
  }
  const onExit = (): void => remove(name);
  process.once('exit', onExit);
  return {
    prefix: ['ip', 'netns', 'exec', name],
    host,
    faults: [cutting(link), swallowing(there)],
    [Symbol.asyncDispose]: async () => {
      process.off('exit', onExit);
      remove(name);
    },
  };
}

/** Nothing goes either way. */
function cutting(link: string): Fault {
  return {
    kind: 'network partition',
    lane: 'processes',
    lastsMs: [1_000, 6_000],
    async inject(_, lastsMs) {
      await run('ip', ['link', 'set', link, 'down']);
      await delay(lastsMs);
      await run('ip', ['link', 'set', link, 'up']);
    },
  };
}

/** What goes to the server arrives, and no answer comes back. */
function swallowing(address: string): Fault {
  const route = ['route', 'add', 'blackhole', `${address}/32`];
  return {
    kind: 'network partition, one way',
    lane: 'processes',
    lastsMs: [1_000, 6_000],
    async inject(_, lastsMs) {
      await run('ip', route);
      await delay(lastsMs);
      await run('ip', route.with(1, 'delete'));
    },
  };
}

/** The link goes with it. */
function remove(name: string): void {
  try {
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
  } catch {
    // It was never made.
  }
}
