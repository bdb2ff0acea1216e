// What sentinels watch over: they tell which server is the primary now, and it serves everything.
import type { Secrets } from './failures.ts';
import { PortError, type RedisPort, type Reply } from './port.ts';
import { nodeName, type NodeName, SLOTS, SlotMap } from './slot-map.ts';
import { Asker, type Topology } from './topology.ts';
import type { Wire } from './wire.ts';

export interface SentinelSetUp {
  readonly sentinels: readonly NodeName[];
  /** What the sentinels call the primary and its replicas. */
  readonly name: string;
  readonly secrets: Secrets;
  readonly timeoutMs: number;
  wireToSentinel(node: NodeName): Wire;
  wireTo(node: NodeName): Wire;
}

/** A primary that was cut off from its sentinels still takes writes, which are lost later: the sooner it is left the better. */
const REFRESH_MS = 2_000;

export class SentinelTopology implements Topology {
  readonly where: string;
  readonly isCluster = false;
  readonly secrets: Secrets;
  readonly refreshMs: number = REFRESH_MS;
  readonly #setUp: SentinelSetUp;
  readonly #asker: Asker;
  #known: readonly NodeName[] = [];

  constructor(setUp: SentinelSetUp) {
    this.#setUp = setUp;
    this.where = `the primary ${setUp.name} of the sentinels ${setUp.sentinels.slice(0, 3).join(', ')}`;
    this.secrets = setUp.secrets;
    this.#asker = new Asker((node) => setUp.wireToSentinel(node), setUp.timeoutMs);
  }

  async discover(): Promise<SlotMap> {
    return await this.#asker.ask([...this.#setUp.sentinels, ...this.#known], async (port, asked) => {
      const { name } = this.#setUp;
      const found = (await port.send(undefined, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name])) as readonly [string, string] | null;
      if (found === null) throw new Error(`the sentinel at ${asked} knows no primary of the name ${name}`);
      const others = await port.send(undefined, ['SENTINEL', 'SENTINELS', name]);
      this.#known = (others as readonly Reply[]).map(nameOf);
      return mapTo(nodeName(found[0], Number(found[1])));
    });
  }

  wireTo(node: NodeName): Wire {
    return this.#setUp.wireTo(node);
  }

  translated(node: NodeName): NodeName {
    return node;
  }

  check(port: RedisPort): Promise<void> {
    return assertPrimary(port);
  }

  close(): Promise<void> {
    return this.#asker.close();
  }
}

/** One server that serves every slot. */
export function mapTo(node: NodeName): SlotMap {
  return SlotMap.of([{ from: 0, to: SLOTS - 1, node }]);
}

/** Sentinels tell the old primary for a while: it may have come back as a replica, whose data are old. */
export async function assertPrimary(port: RedisPort): Promise<void> {
  let role: unknown;
  try {
    [role] = (await port.send(undefined, ['ROLE'])) as readonly Reply[];
  } catch (error) {
    // A user who may not ask learns it by READONLY, when something is written.
    if (error instanceof PortError && error.reply === 'NOPERM') return;
    throw error;
  }
  if (role !== 'master') throw new Error('it is a replica; the sentinels have not agreed on a primary yet');
}

/** The address in a flat reply of names and values. */
function nameOf(row: Reply): NodeName {
  const facts = row as readonly string[];
  const factOf = (name: string): string => facts[facts.indexOf(name) + 1] ?? '';
  return nodeName(factOf('ip'), Number(factOf('port')));
}
