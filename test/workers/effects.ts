// The reactor that the crash tests check: it notes outside of the store what it is done with, appends, and commands.
import { setTimeout as delay } from 'node:timers/promises';
import { type Category, category, type Decider, type Event, type Reactor, type ReactionContext, reactor, type RecordedEvent } from 'millrace';

export type Asked = Event<'Asked', { readonly n: number }>;
export type Answered = Event<'Answered', { readonly n: number; readonly by: string }>;

export const questions: Category<Asked> = category<Asked>('questions');
export const answers: Category<Answered> = category<Answered>('answers');
export const ledgers: Category<Answered> = category<Answered>('ledgers');

/** Which command it was is the state: it is decided on, and each comes once. */
export const ledger: Decider<Answered, { readonly n: number; readonly by: string }, number> = ledgers.decider({
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: (data: { readonly n: number; readonly by: string }) => [{ type: 'Answered', data }],
});

/** A handler's effect that is no event: the line that it adds to a list. */
export interface Effect {
  readonly stream: string;
  readonly version: number;
  readonly epoch: number;
  readonly key: string;
}

export const EFFECTS_REACTOR = 'effects';

/** In a stream of its own partition, by its id, and in one of another partition. */
export function targetOf(n: number): string {
  return `target-${n % 5}`;
}

export function isPoison(n: number): boolean {
  return n % 300 === 7;
}

function idOf({ streamName }: Pick<RecordedEvent, 'streamName'>): string {
  return streamName.slice(streamName.indexOf(':') + 1);
}

/** `isMended`: it can handle what it cannot before. */
export function effects(record: (effect: Effect) => Promise<unknown>, isMended: boolean): Reactor {
  return reactor({
    name: EFFECTS_REACTOR,
    categories: [questions],
    retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 10 },
    handle: async (event, context) => {
      const { n } = event.data;
      if (n % 3 === 0) await delay(n % 10);
      await react(event, context);
      if (n % 23 === 0 && context.attempt === 1) throw new Error('fails the first time');
      if (isPoison(n) && !isMended) throw new Error('cannot be handled');
      await record({ stream: event.streamName, version: event.streamVersion, epoch: context.epoch, key: context.idempotencyKey });
    },
  });
}

/** Side by side: the calls are told apart by their order, and come from two partitions. */
async function react(event: RecordedEvent<Asked>, context: ReactionContext): Promise<void> {
  const { n } = event.data;
  const data = { n, by: event.id };
  await Promise.all([
    context.append(answers.stream(targetOf(n)), { type: 'Answered', data }),
    context.append(answers.stream(idOf(event)), { type: 'Answered', data }),
  ]);
  if (n % 4 === 0) await context.execute(ledger, targetOf(n + 1), data);
}
