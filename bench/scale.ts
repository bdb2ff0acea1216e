// Figures of more than one: processes that project, and nodes of a cluster that take appends, all on this machine.
import { cpus } from 'node:os';
import { EventStore } from 'millrace';
import { appender } from './append.ts';
import { startCluster } from './cluster.ts';
import { type Bench, type BenchEngine, NEEDS_SERVER_PROGRAM, newNamespace } from './engines.ts';
import { type Figure, median, type Sides } from './figure.ts';
import { type Cores, coresOf, endAll, ownCpuMs, projectBy, type Projector, sharesOf, startProjectors, storeOn } from './processes.ts';
import { checkCount, totals } from './project.ts';
import type { WorkerReply } from './project-worker.ts';
import { openFilled } from './rebuild.ts';
import { rateOf } from './workload.ts';

/** Enough that it hardly counts how the partitions are spread over the processes first. */
const EVENTS = 1_000_000;
const DOCUMENTS = 20_000;
const PARTITIONS_OF_CLUSTER = 16;
const WAITING = 1_000;
const SIDE_MS = 1_000;

export const scaleFigures: readonly Figure[] = [...[2, 3].map(processes), ...[2, 3].map(nodes)];

function processes(count: number): Figure {
  return {
    name: `project-${count}-processes`,
    what: `${EVENTS.toLocaleString('en')} events that are there into ${DOCUMENTS.toLocaleString('en')} new documents, 8 partitions, by ${count} processes`,
    unit: 'events/s',
    beside: 'the same by one process',
    aim: null,
    compare: 'ratio>=',
    roundsMax: 3,
    isOnDemand: true,
    open: ({ engine }) => openProcesses(engine, count),
  };
}

function nodes(count: number): Figure {
  return {
    name: `append-${count}-nodes`,
    what: `${WAITING.toLocaleString('en')} appends waiting at any time in one process, to a cluster of ${count} nodes, ${PARTITIONS_OF_CLUSTER} partitions`,
    unit: 'appends/s',
    beside: 'the same to a cluster of one node',
    aim: null,
    compare: 'ratio>=',
    roundsMax: 5,
    isOnDemand: true,
    whyNot: ({ hasServerProgram }) => (hasServerProgram ? undefined : NEEDS_SERVER_PROGRAM),
    open: (bench) => openNodes(bench, count),
  };
}

/** Says what both sides used of the cores. */
class Usage {
  readonly #ours: Cores[] = [];
  readonly #beside: Cores[] = [];

  async ours<C extends Cores>(measured: Promise<C>): Promise<C> {
    this.#ours.push(await measured);
    return await measured;
  }

  async beside<C extends Cores>(measured: Promise<C>): Promise<C> {
    this.#beside.push(await measured);
    return await measured;
  }

  note(): string {
    const used = (cores: readonly Cores[]): string =>
      `engine ${median(cores.map(({ engine }) => engine)).toFixed(2)}, Node ${median(cores.map(({ node }) => node)).toFixed(2)}`;
    return `of ${cpus().length} cores used: ${used(this.#ours)}; beside it: ${used(this.#beside)}`;
  }
}

async function openProcesses(engine: BenchEngine, count: number): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openFilled(engine, namespace, EVENTS);
  const projectors = await startProjectors(count);
  const usage = new Usage();
  let version = 0;
  let replies: readonly WorkerReply[] = [];
  let shares = '';
  const run = (who: readonly Projector[]): Promise<Cores> => {
    version += 1;
    return coresOf(
      [engine],
      () => cpuMsOf(who),
      async () => (replies = await projectBy(who, storeOn(engine, namespace), version)),
    );
  };
  return {
    ours: async () => {
      const { ms } = await usage.ours(run(projectors));
      shares = sharesOf(replies);
      return (1_000 * EVENTS) / ms;
    },
    beside: async () => (1_000 * EVENTS) / (await usage.beside(run(projectors.slice(0, 1)))).ms,
    note: () => `${shares}; ${usage.note()}`,
    [Symbol.asyncDispose]: async () => {
      try {
        await checkCount(store, totals('totals', version), EVENTS, DOCUMENTS);
      } finally {
        await endAll(projectors);
        await store.close();
        await engine.clear(namespace);
      }
    },
  };
}

async function cpuMsOf(projectors: readonly Projector[]): Promise<number> {
  const replies = await Promise.all(projectors.map((each) => each.tell({ run: 'reach', events: 0 })));
  return replies.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

async function openNodes(bench: Bench, count: number): Promise<Sides> {
  const [many, one] = [await startCluster(bench, count), await startCluster(bench, 1)];
  const [toMany, toOne] = (await Promise.all([many, one].map(({ urls }) => openStoreOn(urls)))) as [EventStore, EventStore];
  const usage = new Usage();
  const rateOn = async (engines: readonly BenchEngine[], append: ReturnType<typeof appender>): Promise<Cores & { readonly rate: number }> => {
    let rate = 0;
    const cores = await coresOf(
      engines,
      async () => ownCpuMs(),
      async () => (rate = await rateOf(WAITING, SIDE_MS, append)),
    );
    return { ...cores, rate };
  };
  const [appendToMany, appendToOne] = [appender(toMany, WAITING), appender(toOne, WAITING)];
  return {
    ours: async () => (await usage.ours(rateOn(many.nodes, appendToMany))).rate,
    beside: async () => (await usage.beside(rateOn(one.nodes, appendToOne))).rate,
    note: () => usage.note(),
    [Symbol.asyncDispose]: async () => {
      for (const store of [toMany, toOne]) await store.close();
      for (const cluster of [many, one]) await cluster[Symbol.asyncDispose]();
    },
  };
}

function openStoreOn(nodes: readonly string[]): Promise<EventStore> {
  return EventStore.connect({ nodes, library: 'node-redis', namespace: newNamespace(), partitions: PARTITIONS_OF_CLUSTER });
}
