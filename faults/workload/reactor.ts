// A process that runs the reactors, which write down when a handler begins with an event and when it is done with it.
import { setTimeout as delay } from 'node:timers/promises';
import { type Reactor, reactor, type RecordedEvent, type RetryOptions } from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import { answerOf, answers, type Counted, idOf, isAnswered, ledger, orders } from './model.ts';
import { afterwards } from './plants.ts';
import { billing } from './process.ts';
import { supervise } from './supervise.ts';

/** Until the faults are over, however long they last: nothing is given up here. */
const RETRY: RetryOptions = { attempts: 10_000, minDelayMs: 50, maxDelayMs: 500 };
const HANDLING_MS_MAX = 5;
/** So many attempts fail, of those whose number is divisible by this. */
const FAILING = 23;

/** What the reactors do beside keeping time: nothing, for who only wants to know how far they are. */
export type Handling = (reactor: string, event: RecordedEvent<Counted>, work: () => Promise<unknown>) => Promise<void>;

/** In the order of each key; in none; one that appends, once for each event; and a process manager. */
export function reactors(handling: Handling = async () => {}): readonly Reactor[] {
  return [
    reactor({
      name: 'ordered',
      categories: [orders, ledger],
      retry: RETRY,
      handle: (event, { attempt }) =>
        handling('ordered', event, async () => {
          if (attempt === 1 && event.data.n % FAILING === 0) throw new Error('fails the first time');
          await delay(event.data.n % HANDLING_MS_MAX);
        }),
    }),
    reactor({
      name: 'unordered',
      categories: [orders, ledger],
      order: 'none',
      retry: RETRY,
      handle: (event) => handling('unordered', event, () => delay(event.data.n % HANDLING_MS_MAX)),
    }),
    reactor({
      name: 'answering',
      categories: [orders],
      retry: RETRY,
      handle: (event, context) =>
        handling('answering', event, async () => {
          if (isAnswered(event)) await context.append(answers.stream(idOf(event.streamName)), answerOf(event));
        }),
    }),
    billing(RETRY),
  ];
}

/** For the checkers: which of them keep the order of a key, and of which categories. */
export const REACTORS = [
  { name: 'ordered', isOrdered: true, categories: [orders.name, ledger.name] },
  { name: 'unordered', isOrdered: false, categories: [orders.name, ledger.name] },
  { name: 'answering', isOrdered: true, categories: [orders.name] },
] as const;

export async function react(work: Work): Promise<void> {
  const { recorder, settings } = work;
  const handling: Handling = async (name, event, handle) => {
    const { streamName: stream, streamVersion: version, data } = event;
    const of = { reactor: name, stream, version, key: `${data.op}#${data.index}` };
    recorder.write({ t: 'handle', ...of, at: now() });
    const work = async (): Promise<void> => {
      await handle();
      recorder.write({ t: 'handled', ...of, at: now() });
    };
    if (settings.plant === 'acknowledge-first') afterwards(work);
    else await work();
  };
  await supervise(work, { reactors: reactors(handling) });
}
