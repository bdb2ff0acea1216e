// A process that projects what it is told to: the figures of several processes start some.
import { EventStore, StreamProcessor } from 'millrace';
import { totals } from './project.ts';

/** What it is told; it answers each with a WorkerReply, one after the other. */
export type WorkerCommand =
  /** Projects a version, together with whoever else does, until that has caught up, and stops. */
  | { readonly run: 'project'; readonly at: WorkerStore; readonly version: number }
  /** Begins to, and goes on; answered when it has folded something, or, where there is nothing to fold yet, at once. */
  | { readonly run: 'begin'; readonly at: WorkerStore; readonly version: number; readonly isEmpty: boolean; readonly eventsPerSecond?: number }
  /** Answered when it has folded so many since it began. */
  | { readonly run: 'reach'; readonly events: number }
  | { readonly run: 'end' };

/** A server, or the nodes of a cluster. */
export interface WorkerStore {
  readonly urls: readonly string[];
  readonly isCluster: boolean;
  readonly namespace: string;
}

export interface WorkerReply {
  /** Folded since it began, by this process. */
  readonly events: number;
  /** What this process has used of the cores since it was started, in milliseconds. */
  readonly cpuMs: number;
  readonly error?: string;
}

const stores = new Map<string, Promise<EventStore>>();
let processor: StreamProcessor | undefined;
let events = 0;
let onProgress: (() => void) | undefined;

process.on('message', (command: WorkerCommand) => void answer(command));
process.on('disconnect', () => process.exit());
process.send?.('ready');

async function answer(command: WorkerCommand): Promise<void> {
  let error: string | undefined;
  try {
    await run(command);
  } catch (thrown) {
    error = String((thrown as Error).stack);
  }
  const { user, system } = process.cpuUsage();
  const reply: WorkerReply = { events, cpuMs: (user + system) / 1_000, ...(error !== undefined && { error }) };
  process.send?.(reply);
}

async function run(command: WorkerCommand): Promise<void> {
  if (command.run === 'project') await (await opened(command)).runUntilCaughtUp();
  if (command.run === 'begin') {
    (await opened(command)).start();
    if (!command.isEmpty) await reach(1);
  }
  if (command.run === 'reach') await reach(command.events);
  if (command.run === 'end') await processor?.stop();
}

type Opening = Extract<WorkerCommand, { at: WorkerStore }>;

async function opened({ at, version, ...rest }: Opening): Promise<StreamProcessor> {
  const rate = 'eventsPerSecond' in rest ? { eventsPerSecond: rest.eventsPerSecond } : {};
  processor = new StreamProcessor(await storeAt(at), { projections: [totals('totals', version)], deliverScheduled: false, ...rate });
  events = 0;
  processor.on('progress', (commit) => {
    events += commit.events;
    onProgress?.();
  });
  return processor;
}

function storeAt({ urls, isCluster, namespace }: WorkerStore): Promise<EventStore> {
  let store = stores.get(namespace);
  if (!store) {
    const options = { library: 'node-redis', namespace } as const;
    store = isCluster ? EventStore.connect({ nodes: urls, ...options }) : EventStore.connect(urls[0] as string, options);
    stores.set(namespace, store);
  }
  return store;
}

async function reach(count: number): Promise<void> {
  while (events < count) {
    await new Promise<void>((resolve) => {
      onProgress = resolve;
    });
  }
}
