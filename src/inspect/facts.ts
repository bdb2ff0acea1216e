// What can be known of a store by looking: plain values, as `inspect` reads them.
import type { AnyEvent, RecordedEvent, StreamName } from '../event.ts';
import type { Position } from '../position.ts';
import type { RegisteredFacts } from '../processor/registered.ts';
import type { FailureFacts } from '../processor/registry.ts';

/** One server of the store: the only one, or a primary of a cluster. Numbers are those of Redis; undefined where it does not tell. */
export interface ServerFacts {
  /** 'redis' or 'valkey'. */
  readonly engine: string;
  readonly version: string;
  /** Changes with each start of the server. */
  readonly runId: string;
  /** Where it listens, as it says itself. */
  readonly port: number | undefined;
  readonly role: 'primary' | 'replica';
  readonly uptimeMs: number;
  readonly memoryUsedBytes: number;
  /** Undefined where there is no limit but the machine's. */
  readonly memoryLimitBytes: number | undefined;
  /** Of the machine, where the server tells it. */
  readonly memoryOfMachineBytes: number | undefined;
  readonly maxmemoryPolicy: string | undefined;
  readonly clients: number | undefined;
  readonly commandsPerSecond: number | undefined;
  readonly replicas: number;
  /** Whether an append-only file is written. */
  readonly isAppendOnly: boolean;
  /** What the server says is wrong with its persistence or its state, in words; none where nothing is. */
  readonly troubles: readonly string[];
}

/** What the store is, and how much is in it. */
export interface StoreFacts {
  readonly namespace: string;
  readonly storeId: string;
  readonly partitions: number;
  /** Events in the logs. */
  readonly events: number;
  /** For each partition: the last position issued, and how many events are in it. */
  readonly heads: readonly PartitionFacts[];
  readonly scheduled: number;
}

export interface PartitionFacts {
  readonly partition: number;
  readonly events: number;
  readonly position: Position | undefined;
}

/** A category, and how much is in it. */
export interface CategoryFacts {
  readonly category: string;
  readonly events: number;
  /** Memory of its logs, roughly, as Redis samples it; undefined unless asked for. */
  readonly bytes: number | undefined;
  readonly first: RecordedEvent | undefined;
  readonly last: RecordedEvent | undefined;
}

/** A stream, and how much is in it. */
export interface StreamFacts {
  readonly streamName: StreamName;
  readonly events: number;
  readonly partition: number;
  readonly last: RecordedEvent | undefined;
}

/** What stopped a processor last, and whether it still does. */
export interface LastFailureFacts extends FailureFacts {
  /** Whether it still stands where that happened, and nobody runs it there. */
  readonly isCurrent: boolean;
}

/** How far one is in one partition. */
export interface ProcessorPartitionFacts {
  readonly partition: number;
  /** Who holds the lease: `host/process id/id of the processor`; undefined where nobody does. */
  readonly owner: string | undefined;
  /** Until when the lease runs by the server's clock. */
  readonly leasedUntil: Date | undefined;
  readonly position: Position | undefined;
  readonly eventsDone: number;
  readonly lagEvents: number;
  /** How long ago the first of them was recorded, in milliseconds; 0 when there is none. By this machine's clock. */
  readonly lagMs: number;
  readonly isPaused: boolean;
  readonly deadLetters: number;
  readonly eventsWaiting: number;
}

/** A processor's work: what is registered, how far it is, and how it goes. */
export interface ProcessorFacts extends RegisteredFacts {
  readonly eventsDone: number;
  readonly eventsTotal: number;
  readonly lagEvents: number;
  readonly lagMs: number;
  /** 0 to 100. */
  readonly percent: number;
  /** Since an earlier look by the same Inspector; undefined at the first. */
  readonly eventsPerSecond: number | undefined;
  readonly timeLeftMs: number | undefined;
  readonly isPaused: boolean;
  readonly unfinished: 'rewind' | 'drop' | undefined;
  /** Of a projection: whether readers that follow it get this version. */
  readonly isServing: boolean;
  /** Of a projection: whether it has folded everything once. */
  readonly isBuilt: boolean;
  readonly deadLetters: number;
  readonly eventsWaiting: number;
  /** In how many partitions somebody holds the lease. */
  readonly partitionsRun: number;
  readonly owners: readonly string[];
  /** Of a source the same as at any time: it tells no place. */
  readonly lastFailure: LastFailureFacts | undefined;
  readonly partitions: readonly ProcessorPartitionFacts[];
}

/** An event, with what led to it and what came of it. */
export interface EventFacts {
  readonly event: RecordedEvent;
  /** The event that caused it; undefined where its metadata name none, or that is not found. */
  readonly cause: RecordedEvent | undefined;
  /** What `causationId` says, where the cause is no event that was found. */
  readonly causationId: string | undefined;
  /** Those that name it as their cause, in the order of positions. */
  readonly effects: readonly RecordedEvent[];
  /** Whether all events behind it were looked at for effects; else only the next ones, up to the bound. */
  readonly isSearchComplete: boolean;
}

/** A stored document. */
export interface DocumentFacts {
  readonly key: string;
  readonly partition: number;
  readonly state: unknown;
  /** The last event that it holds; undefined where that is not kept. */
  readonly position: Position | undefined;
}

/** A document after one of its events. */
export interface DocumentStep<State = unknown> {
  /** Of all its events, from 1. */
  readonly step: number;
  readonly event: RecordedEvent<AnyEvent>;
  /** Undefined where the event removed it. */
  readonly state: State | undefined;
}

/** Whether what this process depends on answers, for a readiness probe. */
export interface HealthFacts {
  readonly isHealthy: boolean;
  /** How long the server took to answer, in milliseconds; undefined where it did not. */
  readonly pingMs: number | undefined;
  /** What is not as it should be, in words. */
  readonly reasons: readonly string[];
}
