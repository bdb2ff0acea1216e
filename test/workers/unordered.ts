// A process that runs a reactor without order until it is told to stop: the crash tests kill it, and pause it for longer than its claims last.
import { setTimeout as delay } from 'node:timers/promises';
import { type Category, category, type Event, type Reactor, reactor, StreamProcessor } from 'millrace';
import { openWorkerStore, type WorkerStore } from './connect.ts';

/** What it is told, as JSON in MILLRACE_UNORDERED. */
export interface UnorderedSettings extends WorkerStore {
  readonly leaseMs: number;
}

export type Job = Event<'Given' | 'Done', { readonly n: number }>;

export const jobs: Category<Job> = category<Job>('jobs');
export const answers: Category<Job> = category<Job>('answers');

/** Answers each job in a stream of its own, after a while; some as the first thing they do, and some cannot be done at all. */
export function work(handled: (n: number) => void = () => undefined): Reactor {
  return reactor({
    name: 'work',
    categories: [jobs],
    types: ['Given'],
    order: 'none',
    concurrency: 8,
    retry: { attempts: 2, minDelayMs: 1 },
    handle: async ({ data: { n } }, context) => {
      handled(n);
      if (n % 2) await delay(5);
      await context.append(answers.stream(String(n)), { type: 'Done', data: { n } });
      if (n % 100 === 7) throw new Error('cannot be done');
      if (n % 2 === 0) await delay(5);
    },
  });
}

const settings = process.env['MILLRACE_UNORDERED'];
if (settings !== undefined) await run(JSON.parse(settings) as UnorderedSettings);

async function run({ leaseMs, ...where }: UnorderedSettings): Promise<void> {
  const orphaned = (): never => process.exit(2); // nothing may outlive the test
  process.on('disconnect', orphaned);
  const store = await openWorkerStore(where);
  let calls = 0;
  const processor = new StreamProcessor(store, { reactors: [work(() => (calls += 1))], leaseMs });
  processor.on('failed', ({ error }) => {
    console.error(error);
    process.exit(1);
  });
  // It has to end by itself then: nothing that was opened may keep it alive.
  process.on('SIGTERM', () => {
    void processor.stop().then(async () => {
      await store.close();
      process.off('disconnect', orphaned);
      process.send?.({ calls }, () => process.disconnect());
    });
  });
  processor.start();
  process.send?.('started');
}
