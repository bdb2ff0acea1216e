// A process that makes dead letters, works them off once its reactor is mended, or asks for all to be retried: the crash tests kill it.
import { type Category, category, type Event, ProcessorControl, type Reactor, reactor, StreamProcessor } from 'millrace';
import { openWorkerStore } from './connect.ts';

/** What it is told, as JSON in MILLRACE_WORKER. */
export interface LettersSettings {
  readonly url: string;
  readonly namespace: string;
  readonly library: 'node-redis' | 'ioredis';
  readonly task: 'react' | 'retry';
  /** Whether the reactor can handle what it could not before. */
  readonly isMended?: boolean;
  /** Kills itself when so many were asked for. */
  readonly diesAfter?: number;
}

type Noted = Event<'Noted', { readonly n: number; readonly text: string }>;

export const asked: Category<Noted> = category<Noted>('asked');
export const answered: Category<Noted> = category<Noted>('answered');

/** Answers each event by its context: once, in order. It cannot take the first of each stream until it is mended. */
export function answers(isMended: boolean): Reactor {
  return reactor({
    name: 'answers',
    categories: [asked],
    retry: { attempts: 1 },
    handle: async ({ streamName, data }, context) => {
      if (!isMended && data.n === 1) throw new Error(`cannot take this: ${data.text}`);
      await context.append(answered.stream(streamName.slice('asked:'.length)), { type: 'Noted', data: { n: data.n, text: '' } });
    },
  });
}

const settings = process.env['MILLRACE_LETTERS'];
if (settings !== undefined) await work(JSON.parse(settings) as LettersSettings);

async function work({ task, isMended = false, diesAfter, ...where }: LettersSettings): Promise<void> {
  process.on('disconnect', () => process.exit(2)); // nothing may outlive the test
  const store = await openWorkerStore(where);
  if (task === 'retry') {
    const letters = new ProcessorControl(store).deadLetters({ name: 'answers' });
    let count = 0;
    const isToDie = (): boolean => {
      count += 1;
      if (count === diesAfter) process.kill(process.pid, 'SIGKILL');
      return true;
    };
    process.send?.({ asked: await letters.retryAll(diesAfter === undefined ? {} : { where: isToDie }) });
    await store.close();
    process.exit(0);
  }
  const processor = new StreamProcessor(store, { reactors: [answers(isMended)], leaseMs: 500 });
  processor.on('failed', ({ error }) => {
    console.error(error);
    process.exit(1);
  });
  process.on('SIGTERM', () => void processor.stop().then(() => process.exit(0)));
  processor.start();
  process.send?.('started');
}
