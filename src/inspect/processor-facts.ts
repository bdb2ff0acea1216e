// How far everything is that processors registered, who runs it, how fast it goes, and what stopped it last.
import { comparePositions, type Position, positionOf } from '../position.ts';
import { ageOfNext, readCounts } from '../processor/progress.ts';
import { type OverallProgress, ProgressLooks } from '../processor/rebuild-progress.ts';
import type { RegisteredFacts } from '../processor/registered.ts';
import { type FailureFacts, readFailures, readRegistered } from '../processor/registry.ts';
import { groupStandsAt } from '../reactor/consumer-group.ts';
import type { Connection } from '../redis/connection.ts';
import { readServingVersion } from '../snapshot/serving.ts';
import type { LastFailureFacts, ProcessorFacts, ProcessorPartitionFacts } from './facts.ts';
import { readLease } from './lease-facts.ts';
import { sourceFacts } from './source-facts.ts';
import { partitionsOf } from './store-facts.ts';

/** Remembers earlier looks, to tell how fast each goes. */
export class ProcessorLooks {
  readonly #looks = new Map<string, ProgressLooks>();

  async look(connection: Connection): Promise<readonly ProcessorFacts[]> {
    const registered = await readRegistered(connection);
    return await Promise.all(registered.map((each) => this.#lookAt(connection, each, registered)));
  }

  async #lookAt(connection: Connection, of: RegisteredFacts, all: readonly RegisteredFacts[]): Promise<ProcessorFacts> {
    if (of.kind === 'source') return await sourceFacts(connection, of);
    const id = `${of.name}@${of.version}`;
    const looks = this.#looks.get(id) ?? new ProgressLooks();
    this.#looks.set(id, looks);
    const [progress, partitions, failures, isServing] = await Promise.all([
      looks.look(connection, of),
      Promise.all(partitionsOf(connection).map((partition) => partitionFacts(connection, of, partition))),
      readFailures(connection, of),
      of.kind === 'projection' && isServed(connection, of, all),
    ]);
    return processorFacts(of, { progress, partitions, failures, isServing });
  }
}

/** Beside what is told: whether it is built, and its checkpoint, which of a reactor without order is not where its groups stand. */
interface SeenPartition extends ProcessorPartitionFacts {
  readonly isBuilt: boolean;
  readonly checkpoint: Position | undefined;
}

interface Found {
  readonly progress: OverallProgress;
  readonly partitions: readonly SeenPartition[];
  readonly failures: readonly FailureFacts[];
  readonly isServing: boolean;
}

function processorFacts(of: RegisteredFacts, { progress, partitions, failures, isServing }: Found): ProcessorFacts {
  const { eventsTotal, lagEvents, percent, eventsPerSecond, timeLeftMs, isPaused, unfinished } = progress;
  return {
    ...of,
    eventsDone: progress.eventsFolded,
    eventsTotal,
    lagEvents,
    lagMs: Math.max(...partitions.map(({ lagMs }) => lagMs)),
    percent,
    eventsPerSecond,
    timeLeftMs,
    isPaused,
    unfinished,
    isServing,
    isBuilt: partitions.every(({ isBuilt }) => isBuilt),
    deadLetters: partitions.reduce((sum, { deadLetters }) => sum + deadLetters, 0),
    eventsWaiting: partitions.reduce((sum, { eventsWaiting }) => sum + eventsWaiting, 0),
    partitionsRun: partitions.filter(({ owner }) => owner !== undefined).length,
    owners: [...new Set(partitions.flatMap(({ owner }) => owner ?? []))],
    lastFailure: lastOf(failures, partitions),
    partitions: partitions.map(({ isBuilt: _, checkpoint: __, ...each }) => each),
  };
}

/** The last of those that still hold; else the last of all. */
function lastOf(failures: readonly FailureFacts[], partitions: readonly SeenPartition[]): LastFailureFacts | undefined {
  const all = failures.map((failure) => ({ ...failure, isCurrent: isCurrent(failure, partitions) }));
  return all.sort((a, b) => Number(b.isCurrent) - Number(a.isCurrent) || b.at.getTime() - a.at.getTime())[0];
}

function isCurrent({ partition, position }: FailureFacts, partitions: readonly SeenPartition[]): boolean {
  const there = partitions.find((each) => each.partition === partition);
  if (!there || there.owner !== undefined) return false;
  if (position === undefined || there.checkpoint === undefined) return position === there.checkpoint;
  return comparePositions(position, there.checkpoint) === 0;
}

/** Before anybody flipped readers, the lowest version that they know serves: of those that are registered. */
async function isServed(connection: Connection, { name, version }: RegisteredFacts, all: readonly RegisteredFacts[]): Promise<boolean> {
  const versions = all.filter((each) => each.kind === 'projection' && each.name === name).map((each) => each.version);
  return version === ((await readServingVersion(connection, name)) ?? Math.min(...versions));
}

async function partitionFacts(connection: Connection, of: RegisteredFacts, partition: number): Promise<SeenPartition> {
  const { port, keys } = connection;
  const { name, version } = of;
  const [checkpointKey, deadKey] = [keys.checkpoint(partition, name, version), keys.dead(partition, name, version)];
  const [counts, lease, deadLetters, group] = await Promise.all([
    readCounts(connection, of, partition),
    readLease(connection, checkpointKey),
    of.kind === 'projection' ? 0 : port.send(deadKey, ['ZCARD', deadKey]),
    of.kind === 'reactor' && of.order === 'none' ? groupStandsAt(connection, of, partition) : undefined,
  ]);
  const place = group?.place ?? counts.place;
  return {
    partition,
    ...lease,
    position: place < 0 ? undefined : positionOf(partition, place),
    checkpoint: counts.place < 0 ? undefined : positionOf(partition, counts.place),
    eventsDone: counts.eventsFolded,
    lagEvents: counts.lagEvents,
    lagMs: counts.lagEvents === 0 ? 0 : await ageOfNext(connection, of, partition, place),
    isPaused: counts.isPaused,
    deadLetters: Number(deadLetters),
  };
}
