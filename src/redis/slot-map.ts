// Which node serves each slot, as a set-up of servers told it last.
import { InvalidInputError } from '../errors.ts';

/** Slots of a cluster. A set-up with one primary is one that serves all of them. */
export const SLOTS = 16_384;

/** A node: `host:port`, the host in its plain form (`::1:6379`). */
export type NodeName = string;

export function nodeName(host: string, port: number): NodeName {
  return `${host}:${port}`;
}

export function partsOfName(name: NodeName): { readonly host: string; readonly port: number } {
  const colon = name.lastIndexOf(':');
  const port = Number(name.slice(colon + 1));
  if (!(port > 0 && port < 65_536)) throw new InvalidInputError('address of a node', 'host:port', name);
  return { host: name.slice(0, colon), port };
}

export interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly node: NodeName;
}

/** Does not change; `with` makes another one. */
export class SlotMap {
  readonly #owners: readonly (NodeName | undefined)[];
  /** The nodes that serve at least one slot. */
  readonly primaries: ReadonlySet<NodeName>;
  /** Others that may know the map. */
  readonly replicas: ReadonlySet<NodeName>;

  private constructor(owners: readonly (NodeName | undefined)[], replicas: ReadonlySet<NodeName>) {
    this.#owners = owners;
    this.primaries = new Set(owners.filter((name) => name !== undefined));
    this.replicas = replicas;
  }

  static of(ranges: readonly SlotRange[], replicas: Iterable<NodeName> = []): SlotMap {
    const owners = Array.from<NodeName | undefined>({ length: SLOTS });
    for (const { from, to, node } of ranges) owners.fill(node, from, to + 1);
    return new SlotMap(owners, new Set(replicas));
  }

  /** Undefined for a slot that no node serves. */
  ownerOf(slot: number): NodeName | undefined {
    return this.#owners[slot];
  }

  with(slot: number, node: NodeName): SlotMap {
    return new SlotMap(this.#owners.with(slot, node), this.replicas);
  }

  /** Whether every slot is served by the same node in both. */
  equals(other: SlotMap): boolean {
    return this.#owners.every((name, slot) => name === other.#owners[slot]);
  }
}
