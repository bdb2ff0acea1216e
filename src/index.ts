// The table of contents: everything public, in the order in which a newcomer meets it.
export { EventStore, type ScheduledAppends, type StreamAppends } from './event-store.ts';
export { type AnyEvent, type Event, type EventMetadata, type RecordedEvent, type StreamName, streamName } from './event.ts';
export { type AnyCategory, type Category, category, type EventOf } from './fold/category.ts';
export type { Decider, DeciderDefinition, DeciderSnapshot } from './fold/decider.ts';
export {
  type AnyProjection,
  type Consistency,
  type DocumentKeys,
  type Projection,
  type ProjectionDefinition,
  projection,
} from './fold/projection.ts';
export { type Serving, type StateOf, serving } from './fold/serving.ts';
export { type Imported, type Source, type SourceDefinition, type SourceEntry, source } from './fold/source.ts';
export {
  type AppendAllOptions,
  type AppendAllResult,
  type AppendOptions,
  type AppendResult,
  type ExpectedVersion,
  type Guard,
} from './log/append.ts';
export type { ScheduledAppend } from './log/prepare-schedule.ts';
export type { ReadScheduledOptions, ScheduledEvents, ScheduleOptions, ScheduleResult } from './log/schedule.ts';
export { appendLimits } from './log/encode-event.ts';
export type { ExecuteOptions, ExecuteResult } from './execute.ts';
export type { ReadFrom, ReadOptions, ReadStreamOptions, SubscribeOptions } from './log/read.ts';
export type { EventReader } from './log/reader.ts';
export { comparePositions, type Position, parsePosition } from './position.ts';
export { type Cursor, joinTokens, type Token } from './token.ts';
export { type Codec, jsonCodec } from './codec.ts';
export type { ClientOptions, ClusterOptions, SentinelOptions, StoreOptions } from './redis/open.ts';
export type { AppendedTrace, FoldTrace, Logger, ReactTrace, ReadTrace, Telemetry } from './telemetry.ts';
export type { Durability } from './redis/durability.ts';
export type { RedisClient } from './redis/client.ts';
export {
  ConnectionFailedError,
  CorruptDocumentError,
  CorruptEntryError,
  IdempotencyKeyReusedError,
  InvalidInputError,
  isMillraceError,
  LogLostError,
  MillraceError,
  OutcomeUnknownError,
  PartitionMismatchError,
  ServerRefusedError,
  StoreClosedError,
  StoreMismatchError,
  UnconfirmedError,
  type UnconfirmedResult,
  UnsuitableServerError,
  VersionConflictError,
} from './errors.ts';
export {
  CorruptScheduleError,
  DeliveryFailedError,
  DocumentTooLargeError,
  InUseError,
  NotCaughtUpError,
  PausedError,
  ProcessConflictError,
  ProjectionChangedError,
  ProjectionFailedError,
  ReactionFencedError,
  ReactionTimeoutError,
  ReactorFailedError,
  SourceFailedError,
  UnknownVersionError,
} from './processing-errors.ts';
export { type GetOptions, SnapshotStore } from './snapshot/snapshot-store.ts';
export { type ProcessorProgress, StreamProcessor } from './processor/stream-processor.ts';
export type { StreamProcessorOptions } from './processor/processor-options.ts';
export type { ProcessorEvents } from './processor/processor-events.ts';
export type { ProjectionProgress, SourceProgress } from './processor/progress.ts';
export {
  type ReactedEvent,
  type ReactionAppendOptions,
  type ReactionContext,
  type ReactionExecuteOptions,
  type ReactionScheduleOptions,
  type Reactor,
  type ReactorDefinition,
  type RetryOptions,
  reactor,
  type StartFrom,
} from './reactor/reactor.ts';
export { type Effect, type Effects, type ProcessManager, type ProcessManagerDefinition, processManager } from './reactor/process-manager.ts';
export type { ReactorProgress } from './processor/reactor-progress.ts';
export { ProcessorControl, type RewindOptions } from './processor/processor-control.ts';
export type { DeadLetters, LettersWhere, ListLettersOptions, ReactorName, RetryLetterOptions } from './reactor/dead-letters.ts';
export type { DeadLetter } from './reactor/letter-pages.ts';
export type { EditedEvent, LetterError } from './reactor/letter.ts';
export type { OverallProgress, PartitionProgress } from './processor/rebuild-progress.ts';
export type { CompareOptions, ComparedDocument, DocumentDifference } from './processor/compare.ts';
export type { ServeOptions } from './processor/flip.ts';
export type { ProcessorTarget, RegisteredFacts } from './processor/registered.ts';
export type { FailureFacts } from './processor/registry.ts';
export { Inspector, inspect } from './inspect/inspector.ts';
export type {
  CategoryFacts,
  DocumentFacts,
  DocumentStep,
  EventFacts,
  HealthFacts,
  LastFailureFacts,
  PartitionFacts,
  ProcessorFacts,
  ProcessorPartitionFacts,
  ServerFacts,
  StoreFacts,
  StreamFacts,
} from './inspect/facts.ts';
export type { DocumentKeysOptions, HistoryOptions } from './inspect/document-facts.ts';
export type { EventPlace, SearchOptions } from './inspect/event-facts.ts';
export type { HealthOptions } from './inspect/health.ts';
export type { CategoriesOptions, StreamsOptions } from './inspect/store-facts.ts';
export { projectionLimits } from './snapshot/document.ts';
export { reactorLimits } from './reactor/reactor-task.ts';
