// Every key and channel in Redis; nowhere else is there a template of one.
import calculateSlot from 'cluster-key-slot';
import { assertName } from '../event.ts';
import { InvalidInputError } from '../errors.ts';

/** Slots of a Redis Cluster. */
const SLOTS = 16_384;

/** How many partitions a store may have. */
export const PARTITIONS_MAX = 1_024;

/** The store's own settings, outside all partitions. */
export function settingsKey(namespace: string): string {
  return `{${namespace}}:settings`;
}

/** What processors run, by kind, name and version, as they told when they took it: a hash, for people and their tools. */
export function processorsKey(namespace: string): string {
  return `{${namespace}}:processors`;
}

/** What stopped processors last, by what they ran and where: a hash, for people and their tools. */
export function failuresKey(namespace: string): string {
  return `{${namespace}}:failures`;
}

/** The field of the settings that names the version of a projection which serves. */
export function servingField(name: string): string {
  return `serving:${name}`;
}

/** The channel on which it is told that another version serves. */
export function servingChannel(namespace: string): string {
  return `{${namespace}}:serving`;
}

/** The consumer groups of a reactor that keeps no order have this name in each log. */
export function groupName(name: string, version: number): string {
  return `millrace:${name}@${version}`;
}

/** The field of `reactions` that says whether a worker of a reactor that keeps no order may write. */
export function workerField(consumer: string): string {
  return `worker:${consumer}`;
}

/** Checks a namespace: a name that cannot break a hash tag or a pattern. */
export function assertNamespace(namespace: unknown): asserts namespace is string {
  assertName('namespace', namespace, ':*?[]\\');
}

/** Checks a number of partitions. */
export function assertPartitions(partitions: unknown): asserts partitions is number {
  if (!Number.isInteger(partitions) || Number(partitions) < 1 || Number(partitions) > PARTITIONS_MAX) {
    throw new InvalidInputError('number of partitions', `a whole number from 1 to ${PARTITIONS_MAX}`, partitions);
  }
}

/** The keys of a store. All keys of a partition share its hash tag, so that one script may touch them. */
export class Keys {
  readonly namespace: string;
  readonly partitions: number;
  readonly #tags: readonly string[];

  constructor(namespace: string, partitions: number) {
    this.namespace = namespace;
    this.partitions = partitions;
    this.#tags = Array.from({ length: partitions }, (_, partition) => tagOf(namespace, partition, partitions));
  }

  /** The partition of a stream or of a document: by its id alone, so that one entity's streams share it. */
  partitionOf(id: string): number {
    return this.partitions === 1 ? 0 : calculateSlot(id) % this.partitions;
  }

  /** The events of a category: a Redis Stream. */
  log(partition: number, category: string): string {
    return `${this.#tag(partition)}:log:${category}`;
  }

  /** The positions of one stream's events: a list. */
  stream(partition: number, streamName: string): string {
    return `${this.#tag(partition)}:stream:${streamName}`;
  }

  /** The last position issued in the partition. */
  head(partition: number): string {
    return `${this.#tag(partition)}:head`;
  }

  /** The categories that have a log here: a set. */
  categories(partition: number): string {
    return `${this.#tag(partition)}:categories`;
  }

  /** The outcomes of a writer's last batches: a hash. */
  writer(partition: number, writerId: string): string {
    return `${this.#tag(partition)}:writer:${writerId}`;
  }

  /** The first result of a request with an idempotency key. */
  result(partition: number, idempotencyKey: string): string {
    return `${this.#tag(partition)}:result:${idempotencyKey}`;
  }

  /** One document or one decider's state: a hash. */
  snapshot(partition: number, name: string, version: number, key: string): string {
    return `${this.snapshotPrefix(partition, name, version)}${key}`;
  }

  /** What the keys of all documents of a projection in a partition begin with. */
  snapshotPrefix(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:snapshot:${name}@${version}:`;
  }

  /** How far a projection is, and who runs it: a hash. */
  checkpoint(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:checkpoint:${name}@${version}`;
  }

  /** How far removed documents of a projection keyed across partitions had been folded: a hash. */
  removed(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:removed:${name}@${version}`;
  }

  /** How far a foreign Redis Stream is imported into a partition, and who imports it: a hash. */
  source(partition: number, sourceKey: string): string {
    return `${this.#tag(partition)}:source:${sourceKey}`;
  }

  /** When events that are scheduled are due: a sorted set of their ids. */
  schedule(partition: number): string {
    return `${this.#tag(partition)}:schedule`;
  }

  /** The events that are scheduled, by id: a hash. */
  scheduled(partition: number): string {
    return `${this.#tag(partition)}:scheduled`;
  }

  /** Who delivers what is due: a hash, the lease of a checkpoint without a position. */
  delivery(partition: number): string {
    return `${this.#tag(partition)}:delivery`;
  }

  /** The open dead letters of a reactor, in the order of their events: a sorted set of places. */
  dead(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:dead:${name}@${version}`;
  }

  /** What is known of each open dead letter of a reactor, by place: a hash. */
  letters(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:letters:${name}@${version}`;
  }

  /** The keys of a reactor whose events wait behind a dead letter, and the place of that letter: a hash. */
  blocked(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:blocked:${name}@${version}`;
  }

  /** The keys of a reactor that have a letter to try again, or nothing that blocks them any more: a sorted set. */
  retrying(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:retrying:${name}@${version}`;
  }

  /** The events of one key that wait behind a dead letter, in order: a list of places and categories. */
  parked(partition: number, name: string, version: number, key: string): string {
    return `${this.#tag(partition)}:parked:${name}@${version}:${key}`;
  }

  /** Events that a reactor has finished before others which stand in front of them: a sorted set of places. */
  finished(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:finished:${name}@${version}`;
  }

  /** What handlers of a reactor in one partition appended into this one for events that are not finished: a hash. */
  reactions(partition: number, name: string, version: number, from: number): string {
    return `${this.#tag(partition)}:reactions:${name}@${version}:${from}`;
  }

  /** The last epochs of reactors that were dropped, by name and version: a hash. */
  dropped(partition: number): string {
    return `${this.#tag(partition)}:dropped`;
  }

  /** The channel on which a projection's commits in a partition are told. */
  committedChannel(partition: number, name: string, version: number): string {
    return `${this.#tag(partition)}:committed:${name}@${version}`;
  }

  #tag(partition: number): string {
    const tag = this.#tags[partition];
    if (tag === undefined) throw new InvalidInputError('partition', `one of ${this.partitions}`, partition);
    return tag;
  }
}

/** Patterns of a store's keys, for rules of an ACL. A namespace has nothing in it that is special in one. */
export function keyPatterns(namespace: string): {
  readonly settings: string;
  readonly outside: string;
  readonly all: string;
  /** `kind` is what stands behind the partition's tag: `head`, `log:*`. */
  readonly ofKind: (kind: string) => string;
} {
  const tag = `{${namespace}:*}`;
  return { settings: settingsKey(namespace), outside: `{${namespace}}:*`, all: `${tag}:*`, ofKind: (kind) => `${tag}:${kind}` };
}

/** Patterns of a store's channels, for rules of an ACL. */
export function channelPatterns(namespace: string): readonly string[] {
  return [servingChannel(namespace), `{${namespace}:*}:committed:*`];
}

/** A pattern for SCAN that matches what begins with `prefix`, literally. */
export function patternOf(prefix: string): string {
  return `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
}

/** With several partitions, the tag whose slot lies in the partition's share, so that they spread evenly over a cluster. */
function tagOf(namespace: string, partition: number, partitions: number): string {
  if (partitions === 1) return `{${namespace}:0}`;
  for (let suffix = 0; ; suffix += 1) {
    const tag = `{${namespace}:${partition}.${suffix}}`;
    if (Math.floor((calculateSlot(tag) * partitions) / SLOTS) === partition) return tag;
  }
}
