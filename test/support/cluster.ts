// Starts a real cluster for tests, whose nodes can be killed and whose slots can be moved while they are used.
import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import { freePort } from '../../examples/engine-process.ts';
import { connectRaw, type RawClient, type RawReply } from './clients.ts';
import { startEngine, type TestEngine } from './engine.ts';

export interface ClusterOptions {
  /** Default 3. */
  readonly primaries?: number;
  /** Of each primary. Default 1. */
  readonly replicas?: number;
  /** Of every node, also among themselves. Default: none. */
  readonly password?: string;
  /** More arguments for each server; they come last, and win. */
  readonly args?: readonly string[];
}

export interface ClusterNode {
  readonly id: string;
  readonly engine: TestEngine;
}

/** A cluster of a test's own, or the one that all tests share. */
export interface TestCluster extends AsyncDisposable {
  readonly nodes: readonly ClusterNode[];
  /** The URLs of all nodes, with the password. */
  readonly urls: readonly string[];
  send(node: ClusterNode, ...args: string[]): Promise<RawReply>;
  /** Those that have slots now, as a living node tells. */
  primaries(): Promise<readonly ClusterNode[]>;
  /** The node that serves a slot, or a key, now. */
  ownerOf(slotOrKey: number | string): Promise<ClusterNode>;
  /** The living replicas of a primary. */
  replicasOf(primary: ClusterNode): Promise<readonly ClusterNode[]>;
  /** SIGKILL; nothing waits for the failover. */
  kill(node: ClusterNode): Promise<void>;
  /** Starts a killed node again; resolves when the whole cluster is in order. */
  restart(node: ClusterNode): Promise<void>;
  /** Kills a primary and resolves with the replica that took over, once every living node says so. */
  failover(primary: ClusterNode): Promise<ClusterNode>;
  /** Lets a replica take over in good order, without a loss (CLUSTER FAILOVER). Resolves with the new primary. */
  switchOver(primary: ClusterNode): Promise<ClusterNode>;
  /** Moves a slot with its keys, while it is used. `onHalf` runs when some keys are here and some there. */
  moveSlot(slot: number, to: ClusterNode, onHalf?: () => Promise<void>): Promise<void>;
  /** Resolves when every living node says that the cluster is in order. */
  inOrder(): Promise<void>;
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const NODE_TIMEOUT_MS = 2_000;
const DEADLINE_MS = 40_000;

export function slotOf(key: string): number {
  return calculateSlot(key);
}

/** Starts one on free ports of 127.0.0.1. Fails where `whyNoEngine` has an answer. */
export async function startCluster({ primaries = 3, replicas = 1, password, args = [] }: ClusterOptions = {}): Promise<TestCluster> {
  const count = primaries * (1 + replicas);
  const secured = password === undefined ? [] : ['--requirepass', password, '--masterauth', password];
  const started = await Promise.allSettled(Array.from({ length: count }, () => startNode([...secured, ...args])));
  const engines = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = started.find((each) => each.status === 'rejected');
  try {
    if (failed) throw failed.reason;
    const ids = await Promise.all(engines.map((engine) => once(urlOf(engine, password), 'CLUSTER', 'MYID')));
    const nodes = engines.map((engine, index) => ({ engine, id: String(ids[index]) }));
    const cluster = new OwnCluster(nodes, password);
    await cluster.form(primaries);
    return cluster;
  } catch (error) {
    await Promise.all(engines.map((engine) => engine.stop()));
    throw error;
  }
}

async function startNode(args: readonly string[]): Promise<TestEngine> {
  const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-port', String(await freePort())];
  // Else replicas wait five seconds before the first synchronisation, and a failover is refused while one is behind.
  return await startEngine({ args: [...own, '--repl-diskless-sync-delay', '0', '--cluster-replica-validity-factor', '0', ...args] });
}

function urlOf({ port }: TestEngine, password: string | undefined): string {
  return `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
}

async function once(url: string, ...args: string[]): Promise<RawReply> {
  await using client = await connectRaw(url);
  return await client.send(...args);
}

/** Asks until it is so. What is thrown means that it is not so yet. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  let last: unknown;
  while (!(await isSo().catch((error: unknown) => void (last = error)))) {
    if (performance.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms in vain until ${what}`, { cause: last });
    await delay(50);
  }
}

class OwnCluster implements TestCluster {
  readonly nodes: readonly ClusterNode[];
  readonly #password: string | undefined;
  readonly #clients = new Map<ClusterNode, Promise<RawClient>>();
  readonly #dead = new Set<ClusterNode>();

  constructor(nodes: readonly ClusterNode[], password: string | undefined) {
    this.nodes = nodes;
    this.#password = password;
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ engine }) => urlOf(engine, this.#password));
  }

  async send(node: ClusterNode, ...args: string[]): Promise<RawReply> {
    let client = this.#clients.get(node);
    if (!client) {
      client = connectRaw(urlOf(node.engine, this.#password));
      this.#clients.set(node, client);
    }
    try {
      return await (await client).send(...args);
    } catch (error) {
      // A server's answer begins with a word in capitals; whatever else happened, the next one gets a new connection.
      if (!/^[A-Z]+ /.test(String((error as Error).message))) this.#drop(node);
      throw error;
    }
  }

  #drop(node: ClusterNode): void {
    const client = this.#clients.get(node);
    this.#clients.delete(node);
    void client?.then((each) => each.close()).catch(() => undefined);
  }

  /** Gives the slots to the first nodes, and a replica or more to each. */
  async form(primaries: number): Promise<void> {
    const [first] = this.nodes as readonly [ClusterNode];
    await Promise.all(
      this.nodes.slice(0, primaries).map(async (node, index) => {
        await this.send(node, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
        const [from, to] = [index, index + 1].map((share) => Math.floor((share * SLOTS) / primaries)) as [number, number];
        await this.send(node, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to - 1));
      }),
    );
    for (const { engine } of this.nodes.slice(1)) {
      const bus = await this.send(this.nodes.find((each) => each.engine === engine) as ClusterNode, 'CONFIG', 'GET', 'cluster-port');
      await this.send(first, 'CLUSTER', 'MEET', '127.0.0.1', String(engine.port), String((bus as string[])[1]));
    }
    await until('all nodes know each other', async () => {
      const known = await Promise.all(this.nodes.map((node) => this.#table(node)));
      return known.every((table) => table.length === this.nodes.length && table.every(({ flags }) => !flags.includes('handshake')));
    });
    await Promise.all(
      this.nodes.slice(primaries).map((node, index) => this.send(node, 'CLUSTER', 'REPLICATE', this.nodes[index % primaries]?.id ?? '')),
    );
    await this.inOrder();
  }

  async primaries(): Promise<readonly ClusterNode[]> {
    const table = await this.#table();
    return this.nodes.filter(({ id }) => table.some((each) => each.id === id && each.slots.length > 0));
  }

  async ownerOf(slotOrKey: number | string): Promise<ClusterNode> {
    const slot = typeof slotOrKey === 'number' ? slotOrKey : slotOf(slotOrKey);
    return this.#node((await this.#table()).find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to))?.id);
  }

  async replicasOf({ id }: ClusterNode): Promise<readonly ClusterNode[]> {
    const table = await this.#table();
    return this.nodes.filter((node) => !this.#dead.has(node) && table.some((each) => each.id === node.id && each.primary === id));
  }

  async kill(node: ClusterNode): Promise<void> {
    this.#dead.add(node);
    await node.engine.kill();
    this.#drop(node);
  }

  async restart(node: ClusterNode): Promise<void> {
    await node.engine.restart();
    this.#drop(node);
    this.#dead.delete(node);
    await this.inOrder();
  }

  async failover(primary: ClusterNode): Promise<ClusterNode> {
    const [slot] = await this.#slotsOf(primary);
    if (slot === undefined) throw new Error('expected a primary with slots');
    await this.kill(primary);
    await this.#untilServedByAnother(primary, slot);
    return await this.ownerOf(slot);
  }

  async switchOver(primary: ClusterNode): Promise<ClusterNode> {
    const [slot] = await this.#slotsOf(primary);
    const [replica] = await this.replicasOf(primary);
    if (slot === undefined || replica === undefined) throw new Error('expected a primary with slots and a replica');
    await this.send(replica, 'CLUSTER', 'FAILOVER');
    await this.#untilServedByAnother(primary, slot);
    return await this.ownerOf(slot);
  }

  async moveSlot(slot: number, to: ClusterNode, onHalf?: () => Promise<void>): Promise<void> {
    const from = await this.ownerOf(slot);
    if (from === to) return;
    const number = String(slot);
    await this.send(to, 'CLUSTER', 'SETSLOT', number, 'IMPORTING', from.id);
    await this.send(from, 'CLUSTER', 'SETSLOT', number, 'MIGRATING', to.id);
    let half = onHalf;
    for (let count = 2; ; count = 50) {
      const keys = (await this.send(from, 'CLUSTER', 'GETKEYSINSLOT', number, String(count))) as string[];
      if (keys.length === 0) break;
      const auth = this.#password === undefined ? [] : ['AUTH', this.#password];
      await this.send(from, 'MIGRATE', '127.0.0.1', String(to.engine.port), '', '0', '5000', ...auth, 'KEYS', ...keys);
      await half?.();
      half = undefined;
    }
    // The new owner first: else nobody would serve the slot in between.
    for (const node of [to, from]) await this.send(node, 'CLUSTER', 'SETSLOT', number, 'NODE', to.id);
    const others = (await this.primaries()).filter((node) => node !== to && node !== from && !this.#dead.has(node));
    for (const node of others) await this.send(node, 'CLUSTER', 'SETSLOT', number, 'NODE', to.id);
  }

  async inOrder(): Promise<void> {
    await until('the cluster is in order', async () => {
      const each = await Promise.all(this.#alive().map((node) => this.#isInOrder(node)));
      return each.every(Boolean);
    });
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) this.#drop(node);
    await Promise.all(this.nodes.map(({ engine }) => engine.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #isInOrder(node: ClusterNode): Promise<boolean> {
    const [info, replication, table] = [
      String(await this.send(node, 'CLUSTER', 'INFO')),
      String(await this.send(node, 'INFO', 'replication')),
      await this.#table(node),
    ];
    const isLinked = !/^role:slave/m.test(replication) || /^master_link_status:up/m.test(replication);
    const seesAll = this.#alive().every(({ id }) => table.some((each) => each.id === id && !each.flags.includes('fail')));
    // As many replicas as were asked for: a node that comes back finds out only then that it is one.
    const isPlaced = table.find(({ id }) => id === node.id)?.slots.length !== 0 || /^role:slave/m.test(replication);
    return /cluster_state:ok/.test(info) && isLinked && seesAll && isPlaced;
  }

  async #untilServedByAnother(primary: ClusterNode, slot: number): Promise<void> {
    await until('another node serves the slot', async () => {
      const tables = await Promise.all(this.#alive().map((node) => this.#table(node)));
      return tables.every((table) => table.some(({ id, slots }) => id !== primary.id && slots.some(([from, to]) => from <= slot && slot <= to)));
    });
    await until('the cluster is in order', async () => {
      const states = await Promise.all(this.#alive().map((node) => this.send(node, 'CLUSTER', 'INFO')));
      return states.every((state) => /cluster_state:ok/.test(String(state)));
    });
  }

  async #slotsOf({ id }: ClusterNode): Promise<number[]> {
    return (await this.#table()).find((each) => each.id === id)?.slots.map(([from]) => from) ?? [];
  }

  #alive(): readonly ClusterNode[] {
    return this.nodes.filter((node) => !this.#dead.has(node));
  }

  #node(wanted: string | undefined): ClusterNode {
    const node = this.nodes.find(({ id }) => id === wanted);
    if (!node) throw new Error('no node of this cluster serves it');
    return node;
  }

  /** CLUSTER NODES, as a living node tells it. */
  async #table(teller: ClusterNode | undefined = this.#alive()[0]): Promise<TableRow[]> {
    const text = String(await this.send(this.#node(teller?.id), 'CLUSTER', 'NODES'));
    return text.trim().split('\n').map(rowOf);
  }
}

interface TableRow {
  readonly id: string;
  readonly flags: readonly string[];
  readonly primary: string;
  readonly slots: readonly (readonly [from: number, to: number])[];
}

function rowOf(line: string): TableRow {
  const [id = '', , flags = '', primary = '', , , , , ...ranges] = line.trim().split(' ');
  const slots = ranges.filter((range) => !range.startsWith('[')).map((range) => range.split('-').map(Number));
  return { id, flags: flags.split(','), primary, slots: slots.map(([from = 0, to = from]) => [from, to] as const) };
}
