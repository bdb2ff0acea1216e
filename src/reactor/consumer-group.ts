// The consumer groups of a reactor that keeps no order, in one partition: makes them, finds where they stand, and says who may write.
import { LogLostError } from '../errors.ts';
import { checkMark, type Marked, markOf } from '../log/mark.ts';
import { readBackward, readHead } from '../log/page.ts';
import { entryIdOf, packEntryId, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { fenceWorker, type GroupKeys, type GroupState, openGroup, readGroup } from '../redis/group-scripts.ts';
import { groupName } from '../redis/keys.ts';
import type { Reactor } from './reactor.ts';
import { startOf } from './start-from.ts';

/** What names a reactor's groups. */
export type Grouped = Pick<Reactor, 'name' | 'version' | 'categories'>;

/** Says in its checkpoint that a reactor keeps no order: with one, other things are noted there. */
export function readsOf({ categories }: Grouped): string {
  return `${categories.join(',')} (order none)`;
}

/** `halted`: somebody paused it; `changed`: its checkpoint was made with something else, as whoever asks for the lease is told. */
export type Openness = 'open' | 'halted' | 'changed';

export function groupKeysOf({ keys }: Connection, { name, version, categories }: Grouped, partition: number): GroupKeys {
  return {
    group: groupName(name, version),
    logs: categories.map((category) => keys.log(partition, category)),
    checkpointKey: keys.checkpoint(partition, name, version),
    reactionsKey: keys.reactions(partition, name, version, partition),
  };
}

export class ConsumerGroup {
  readonly connection: Connection;
  readonly reactor: Reactor;
  readonly partition: number;
  readonly keys: GroupKeys;
  #wasOpen = false;

  constructor(connection: Connection, reactor: Reactor, partition: number) {
    this.connection = connection;
    this.reactor = reactor;
    this.partition = partition;
    this.keys = groupKeysOf(connection, reactor, partition);
  }

  /**
   * Makes the groups where nobody did. One that was made and is gone is made again only behind the mark, where everything before is done,
   * and only while the log still holds what stands there. Otherwise throws LogLostError.
   */
  async open(): Promise<Openness> {
    const state = await openGroup(this.connection.port, this.keys, readsOf(this.reactor));
    if (state.status === 'gone') throw this.#lost(`the log ${state.log} is gone`);
    if (state.status === 'new' && this.#wasOpen) throw this.#lost('its checkpoint is gone');
    if (state.status === 'new') return await this.#make();
    if (state.status === 'missing') return await this.#makeAgain(state);
    this.#wasOpen ||= state.status === 'open';
    return state.status;
  }

  /** For the partitions that its handlers may append into. */
  reactionsKeys(): readonly string[] {
    const { keys } = this.connection;
    const { name, version } = this.reactor;
    return Array.from({ length: keys.partitions }, (_, target) => keys.reactions(target, name, version, this.partition));
  }

  /** From now on nothing that this worker does counts anywhere: what it has in hand may be given to another one. */
  async fence(field: string): Promise<void> {
    await Promise.all(this.reactionsKeys().map((key) => fenceWorker(this.connection.port, key, field)));
  }

  /** Forgets workers that nobody remembers. */
  async forget(fields: readonly string[]): Promise<void> {
    if (fields.length === 0) return;
    const { port } = this.connection;
    await Promise.all(this.reactionsKeys().map((key) => port.send(key, ['HDEL', key, ...fields])));
  }

  async #make(): Promise<Openness> {
    const { place, seen } = await startOf(this.connection, this.reactor, this.partition);
    return this.#opened(await openGroup(this.connection.port, this.keys, readsOf(this.reactor), { after: afterOf(place), seen }));
  }

  async #makeAgain({ position, mark, begun }: GroupState & { readonly status: 'missing' }): Promise<Openness> {
    if (position !== '') await checkMark(this.connection, this.partition, { place: packEntryId(position), mark });
    const start = { after: position === '' ? begun : position, seen: undefined };
    return this.#opened(await openGroup(this.connection.port, this.keys, readsOf(this.reactor), start));
  }

  #opened({ status }: GroupState): Openness {
    this.#wasOpen ||= status === 'open';
    // Anything else came up in between: the next look finds it.
    return status === 'open' || status === 'changed' ? status : 'halted';
  }

  #lost(what: string): LogLostError {
    const { name, version } = this.reactor;
    return new LogLostError(
      `The log is not the one that reactor ${name}@${version} read in partition ${this.partition}: ${what}, though it read there before. ` +
        'A flush, a restored backup or a failover that lost writes does this. Nothing was passed over. ' +
        'Restore the log; or start the processor again to go on with the log as it is, from where startFrom says.',
    );
  }
}

function afterOf(place: number): string {
  return place < 0 ? '0-0' : entryIdOf(place);
}

/** The place of the first event that is not done: undefined where there is none, NaN where a group is missing. */
async function firstOpen(connection: Connection, grouped: Grouped, partition: number): Promise<number | undefined> {
  const first = await readGroup(connection.port, groupKeysOf(connection, grouped, partition));
  if (first === undefined) return Number.NaN;
  return first === '' ? undefined : packEntryId(first);
}

/** Up to where all events are done: the last event before the first that is not; undefined where there is none, or a group is missing. */
export async function groupStandsAt(connection: Connection, grouped: Grouped, partition: number): Promise<Marked | undefined> {
  const head = await readHead(connection, partition); // first: what comes later may be open
  const first = await firstOpen(connection, grouped, partition);
  if (Number.isNaN(first)) return undefined;
  const { events } = await readBackward(connection, partition, grouped.categories, { before: first ?? head + 1, count: 1 });
  const [last] = events;
  return last && { place: last.place, mark: markOf(last.event) };
}

/** Whether every event up to `head` is done, whoever did it. Throws LogLostError for a place beyond the end of the log. */
export async function groupHasReached(connection: Connection, grouped: Grouped, partition: number, head: number): Promise<boolean> {
  const first = await firstOpen(connection, grouped, partition);
  const end = await readHead(connection, partition);
  if (end < head)
    throw new LogLostError(
      `The log of partition ${partition} ends at ${end < 0 ? 'nothing' : entryIdOf(end)}, before position ${positionOf(partition, head)}, which was appended. ` +
        'A flush, a restored backup or a failover that lost writes does this. Append again what was lost.',
    );
  return first === undefined || first > head;
}
