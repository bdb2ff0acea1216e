// Works on a reactor that keeps no order, in one partition, until it is stopped: one worker after another, where the one before was fenced off.
import { setTimeout as delay } from 'node:timers/promises';
import { LogLostError } from '../errors.ts';
import type { RecordedEvent } from '../event.ts';
import type { Executor } from '../execute.ts';
import { PortError } from '../redis/port.ts';
import { isPassing, publicError } from '../redis/public-error.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import { GroupMember, type MemberEnd, type MemberOptions } from './group-member.ts';

export interface GroupLoopOptions extends Pick<MemberOptions, 'claimMs' | 'graceMs' | 'throttle'> {
  /** What the names of its consumers begin with. */
  readonly owner: string;
  /** Told how many events were acknowledged. */
  readonly onAcknowledged: (events: number) => void;
  readonly onDeadLetter: (event: RecordedEvent, error: unknown) => void;
  /** Whether it stands still here. */
  readonly hasFailed: () => boolean;
  /** Told why it cannot go on. */
  readonly onFailure: (error: unknown) => void;
  /** Told what nobody can handle any more; it goes on. */
  readonly onRemoved: (error: LogLostError) => void;
}

const PAUSE_WITHOUT_SERVER_MS = 200;

export class GroupLoop {
  readonly #group: ConsumerGroup;
  readonly #executor: Executor;
  readonly #options: GroupLoopOptions;
  readonly #stopping: AbortController = new AbortController();
  #member: GroupMember | undefined;
  #members = 0;
  #run: Promise<void> | undefined;

  constructor(group: ConsumerGroup, executor: Executor, options: GroupLoopOptions) {
    this.#group = group;
    this.#executor = executor;
    this.#options = options;
  }

  /** Whether it takes events at this moment. */
  get isWorking(): boolean {
    return this.#member !== undefined;
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  /** Lets what runs end, acknowledges it, and leaves the rest to others. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#member?.end('stopped');
    await this.#run;
  }

  async #loop(): Promise<void> {
    while (!this.#isOver()) {
      try {
        if (this.#options.hasFailed() || (await this.#group.open()) !== 'open') await this.#sleep();
        else await this.#work();
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  #isOver(): boolean {
    return this.#stopping.signal.aborted || this.#group.connection.closed.aborted;
  }

  async #recover(error: unknown): Promise<void> {
    // A group that is gone is looked for by the next turn.
    if (!isPassing(error) && !(error instanceof PortError && error.reply === 'NOGROUP')) {
      const { name, version } = this.#group.reactor;
      this.#options.onFailure(publicError(`run reactor ${name}@${version}`, error));
    }
    await this.#sleep();
  }

  async #work(): Promise<void> {
    this.#members += 1;
    const { claimMs, graceMs, throttle, owner, onAcknowledged, onDeadLetter, hasFailed } = this.#options;
    const consumer = `${owner}/${this.#members}`;
    const onRemoved = (entryIds: readonly string[]): void => this.#options.onRemoved(this.#removedError(entryIds));
    const member = new GroupMember(this.#group, this.#executor, {
      claimMs,
      graceMs,
      throttle,
      consumer,
      onAcknowledged,
      onDeadLetter,
      onRemoved,
      isHalted: hasFailed,
    });
    const onClosed = (): void => member.end('fenced');
    this.#group.connection.closed.addEventListener('abort', onClosed, { once: true });
    let end: MemberEnd = 'stopped';
    try {
      const working = member.run();
      this.#member = member;
      if (this.#isOver()) member.end('stopped'); // while it began
      end = await working;
    } finally {
      this.#group.connection.closed.removeEventListener('abort', onClosed);
      this.#member = undefined;
      await member.leave(end, reasonOf(end));
    }
  }

  async #sleep(): Promise<void> {
    await delay(PAUSE_WITHOUT_SERVER_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  #removedError(entryIds: readonly string[]): LogLostError {
    const { partition, reactor } = this.#group;
    return new LogLostError(
      `Events of partition ${partition} were removed from the log before reactor ${reactor.name}@${reactor.version} was done with them: ` +
        `${entryIds.slice(0, 10).join(', ')}${entryIds.length > 10 ? ` and ${entryIds.length - 10} more` : ''}. ` +
        'Somebody deleted or trimmed entries. The reactor goes on with the others; restore the log, if they are to be handled.',
    );
  }
}

function reasonOf(end: MemberEnd): Error {
  return new Error(
    end === 'stopped'
      ? 'The processor stops, or the reactor is paused.'
      : 'Others took over what this process had in hand, for it was silent too long, or the store is closed: what this handler comes to does not count.',
  );
}
