// A raw connection to a cluster, for tests: sends each command to the node that serves its key, and what has no key to every primary.
import calculateSlot from 'cluster-key-slot';
import { connectRawServer, type RawClient, type RawReply } from './raw-client.ts';

/** What every primary is asked, and the answers put together: lists joined, numbers added, else the first. */
const EVERYWHERE: ReadonlySet<string> = new Set(['KEYS', 'FLUSHALL', 'FLUSHDB', 'DBSIZE', 'SCRIPT', 'CLIENT', 'CONFIG']);
/** Those with a key in each argument, which may lie in different slots. */
const MANY_KEYS: ReadonlySet<string> = new Set(['DEL', 'UNLINK', 'EXISTS']);
/** Without a key, and answered by any node. */
const ANYWHERE: ReadonlySet<string> = new Set(['PING', 'TIME', 'INFO', 'PUBLISH', 'COMMAND']);

export async function connectRawCluster(seeds: readonly string[]): Promise<RawClient> {
  const cluster = new RawCluster(seeds);
  await cluster.connect();
  return cluster;
}

class RawCluster implements RawClient {
  readonly #seeds: readonly string[];
  readonly #clients = new Map<string, Promise<RawClient>>();
  #ranges: readonly (readonly [from: number, to: number, node: string])[] = [];

  constructor(seeds: readonly string[]) {
    this.#seeds = seeds;
  }

  async connect(): Promise<void> {
    const rows = (await (await this.#client(this.#seeds[0] ?? '')).send('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    this.#ranges = rows.map(([from, to, [host, port]]) => [from, to, this.#urlOf(host, port)]);
  }

  async send(...args: string[]): Promise<RawReply> {
    const command = (args[0] ?? '').toUpperCase();
    if (command === 'SCAN') return await this.#scan(args);
    if (EVERYWHERE.has(command)) return joined(await this.#toEach(args));
    if (MANY_KEYS.has(command)) return joined(await Promise.all(args.slice(1).map((key) => this.#toNode(this.#ownerOf(key), [command, key]))));
    return await this.#toNode(ANYWHERE.has(command) ? (this.#ranges[0]?.[2] ?? '') : this.#ownerOf(keyOf(args)), args);
  }

  close(): void {
    for (const client of this.#clients.values()) void client.then((each) => each.close()).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Whole, whatever its cursor: the answer's is 0. */
  async #scan(args: readonly string[]): Promise<RawReply> {
    const found: RawReply[] = [];
    for (const node of this.#primaries()) {
      for (let cursor = ''; cursor !== '0'; ) {
        const [next, keys] = (await this.#toNode(node, ['SCAN', cursor || '0', ...args.slice(2)])) as [string, RawReply[]];
        cursor = next;
        found.push(...keys);
      }
    }
    return ['0', found];
  }

  async #toEach(args: readonly string[]): Promise<RawReply[]> {
    const answers = await Promise.allSettled(this.#primaries().map((node) => this.#toNode(node, args)));
    const good = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const bad = answers.find((answer) => answer.status === 'rejected');
    // A client that is to be killed is known to one node only.
    if (good.length === 0 && bad) throw bad.reason;
    return good;
  }

  async #toNode(node: string, args: readonly string[]): Promise<RawReply> {
    try {
      return await (await this.#client(node)).send(...args);
    } catch (error) {
      const [, host, port] = /^MOVED \d+ (\S+):(\d+)$/.exec((error as Error).message) ?? [];
      if (host === undefined) throw error;
      await this.connect();
      return await (await this.#client(this.#urlOf(host, Number(port)))).send(...args);
    }
  }

  #client(node: string): Promise<RawClient> {
    const client = this.#clients.get(node) ?? connectRawServer(node);
    this.#clients.set(node, client);
    return client;
  }

  #primaries(): readonly string[] {
    return [...new Set(this.#ranges.map(([, , node]) => node))];
  }

  #ownerOf(key: string): string {
    const slot = calculateSlot(key);
    return this.#ranges.find(([from, to]) => from <= slot && slot <= to)?.[2] ?? '';
  }

  #urlOf(host: string, port: number): string {
    const url = new URL(this.#seeds[0] ?? '');
    url.host = `${host}:${port}`;
    return url.href;
  }
}

/** By the commands that tests use: all others have it in the first place. */
function keyOf(args: readonly string[]): string {
  const command = (args[0] ?? '').toUpperCase();
  if (/^(EVAL|EVALSHA|FCALL)(_RO)?$/.test(command)) return args[3] ?? '';
  if (command === 'XREAD' || command === 'XREADGROUP') return args[args.findIndex((arg) => arg.toUpperCase() === 'STREAMS') + 1] ?? '';
  if (/^(XINFO|XGROUP|OBJECT|MEMORY|DEBUG)$/.test(command)) return args[2] ?? '';
  return args[1] ?? '';
}

function joined(answers: readonly RawReply[]): RawReply {
  const [first = null] = answers;
  if (answers.length > 0 && answers.every((answer) => Array.isArray(answer))) return answers.flat() as RawReply[];
  if (typeof first === 'number') return answers.reduce<number>((sum, answer) => sum + Number(answer), 0);
  return typeof first === 'string' && first !== 'OK' ? answers.map(String).join('') : first;
}
