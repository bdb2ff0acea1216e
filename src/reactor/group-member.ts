// One worker of a reactor that keeps no order: reads what is new for it, hands it to handlers, acknowledges it, until it ends or is fenced off.
import { setTimeout as delay } from 'node:timers/promises';
import type { RecordedEvent } from '../event.ts';
import type { Executor } from '../execute.ts';
import { decodeEntry, type LogEvent } from '../log/entry.ts';
import { FIRST_PAGE_COUNT, nextPageCount } from '../log/page.ts';
import { admitWorker, joinGroup, leaveGroup, type Worker } from '../redis/group-scripts.ts';
import { workerField } from '../redis/keys.ts';
import { PortError } from '../redis/port.ts';
import { isPassing } from '../redis/public-error.ts';
import type { RawEntry } from '../redis/scripts.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import { type Ended, type Entry, GroupAcks } from './group-acks.ts';
import { GroupClaims, LEFT_IDLE_MS } from './group-claims.ts';
import { GroupReader } from './group-reader.ts';
import { HandlerPool, type Outcome } from './handler-pool.ts';
import { encodeLetter, letterOf } from './letter.ts';
import { type Handling, Reactions } from './reaction-context.ts';
import type { Throttle } from '../loop/throttle.ts';
import { Window } from './window.ts';

export interface MemberOptions {
  /** Never used before. */
  readonly consumer: string;
  /** How long a worker may be silent before others take what it has in hand. */
  readonly claimMs: number;
  /** How long handlers have to end when it stops, in milliseconds, before their signal is aborted. */
  readonly graceMs: number;
  readonly onAcknowledged: (events: number) => void;
  readonly onDeadLetter: (event: RecordedEvent, error: unknown) => void;
  /** Told the entry ids of events that were delivered and are no longer in the log. */
  readonly onRemoved: (entryIds: readonly string[]) => void;
  readonly throttle: Throttle | undefined;
  /** Whether it is to end: somebody paused the reactor, or it stands still here. */
  readonly isHalted: () => boolean;
}

/** Why a worker ended: it was told to, or what it has in hand does not count any more. */
export type MemberEnd = 'stopped' | 'fenced';

/** How often claims are kept and looked for: at least so often, whatever the claim time is. */
const LOOK_MS_MAX = 1_000;

/** Events that may wait to be acknowledged while more are read. */
const UNACKNOWLEDGED_MAX = 5_000;

export class GroupMember {
  readonly #group: ConsumerGroup;
  readonly #worker: Worker;
  readonly #options: MemberOptions;
  readonly #reactions: Reactions;
  readonly #pool: HandlerPool;
  readonly #acks: GroupAcks;
  readonly #claims: GroupClaims;
  readonly #reader: GroupReader;
  readonly #window: Window;
  readonly #inHand = new Map<number, Entry>();
  /** What was found to be delivered, though no reply told so: that one may come yet. */
  readonly #found = new Set<number>();
  /** Events that are handled while it is not known what became of an append of theirs, and since when. */
  readonly #unsettled = new Map<number, number>();
  /** The number of each claim that is not the worker's own. */
  readonly #numbers = new Map<number, number>();
  #number = 0;
  #count = FIRST_PAGE_COUNT;
  #isOver = false;
  #onOver: ((end: MemberEnd | Error) => void) | undefined;
  #onRoom: (() => void) | undefined;
  readonly #left = new AbortController();
  #tending: Promise<void> | undefined;

  constructor(group: ConsumerGroup, executor: Executor, options: MemberOptions) {
    const { connection, partition, reactor } = group;
    this.#group = group;
    this.#options = options;
    this.#worker = { consumer: options.consumer, field: workerField(options.consumer) };
    this.#reactions = new Reactions(connection, executor, reactor, partition);
    const onFenced = (): void => this.end('fenced');
    this.#pool = new HandlerPool(reactor, { handle: (handling) => this.#handle(handling) }, { epoch: '', onFenced });
    this.#acks = new GroupAcks(group, this.#worker, {
      onAcknowledged: (ended, count) => this.#acknowledged(ended, count),
      onFenced,
      onBroken: (error) => this.#break(error),
    });
    this.#claims = new GroupClaims(group, this.#worker, options.claimMs);
    this.#reader = new GroupReader(connection.port, group.keys, options.consumer);
    this.#window = new Window(reactor.concurrency);
  }

  /** Works until it is ended. Throws what it has to stand still for. */
  async run(): Promise<MemberEnd> {
    const over = new Promise<MemberEnd | Error>((resolve) => {
      this.#onOver = resolve;
    });
    await this.#join();
    this.#tending = this.#tend();
    void this.#read();
    const end = await over;
    if (end instanceof Error) throw end;
    return end;
  }

  end(end: MemberEnd | Error): void {
    this.#isOver = true;
    this.#onOver?.(end);
    this.#onRoom?.();
  }

  /**
   * Ends what is under way, acknowledges what is done, and leaves the rest for others to claim at once. Where Redis does not answer, they
   * claim it when the claim time is over.
   */
  async leave(end: MemberEnd, reason: Error): Promise<void> {
    this.#isOver = true;
    await this.#reader.close();
    if (end === 'stopped') {
      await this.#pool.drain(this.#options.graceMs, reason);
      await Promise.resolve(); // what the last handlers came to is noted first
      await this.#acks.settle();
    }
    this.#left.abort();
    this.#acks.end();
    this.#pool.cancel(reason);
    await this.#tending;
    await this.#goAway().catch(() => undefined);
  }

  async #join(): Promise<void> {
    const { connection, keys } = this.#group;
    this.#number = await joinGroup(connection.port, keys, this.#worker);
    await Promise.all(this.#group.reactionsKeys().map((key) => admitWorker(connection.port, key, this.#worker)));
  }

  async #goAway(): Promise<void> {
    const { connection, keys } = this.#group;
    await this.#group.fence(this.#worker.field);
    if ((await leaveGroup(connection.port, keys, this.#worker, LEFT_IDLE_MS)) === 0) await this.#group.forget([this.#worker.field]);
  }

  /** A group that is gone is looked for by whoever begins anew. */
  #break(error: unknown): void {
    if (error instanceof PortError && error.reply === 'NOGROUP') return this.end('fenced');
    this.end(error instanceof Error ? error : new Error(String(error)));
  }

  async #read(): Promise<void> {
    const { logs } = this.#group.keys;
    try {
      while (!this.#isOver) {
        await this.#room();
        if (this.#isOver) return;
        const count = Math.max(1, Math.min(this.#count, this.#free(), this.#options.throttle?.pageMax ?? this.#count));
        const entries = await this.#reader.read(Math.ceil(count / logs.length));
        if (this.#isOver) return;
        this.#take(logs.map((log) => entries.get(log) ?? []));
        this.#found.clear();
      }
    } catch (error) {
      this.#break(error);
    }
  }

  /** How many more it can take. What is done, and only waits to be acknowledged, takes no room, up to a bound. */
  #free(): number {
    const { size } = this.#window;
    return Math.min(size - this.#pool.inHand, size + UNACKNOWLEDGED_MAX - this.#inHand.size);
  }

  /** Not for one event alone: half of the window is read at a time. */
  #hasRoom(): boolean {
    return this.#free() >= this.#window.size / 2;
  }

  async #room(): Promise<void> {
    await this.#throttled();
    while (!this.#isOver && !this.#hasRoom()) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
      this.#onRoom = undefined;
    }
  }

  async #throttled(): Promise<void> {
    let waitMs = this.#options.throttle?.waitMs() ?? 0;
    while (waitMs > 0 && !this.#isOver) {
      await delay(Math.min(waitMs, LOOK_MS_MAX), undefined, { signal: this.#left.signal }).catch(() => undefined);
      waitMs = this.#options.throttle?.waitMs() ?? 0;
    }
  }

  #take(entries: readonly (readonly RawEntry[])[], number?: number): void {
    const events: LogEvent[] = [];
    let size = 0;
    for (const [log, ofLog] of entries.entries()) {
      for (const entry of ofLog) {
        const logEvent = this.#decode(log, entry);
        if (this.#inHand.has(logEvent.place) || this.#found.has(logEvent.place)) continue;
        events.push(logEvent);
        size += entry[1][7]?.length ?? 0;
        if (number !== undefined) this.#numbers.set(logEvent.place, number);
        this.#admit(logEvent, { log, entryId: entry[0], place: logEvent.place });
      }
    }
    this.#options.throttle?.spend(events.length);
    this.#count = nextPageCount(this.#count, { events, size, through: 0, isEnd: false });
  }

  #decode(log: number, entry: RawEntry): LogEvent {
    const { connection, partition, reactor } = this.#group;
    return decodeEntry(connection, { partition, category: reactor.categories[log] ?? '' }, entry);
  }

  #admit(logEvent: LogEvent, entry: Entry): void {
    const { types } = this.#group.reactor;
    this.#inHand.set(entry.place, entry);
    if (types && !types.has(logEvent.event.type)) return this.#acks.add({ entry });
    this.#pool.add(logEvent, String(entry.place), (outcome) => this.#ended(logEvent, entry, outcome));
  }

  #handle(handling: Handling): Promise<unknown> | void {
    const epoch = this.#numbers.get(handling.logEvent.place) ?? this.#number;
    return this.#reactions.handleBehind({ field: this.#worker.field, expected: '1', epoch }, handling);
  }

  /**
   * What a handler appended may be on its way still, or lie in some socket: it is made once as long as its result is there, or this worker is
   * fenced off. So an event is not acknowledged before that is settled.
   */
  #ended(logEvent: LogEvent, entry: Entry, outcome: Outcome): void {
    const { place } = entry;
    const isOpen = this.#reactions.isUnsettled(place, () => {
      this.#unsettled.delete(place);
      this.#close(logEvent, entry, outcome);
    });
    if (isOpen) this.#unsettled.set(place, performance.now());
    else this.#close(logEvent, entry, outcome);
  }

  #close({ category, event }: LogEvent, entry: Entry, outcome: Outcome): void {
    if (this.#onRoom && this.#hasRoom()) this.#onRoom();
    if (outcome.kind === 'done') return this.#acks.add({ entry, leftovers: outcome.leftovers });
    if (outcome.kind === 'behind') return; // cannot be: each event is alone with its key
    const tell = (): void => this.#options.onDeadLetter(event, outcome.error);
    this.#acks.add({ entry, letter: encodeLetter(letterOf(category, '', outcome)), tell });
  }

  #acknowledged(ended: readonly Ended[], count: number): void {
    for (const { entry, leftovers, tell } of ended) {
      this.#inHand.delete(entry.place);
      this.#numbers.delete(entry.place);
      tell?.();
      // What stays is swept when the next process looks after the partition.
      if (leftovers && leftovers.appended.size > 0) this.#reactions.drop(leftovers).catch(() => undefined);
    }
    this.#window.finished(ended.length);
    this.#options.onAcknowledged(count);
    this.#onRoom?.();
  }

  /** Until the very end: what handlers are at while it stops is theirs, too. */
  async #tend(): Promise<void> {
    const intervalMs = Math.min(this.#options.claimMs / 4, LOOK_MS_MAX);
    while (!this.#left.signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        if (!isPassing(error)) this.#break(error);
      }
      await delay(intervalMs, undefined, { signal: this.#left.signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const found = await this.#claims.keep(this.#inHand.values(), !this.#isOver);
    if (!found) return this.end('fenced');
    if (this.#isOver) return;
    if (this.#isInDoubt()) return this.end('fenced');
    this.#takeFound(found);
    if (this.#options.isHalted() || (await this.#group.open()) !== 'open') return this.end('stopped');
    const most = this.#free();
    if (most <= 0) return;
    const claimed = await this.#claims.claim(most);
    if (claimed === 'fenced') return this.end('fenced');
    if (!claimed || this.#isOver) return;
    if (claimed.lost.length > 0) this.#options.onRemoved(claimed.lost);
    this.#take(claimed.entries, claimed.number);
  }

  /** What nobody will ever tell: under another name the event is handled again, and the append is found, or made. */
  #isInDoubt(): boolean {
    const since = Math.min(...this.#unsettled.values());
    return performance.now() - since > this.#options.claimMs;
  }

  #takeFound(found: readonly (readonly RawEntry[])[]): void {
    this.#take(found);
    for (const [log, entries] of found.entries()) for (const entry of entries) this.#found.add(this.#decode(log, entry).place);
  }
}
