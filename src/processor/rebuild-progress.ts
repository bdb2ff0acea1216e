// How far a projection or reactor is over all partitions, how fast it goes, and how long it will take: from one look to the next.
import { type Position, positionOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import type { Followed } from '../snapshot/reached.ts';
import { type Counts, readCounts } from './progress.ts';

/** How far something is, whoever runs it. */
interface HowFar {
  readonly eventsFolded: number;
  /** Events of its categories that there are. */
  readonly eventsTotal: number;
  readonly lagEvents: number;
  /** Of the events that there are: 0 to 100, and 100 where there is none. */
  readonly percent: number;
  /** Events folded a second, since an earlier look of the same ProcessorControl; undefined at the first look. */
  readonly eventsPerSecond: number | undefined;
  /** At the speed at which the lag shrank since then, in milliseconds; 0 once it is caught up, undefined where the lag does not shrink, or at the first look. */
  readonly timeLeftMs: number | undefined;
  /** Whether it is paused; also while it is rewound or dropped. In sum: whether it is in any partition. */
  readonly isPaused: boolean;
  /** A rewind or drop that is under way, or was broken off: the same call again finishes it. */
  readonly unfinished: 'rewind' | 'drop' | undefined;
}

/** How far a projection or reactor is in one partition. */
export interface PartitionProgress extends HowFar {
  readonly partition: number;
  /** The checkpoint; undefined at the beginning. */
  readonly position: Position | undefined;
}

/** How far a projection or reactor is, in sum and in each partition. */
export interface OverallProgress extends HowFar {
  readonly name: string;
  readonly version: number;
  readonly partitions: readonly PartitionProgress[];
}

interface Look {
  readonly at: number;
  readonly eventsFolded: number;
  readonly lagEvents: number;
}

/** Looks are compared over so long, in milliseconds: a shorter time says little, a longer one is of the past. */
const WINDOW_MS = 30_000;
const WINDOW_MS_MIN = 50;

/** Remembers looks at one projection or reactor, to tell how fast it goes. */
export class ProgressLooks {
  readonly #looks = new Map<number | 'sum', Look[]>();

  async look(connection: Connection, followed: Followed): Promise<OverallProgress> {
    const partitions = Array.from({ length: connection.keys.partitions }, (_, partition) => partition);
    const counts = await Promise.all(partitions.map((partition) => readCounts(connection, followed, partition)));
    const { name, version } = followed;
    return {
      name,
      version,
      ...this.#howFar('sum', sumOf(counts)),
      partitions: counts.map((count, partition) => ({
        partition,
        position: count.place < 0 ? undefined : positionOf(partition, count.place),
        ...this.#howFar(partition, count),
      })),
    };
  }

  #howFar(of: number | 'sum', { eventsFolded, lagEvents, isPaused, unfinished }: Omit<Counts, 'place'>): HowFar {
    const eventsTotal = eventsFolded + lagEvents;
    const percent = eventsTotal === 0 ? 100 : (100 * eventsFolded) / eventsTotal;
    const speed = this.#speedOf(of, { at: performance.now(), eventsFolded, lagEvents });
    return { eventsFolded, eventsTotal, lagEvents, percent, ...speed, isPaused, unfinished };
  }

  #speedOf(of: number | 'sum', look: Look): Pick<HowFar, 'eventsPerSecond' | 'timeLeftMs'> {
    // What was rewound has no past.
    const earlier = (this.#looks.get(of) ?? []).filter(({ at, eventsFolded }) => look.at - at <= WINDOW_MS && eventsFolded <= look.eventsFolded);
    this.#looks.set(of, [...earlier, look]);
    const first = earlier.find(({ at }) => look.at - at >= WINDOW_MS_MIN);
    if (!first) return { eventsPerSecond: undefined, timeLeftMs: look.lagEvents === 0 ? 0 : undefined };
    const elapsedMs = look.at - first.at;
    const shrunk = first.lagEvents - look.lagEvents;
    const timeLeftMs = shrunk > 0 ? (look.lagEvents * elapsedMs) / shrunk : undefined;
    return {
      eventsPerSecond: ((look.eventsFolded - first.eventsFolded) * 1_000) / elapsedMs,
      timeLeftMs: look.lagEvents === 0 ? 0 : timeLeftMs,
    };
  }
}

function sumOf(counts: readonly Counts[]): Omit<Counts, 'place'> {
  return {
    eventsFolded: counts.reduce((sum, { eventsFolded }) => sum + eventsFolded, 0),
    lagEvents: counts.reduce((sum, { lagEvents }) => sum + lagEvents, 0),
    isPaused: counts.some(({ isPaused }) => isPaused),
    unfinished: counts.find(({ unfinished }) => unfinished !== undefined)?.unfinished,
  };
}
