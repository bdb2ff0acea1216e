// Makes the task of a reactor in one partition: one that keeps an order, or one whose events any worker of any process takes.
import type { LogLostError } from '../errors.ts';
import type { RecordedEvent } from '../event.ts';
import type { Executor } from '../execute.ts';
import type { Connection } from '../redis/connection.ts';
import { GroupLoop } from './group-loop.ts';
import { GroupTask } from './group-task.ts';
import type { Reactor } from './reactor.ts';
import { ReactorTask } from './reactor-task.ts';
import type { Throttle } from '../loop/throttle.ts';

export interface ReactorTasksOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly throttle: Throttle | undefined;
  readonly onCommit: (of: ReactorIn, events: number) => void;
  readonly onDeadLetter: (of: ReactorIn, event: RecordedEvent, error: unknown) => void;
  readonly onFailure: (of: ReactorIn, error: unknown) => void;
}

/** What listeners are told of whose event it is. */
export interface ReactorIn {
  readonly reactor: string;
  readonly version: number;
  readonly partition: number;
}

/** A reactor in one partition: its task, which the loop of a lease runs, and what runs in every process beside that, if anything. */
export interface ReactorRun {
  readonly task: ReactorTask | GroupTask;
  readonly worker: GroupLoop | undefined;
}

export function reactorRun(
  connection: Connection,
  executor: Executor,
  reactor: Reactor,
  partition: number,
  options: ReactorTasksOptions,
): ReactorRun {
  const { leaseMs, owner } = options;
  const of: ReactorIn = { reactor: reactor.name, version: reactor.version, partition };
  // Twice that passes at most before a processor has stopped, which must not take longer than `timeoutMs`, what is given back included.
  const times = { leaseMs, graceMs: Math.min(leaseMs / 2, connection.timeoutMs / 3) };
  const onDeadLetter = (event: RecordedEvent, error: unknown): void => options.onDeadLetter(of, event, error);
  if (reactor.order === 'stream') {
    const task = new ReactorTask(connection, executor, reactor, partition, {
      ...times,
      onCommit: (_, events) => options.onCommit(of, events),
      onDeadLetter: (_, event, error) => onDeadLetter(event, error),
    });
    return { task, worker: undefined };
  }
  const task = new GroupTask(connection, executor, reactor, partition, times);
  const worker = new GroupLoop(task.group, executor, {
    owner,
    onDeadLetter,
    claimMs: leaseMs,
    graceMs: times.graceMs,
    throttle: options.throttle,
    onAcknowledged: (events) => options.onCommit(of, events),
    hasFailed: () => task.failure !== undefined,
    onRemoved: (error: LogLostError) => options.onFailure(of, error),
    onFailure: (error) => {
      task.letGo();
      task.failure = error;
      options.onFailure(of, error);
    },
  });
  return { task, worker };
}

/** Whether this process takes events of it: holds the lease, or is one of the workers. */
export function isRunHere({ task, worker }: ReactorRun): boolean {
  return worker ? worker.isWorking : task.checkpoint !== undefined;
}
