// Kills processes in the middle of a rewind or a drop: nobody works on a half of it, and the same call again finishes it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, ProcessorControl, SnapshotStore, StreamProcessor } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, testClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { documentFaults, foldAll, type Recorded } from '../support/history.ts';
import { keysIn } from '../support/processors.ts';
import { type Proxy, startProxy } from '../support/proxy.ts';
import { errorOf, openStore } from '../support/store.ts';
import { programOf } from '../support/workers.ts';
import type { ControlWorkerSettings } from '../workers/control.ts';
import { stubborn, stubbornManager } from '../workers/stubborn.ts';
import { counted, NO_TALLY, type Tally, tallied, tallies } from '../workers/tally.ts';
import { KILLS as KILLS_ASKED } from '../support/size.ts';

type Target = ControlWorkerSettings['target'];

const KILLS = Math.max(3, Math.ceil(KILLS_ASKED / 4));
const PARTITIONS = 3;
const IDS = 120;
const EVENTS = 600;
/** Each packet is held for so long, so that there is a middle to be killed in. */
const SLOW_MS = 2;

class Bench implements AsyncDisposable {
  readonly namespace: string;
  readonly store: EventStore;
  readonly #proxy: Proxy;
  #appended = 0;

  private constructor(namespace: string, store: EventStore, proxy: Proxy) {
    this.namespace = namespace;
    this.store = store;
    this.#proxy = proxy;
  }

  static async open(): Promise<Bench> {
    const namespace = uniqueNamespace('control');
    const proxy = await startProxy(testUrl());
    proxy.shape({ delayMs: SLOW_MS });
    return new Bench(namespace, await openStore({ url: testUrl(), namespace, partitions: PARTITIONS }), proxy);
  }

  async append(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, () => this.#appended++);
    await Promise.all(numbers.map((n) => this.store.append(counted.stream(String(n % IDS)), { type: 'Counted', data: { n } })));
  }

  async run(target: Target, isMended: boolean, onHandled?: (n: number) => void): Promise<void> {
    const reactors = target === 'reactor' ? [stubborn(isMended, onHandled)] : target === 'process manager' ? [stubbornManager(isMended)] : [];
    await using processor = new StreamProcessor(this.store, { reactors, projections: target === 'projection' ? [tallies] : [] });
    await processor.runUntilCaughtUp();
  }

  /** Whether it was killed before it was done. */
  async killIn(what: 'rewind' | 'drop', target: Target): Promise<boolean> {
    const settings: ControlWorkerSettings = { url: this.#proxy.url, namespace: this.namespace, library: testClient(), what, target };
    const worker = fork(programOf('control'), [], {
      env: { ...process.env, MILLRACE_WORKER: JSON.stringify(settings), NODE_OPTIONS: '' },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const messages: unknown[] = [];
    worker.on('message', (message) => messages.push(message));
    const exit = once(worker, 'exit');
    await Promise.race([once(worker, 'message'), exit]);
    await delay(Math.random() * 120);
    worker.kill('SIGKILL');
    await exit;
    expect(messages).toContain('started');
    return !messages.includes('done');
  }

  /** The fold of each stream. */
  async tallies(): Promise<Map<string, Tally>> {
    const events: Recorded[] = [];
    for await (const event of this.store.readCategory(counted)) events.push(event);
    return foldAll(events, NO_TALLY, (tally, { streamVersion, data }) => tallied(tally, streamVersion, (data as { n: number }).n));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    await this.#proxy.close();
  }
}

const targets = { projection: tallies, reactor: stubborn(true), 'process manager': stubbornManager(true) } as const;
const ids = Array.from({ length: IDS }, (_, id) => String(id));

/** Kills it again and again, while events come; how often it was in the middle. */
async function killAgainAndAgain(bench: Bench, what: 'rewind' | 'drop', target: Target): Promise<number> {
  const control = new ProcessorControl(bench.store);
  let inTheMiddle = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const wasKilled = await bench.killIn(what, target);
    await bench.append(30);
    const { unfinished } = await control.progress(targets[target]);
    if (unfinished) {
      expect(unfinished).toBe(what);
      expect(wasKilled).toBe(true);
      inTheMiddle += 1;
      expect(await errorOf(bench.run(target, false))).toMatchObject({ code: 'paused' });
    } else if (!(await control.progress(targets[target])).isPaused) await bench.run(target, false); // there is something to be rewound again
  }
  return inTheMiddle;
}

async function prepared(target: Target): Promise<Bench> {
  const bench = await Bench.open();
  await bench.append(EVENTS);
  await bench.run(target, false);
  return bench;
}

const TIMEOUT_MS = 60_000 + KILLS * 4_000;

describe(`processes that are killed ${KILLS} times`, () => {
  test('in the middle of a rewind of a projection: it is folded from the first event on', { timeout: TIMEOUT_MS }, async () => {
    await using bench = await prepared('projection');
    console.log(`${await killAgainAndAgain(bench, 'rewind', 'projection')} of ${KILLS} kills in the middle`);
    await new ProcessorControl(bench.store).rewind(tallies);
    await bench.run('projection', true);
    expect(documentFaults(await new SnapshotStore(bench.store).getMany(tallies, ids), await bench.tallies())).toEqual([]);
  });

  test('in the middle of a rewind of a reactor: it handles each event again', { timeout: TIMEOUT_MS }, async () => {
    await using bench = await prepared('reactor');
    console.log(`${await killAgainAndAgain(bench, 'rewind', 'reactor')} of ${KILLS} kills in the middle`);
    const control = new ProcessorControl(bench.store);
    await control.rewind(targets.reactor);
    expect(await control.deadLetters(targets.reactor).count()).toBe(0);
    const handled: number[] = [];
    await bench.run('reactor', true, (n) => handled.push(n));
    expect(handled.toSorted((a, b) => a - b)).toEqual(handled.map((_, n) => n));
    expect(handled.length).toBe(EVENTS + 30 * KILLS);
  });

  test('in the middle of a rewind of a process manager: each state is the pure fold', { timeout: TIMEOUT_MS }, async () => {
    await using bench = await prepared('process manager');
    console.log(`${await killAgainAndAgain(bench, 'rewind', 'process manager')} of ${KILLS} kills in the middle`);
    await new ProcessorControl(bench.store).rewind(targets['process manager']);
    await bench.run('process manager', true);
    await using raw = await connectRaw(testUrl());
    const found = new Map<string, Tally>();
    for (const key of (await keysIn(bench.namespace, testUrl())).filter((each) => each.includes(':snapshot:stubborn-manager@1:'))) {
      const [count, sum, hash, lastVersion, faults] = (
        (await raw.send('HMGET', key, 'count', 'sum', 'hash', 'lastVersion', 'faults')) as string[]
      ).map(Number);
      found.set(key.slice(key.lastIndexOf(':') + 1), { count, sum, hash, lastVersion, faults } as Tally);
    }
    expect(documentFaults(found, await bench.tallies())).toEqual([]);
  });

  test.each(['projection', 'reactor', 'process manager'] as const)(
    'in the middle of a drop of a %s: nothing of it is left',
    { timeout: TIMEOUT_MS },
    async (target) => {
      await using bench = await prepared(target);
      console.log(`${await killAgainAndAgain(bench, 'drop', target)} of ${KILLS} kills in the middle`);
      await new ProcessorControl(bench.store).drop(targets[target]);
      const { name } = targets[target];
      expect((await keysIn(bench.namespace, testUrl())).filter((key) => key.includes(`:${name}@1`))).toEqual([]);
      await bench.run(target, true);
      expect((await new ProcessorControl(bench.store).progress(targets[target])).lagEvents).toBe(0);
    },
  );
});
