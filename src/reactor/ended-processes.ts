// What is left of processes that ended: kept until their last event cannot be done again, and removed then.
import { entryIdOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { dropReactions } from '../redis/reaction-scripts.ts';
import type { DocumentWrite } from '../redis/scripts.ts';
import { documentFields } from '../snapshot/document.ts';
import type { ProcessManager } from './process-manager.ts';
import { Unsettled } from './unsettled.ts';

/** A process, and the place of the event that ended it. */
export interface Ended {
  readonly key: string;
  readonly place: number;
}

/**
 * The document of a process that ended says so until its last event is committed as done: a repetition would begin the process anew. It is
 * noted in a hash beside, so that what a process left that died before the removal is found without looking at all documents.
 */
export class EndedProcesses {
  readonly #connection: Connection;
  readonly #manager: ProcessManager;
  readonly #partition: number;
  readonly #notesKey: string;
  #epoch = '';
  /** Steps of this lease on their way: those of an earlier one are fenced off. One may come late, when its process is gone. */
  #unsettled = new Unsettled<string>();

  constructor(connection: Connection, manager: ProcessManager, partition: number) {
    this.#connection = connection;
    this.#manager = manager;
    this.#partition = partition;
    this.#notesKey = connection.keys.reactions(partition, manager.name, manager.version, partition);
  }

  /** Told when another lease begins. */
  begin(epoch: string): void {
    this.#epoch = epoch;
    this.#unsettled = new Unsettled();
  }

  /** Counts a step of a process until its outcome is known. */
  unsettled<T>(key: string, step: Promise<T>): Promise<T> {
    return this.#unsettled.count(key, step);
  }

  /** What is written along with the step that ends a process. */
  note(ended: Ended): DocumentWrite {
    return { key: this.#notesKey, fields: [fieldOf(ended), '1'], removed: [] };
  }

  /** Its last event is committed as done. Where a step may still be on its way, it waits for that; what stays is swept by the next owner. */
  async remove(ended: Ended): Promise<void> {
    if (this.#unsettled.has(ended.key)) return this.#unsettled.whenSettled(ended.key, () => void this.remove(ended).catch(() => undefined));
    const { keys, writer, port } = this.#connection;
    const { name, version } = this.#manager;
    const documentKey = keys.snapshot(this.#partition, name, version, ended.key);
    const outcome = await writer.append(this.#partition, {
      kind: 'multi',
      streams: [],
      guards: [],
      marks: [
        { key: keys.checkpoint(this.#partition, name, version), field: 'epoch', expected: this.#epoch, new: '' },
        { key: documentKey, field: documentFields.position, expected: entryIdOf(ended.place), new: '' },
      ],
      documents: [
        { key: documentKey, fields: undefined, removed: [] },
        { key: this.#notesKey, fields: [], removed: [fieldOf(ended)] },
      ],
      result: undefined,
      bytes: documentKey.length,
    });
    // Its key was used again: the document is another process's.
    if (outcome.kind === 'mark-conflict' && outcome.mark === 1) await dropReactions(port, this.#notesKey, [fieldOf(ended)]);
  }

  /** Removes what is left where a process died between an end and the removal. */
  async sweep(isPassed: (place: number) => boolean): Promise<void> {
    let cursor = '0';
    do {
      const [next, found] = (await this.#connection.port.send(this.#notesKey, ['HSCAN', this.#notesKey, cursor, 'COUNT', '1000'])) as [
        string,
        string[],
      ];
      const ended = found.filter((_, at) => at % 2 === 0).map(parseField);
      for (const each of ended) if (isPassed(each.place) && !(await this.#isOpen(each))) await this.remove(each);
      cursor = next;
    } while (cursor !== '0');
  }

  /** Whether its event is a dead letter, or waits behind one: it may be handled again. */
  async #isOpen({ key, place }: Ended): Promise<boolean> {
    const { keys, port } = this.#connection;
    const { name, version } = this.#manager;
    const [deadKey, blockedKey] = [keys.dead(this.#partition, name, version), keys.blocked(this.#partition, name, version)];
    const [score, isBlocked] = await Promise.all([
      port.send(deadKey, ['ZSCORE', deadKey, String(place)]),
      port.send(blockedKey, ['HEXISTS', blockedKey, key]),
    ]);
    return score !== null || isBlocked === 1;
  }
}

function fieldOf({ key, place }: Ended): string {
  return `${place}:${key}`;
}

function parseField(field: string): Ended {
  const colon = field.indexOf(':');
  return { place: Number(field.slice(0, colon)), key: field.slice(colon + 1) };
}
