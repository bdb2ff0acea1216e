// A cluster: any node tells which of them serves which slots.
import { says, type Secrets } from './failures.ts';
import { PortError, type RedisPort, type Reply } from './port.ts';
import { nodeName, type NodeName, partsOfName, SlotMap, type SlotRange } from './slot-map.ts';
import { Asker, type Topology } from './topology.ts';
import type { Wire } from './wire.ts';

export interface ClusterSetUp {
  /** The nodes to begin with. */
  readonly seeds: readonly NodeName[];
  readonly secrets: Secrets;
  readonly timeoutMs: number;
  wireTo(node: NodeName): Wire;
  /** Where nodes are reached by other addresses than they tell. */
  translated?(node: NodeName): NodeName;
}

export class ClusterTopology implements Topology {
  readonly where: string;
  readonly isCluster = true;
  readonly secrets: Secrets;
  readonly #setUp: ClusterSetUp;
  readonly #asker: Asker;
  #known: readonly NodeName[] = [];

  constructor(setUp: ClusterSetUp) {
    this.#setUp = setUp;
    this.where = `the cluster of ${setUp.seeds.slice(0, 3).join(', ')}${setUp.seeds.length > 3 ? ', …' : ''}`;
    this.secrets = setUp.secrets;
    this.#asker = new Asker((node) => setUp.wireTo(node), setUp.timeoutMs);
  }

  async discover(): Promise<SlotMap> {
    const map = await this.#asker.ask([...this.#known, ...this.#setUp.seeds], (port, node) => this.#slotsOf(port, node));
    this.#known = [...map.primaries, ...map.replicas];
    return map;
  }

  wireTo(node: NodeName): Wire {
    return this.#setUp.wireTo(node);
  }

  translated(node: NodeName): NodeName {
    return this.#setUp.translated?.(node) ?? node;
  }

  /** A replica answers with MOVED whatever is asked of it: nothing has to be checked. */
  async check(): Promise<void> {}

  close(): Promise<void> {
    return this.#asker.close();
  }

  async #slotsOf(port: RedisPort, asked: NodeName): Promise<SlotMap> {
    const rows = await port.send(undefined, ['CLUSTER', 'SLOTS']).catch((error: unknown) => {
      if (error instanceof PortError && /cluster support disabled/.test(error.message)) throw new Error(`${asked} is no node of a cluster`);
      throw error;
    });
    const ranges: SlotRange[] = [];
    const replicas: NodeName[] = [];
    for (const [from, to, primary, ...others] of rows as readonly [number, number, ...Reply[]][]) {
      ranges.push({ from, to, node: this.#nameOf(primary as Reply, asked) });
      replicas.push(...others.map((other) => this.#nameOf(other, asked)));
    }
    if (ranges.length === 0) throw new Error(`${asked} is a node of no cluster yet: it serves no slots and knows of none`);
    return SlotMap.of(ranges, replicas);
  }

  /** A node that does not know its own host leaves it out: it is the one that was asked by. */
  #nameOf(told: Reply, asked: NodeName): NodeName {
    const [host, port] = told as readonly [string | null, number];
    const isKnown = host !== null && host !== '' && host !== '?';
    return this.translated(nodeName(isKnown ? host : partsOfName(asked).host, Number(port)));
  }
}

/** Where a server says that another one serves a slot: its own words, `MOVED 3999 127.0.0.1:6381` or `ASK …`. */
export function redirectIn(error: PortError, from: NodeName): { readonly isAsk: boolean; readonly node: NodeName } | undefined {
  const [, word, host, port] = /\b(MOVED|ASK) \d+ (\S*):(\d+)/.exec(says(error, [])) ?? [];
  if (word === undefined) return undefined;
  return { isAsk: word === 'ASK', node: nodeName(host === '' || host === undefined ? partsOfName(from).host : host, Number(port)) };
}
