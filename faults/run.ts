// One run: processes at work on a topology, faults by the schedule, then everything heals, drains, and is checked.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, StreamProcessor } from 'millrace';
import { type Drain, grouped, type History, type Logged } from './checkers/finding.ts';
import { remindersMissing } from './checkers/processes.ts';
import { type Checked, check } from './checks.ts';
import { connect } from './connect.ts';
import { collect, loggedOf } from './collect.ts';
import { readRecording } from './history.ts';
import { processFaults } from './inject/processes.ts';
import type { Options } from './options.ts';
import { Pool } from './pool.ts';
import { randomFrom } from './random.ts';
import { hasViolation, progressLine, report, summaryLine } from './report.ts';
import { type Fault, type Scheduled, scheduleOf } from './schedule.ts';
import { startReplica } from './topology/replica.ts';
import { startSingle } from './topology/single.ts';
import { startCluster } from './topology/cluster.ts';
import { startSentinel } from './topology/sentinel.ts';
import type { Topology, TopologyName } from './topology/topology.ts';
import { buckets, tallies } from './workload/model.ts';
import { REACTORS, reactors } from './workload/reactor.ts';
import { ROLES, type Role } from './workload/settings.ts';

const TOPOLOGY: { readonly [Name in TopologyName]: (folder: string) => Promise<Topology> } = {
  single: startSingle,
  replica: startReplica,
  sentinel: startSentinel,
  cluster: startCluster,
};
const LEASE_MS = 800;
const SEATS: Readonly<Record<Role, number>> = { producer: 3, projector: 3, reactor: 2, follower: 1 };
const PROGRESS_MS = 5_000;
/** The stated time in which everything drains. */
const DRAIN_MS_MAX = 30_000;
const POLL_MS = 200;
const START_MS_MAX = 30_000;

/** Resolves with whether nothing was violated. */
export async function run(options: Options, print: (line: string) => void): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-faults-'));
  const histories = options.keep ?? join(folder, 'histories');
  mkdirSync(histories, { recursive: true });
  let isSound = false;
  try {
    isSound = await runIn(folder, histories, options, print);
  } finally {
    // What went wrong can be looked at.
    if (isSound || options.keep !== undefined) rmSync(folder, { recursive: true, force: true });
    if (!isSound) print(`histories: ${histories}`);
  }
  return isSound;
}

async function runIn(folder: string, histories: string, options: Options, print: (line: string) => void): Promise<boolean> {
  const { seed, seconds, topology: name, plant } = options;
  await using topology = await TOPOLOGY[name](folder);
  print(`seed ${seed}; ${topology.description}; ${seconds} s; ${options.library}${plant === undefined ? '' : `; planted: ${plant}`}`);
  for (const { kind, why } of topology.unavailable) print(`skipped: ${kind}: ${why}`);
  const namespace = `faults-${randomBytes(4).toString('hex')}`;
  await using store = await connect(topology.direct, { namespace, partitions: topology.partitions });
  const settings = { namespace, library: options.library, folder: histories, seed, rate: options.rate / SEATS.producer, leaseMs: LEASE_MS, plant };
  await using pool = new Pool(settings);
  fill(pool, topology);
  const faults = new Faults([...topology.faults, ...processFaults(pool, LEASE_MS, ROLES)], seed, seconds * 1_000);
  await untilAtWork(pool);
  await faults.make(print, pool);
  await pool.stop('producer');
  await store.close();
  const checked = await finish(topology, { namespace, histories, pool, print });
  print(report({ seed, faults: faults.counts, ...checked }));
  print(summaryLine(checked.history.drain, checked.checked));
  return !hasViolation(checked.checked);
}

function fill(pool: Pool, { target, elsewhere }: Topology): void {
  for (const role of ROLES) for (let number = 1; number <= SEATS[role]; number += 1) pool.add({ role, number, prefix: [], target });
  if (elsewhere) for (const role of ['producer', 'projector'] as const) pool.add({ role, number: SEATS[role] + 1, ...elsewhere });
}

/** Faults before anything goes on would show nothing. */
async function untilAtWork(pool: Pool): Promise<void> {
  const deadline = performance.now() + START_MS_MAX;
  while (pool.counts().ok === 0) {
    if (performance.now() > deadline) throw new Error(`nothing was acknowledged within ${START_MS_MAX} ms`);
    await delay(POLL_MS);
  }
}

/** The schedule at work. */
class Faults {
  readonly counts = new Map<string, number>();
  readonly #lanes: ReadonlyMap<string, readonly Scheduled[]>;
  readonly #forMs: number;
  readonly #current = new Set<Fault>();
  #isBroken = false;

  constructor(faults: readonly Fault[], seed: number, forMs: number) {
    this.#lanes = scheduleOf(faults, seed, forMs);
    this.#forMs = forMs;
  }

  /** Resolves when the time is over and everything has healed. */
  async make(print: (line: string) => void, pool: Pool): Promise<void> {
    const startedAt = performance.now();
    const elapsedMs = (): number => performance.now() - startedAt;
    const printing = setInterval(() => {
      print(
        progressLine(
          elapsedMs() / 1_000,
          pool.counts(),
          this.counts,
          [...this.#current].map(({ kind }) => kind),
        ),
      );
    }, PROGRESS_MS);
    try {
      await Promise.all([delay(this.#forMs), ...[...this.#lanes.values()].map((lane) => this.#makeLane(lane, elapsedMs))]);
    } finally {
      clearInterval(printing);
    }
  }

  /** A fault that took longer than planned moves those behind it; what would begin after the end is left out. */
  async #makeLane(lane: readonly Scheduled[], elapsedMs: () => number): Promise<void> {
    for (const { fault, atMs, lastsMs, seed } of lane) {
      await delay(Math.max(0, atMs - elapsedMs()));
      if (this.#isBroken || elapsedMs() >= this.#forMs) return;
      this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
      this.#current.add(fault);
      await fault.inject(randomFrom(seed), lastsMs).catch((error: unknown) => this.#break(fault, error));
      this.#current.delete(fault);
    }
  }

  /** The other lanes end with their faults of the moment. */
  #break({ kind }: Fault, cause: unknown): never {
    this.#isBroken = true;
    throw new Error(`the fault could not be made: ${kind}`, { cause });
  }
}

/** What a run leaves for its end. */
interface Ended {
  readonly namespace: string;
  readonly histories: string;
  readonly pool: Pool;
  readonly print: (line: string) => void;
}

/** Drains, ends all processes, reads everything and checks it. */
async function finish(topology: Topology, ended: Ended): Promise<{ history: History; checked: readonly Checked[] }> {
  const { namespace, histories, pool } = ended;
  await using store = await connect(topology.direct, { namespace });
  const drain = await drained(store, ended);
  const [followers] = [pool.names('follower')];
  for (const role of ROLES) await pool.stop(role);
  const recording = readRecording(histories);
  const ends = pool.unexpectedEnds.map((message) => ({ t: 'error' as const, who: 'pool', at: 0, message }));
  const history: History = {
    ...recording,
    ...(await collect(store)),
    errors: [...recording.errors, ...ends],
    reactors: REACTORS,
    followersAtEnd: lastRounds(
      recording.followed.map(({ follower }) => follower),
      followers,
    ),
    drain,
    mayLose: topology.failovers > 0,
  };
  return { history, checked: check(history) };
}

/** Of each follower that ran to the end, the last subscription. */
function lastRounds(names: Iterable<string>, followers: readonly string[]): string[] {
  const last = new Map<string, string>();
  for (const name of names) last.set(name.split('/')[0] ?? '', name);
  return followers.map((name) => last.get(name) ?? `${name}/1`);
}

/** Waits until everything is folded and followed, or time is up. */
async function drained(store: EventStore, { pool, histories, print }: Ended): Promise<Drain> {
  const onlooker = new StreamProcessor(store, { projections: [tallies(1), buckets(1)], reactors: reactors() });
  let toldMs = 0;
  const startedAt = performance.now();
  for (;;) {
    const log = await loggedOf(store.readAll());
    const left = [...(await behind(onlooker)), ...notFollowed(log.length, pool, histories), ...notReminded(log)];
    const tookMs = performance.now() - startedAt;
    if (left.length === 0 || tookMs > DRAIN_MS_MAX) return { tookMs, limitMs: DRAIN_MS_MAX, left };
    if (tookMs > toldMs + PROGRESS_MS) {
      print(`draining: ${left.join('; ')}`);
      toldMs = tookMs;
    }
    await delay(POLL_MS);
  }
}

async function behind(onlooker: StreamProcessor): Promise<string[]> {
  const { projections, reactors: reacting } = await onlooker.progress();
  const all = [...projections.map((each) => ({ name: each.projection, ...each })), ...reacting.map((each) => ({ name: each.reactor, ...each }))];
  return all
    .filter(({ lagEvents }) => lagEvents > 0)
    .map(({ name, partition, lagEvents }) => `${name} lacks ${lagEvents} events of partition ${partition}`);
}

function notReminded(log: readonly Logged[]): string[] {
  const missing = remindersMissing(grouped(log, ({ streamName }) => streamName));
  return missing === 0 ? [] : [`${missing} scheduled events have not been delivered`];
}

function notFollowed(events: number, pool: Pool, histories: string): string[] {
  return pool.names('follower').flatMap((name) => {
    const lines = readFileSync(join(histories, `${name}.jsonl`), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { t: string; follower?: string });
    const last = lines.at(-1)?.follower;
    const given = lines.filter(({ t, follower }) => t === 'followed' && follower === last).length;
    return given >= events ? [] : [`${name} was given ${given} of ${events} events`];
  });
}
