// The process manager that the crash tests check: what it appends tells its state, so that a step that is lost, doubled or out of order shows.
import { type Category, category, type Decider, type Event, type ProcessManager, processManager } from 'millrace';

export type Ordered = Event<'Ordered', { readonly n: number }>;
export type Paid = Event<'Paid', { readonly n: number }>;
export type Done = Event<'Done', { readonly by: string; readonly count: number; readonly hash: number }>;
export type Noted = Event<'Noted', { readonly by: string; readonly index: number }> | Event<'Disturbed', Record<string, never>>;
export type Reminded = Event<'Reminded', { readonly by: string }>;

export const orders: Category<Ordered> = category<Ordered>('orders');
export const payments: Category<Paid> = category<Paid>('payments');
export const outcomes: Category<Done> = category<Done>('outcomes');
export const ledgers: Category<Noted> = category<Noted>('ledgers');
export const reminders: Category<Reminded> = category<Reminded>('reminders');

/** Decides on how many events its stream holds: what others append meanwhile is seen, or the index is not the version. */
export const ledger: Decider<Noted, { readonly by: string; readonly isNothing?: boolean }, number> = ledgers.decider({
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: ({ by, isNothing }: { readonly by: string; readonly isNothing?: boolean }, count): readonly Noted[] =>
    isNothing ? [] : [{ type: 'Noted', data: { by, index: count + 1 } }],
});

export interface Saga {
  readonly count: number;
  readonly hash: number;
}

export const NO_SAGA: Saga = { count: 0, hash: 0 };

/** Ends with the fifth event: the next one of its key begins it again. */
const LENGTH = 5;

export function evolved({ count, hash }: Saga, n: number): Saga {
  return { count: count + 1, hash: (hash * 31 + n + 1) % 1_000_000_007 };
}

export function hasEnded({ count }: Saga): boolean {
  return count === LENGTH;
}

export const isPoison = (n: number): boolean => n % 97 === 13;
export const isCommanded = (n: number): boolean => n % 3 === 0;
export const isReminded = (n: number): boolean => n % 4 === 0;
const isCommandedInVain = (n: number): boolean => n % 6 === 1;
const FAR_MS = 3_600_000;

export const SAGA = 'saga';

/** `isMended`: it can handle what it cannot before. */
export function saga(isMended: boolean): ProcessManager {
  return processManager({
    name: SAGA,
    categories: [orders, payments],
    retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 10 },
    initialState: () => NO_SAGA,
    evolve: (state, { data: { n } }) => {
      const after = evolved(state, n);
      return hasEnded(after) ? null : after;
    },
    react: ({ id: by, streamName, data: { n } }, { count, hash }, to) => {
      if (isPoison(n) && !isMended) throw new Error('cannot be handled');
      const id = streamName.slice(streamName.indexOf(':') + 1);
      return [
        to.append(outcomes.stream(id), { type: 'Done', data: { by, count, hash } }),
        ...(isCommanded(n) ? [to.execute(ledger, id, { by })] : []),
        ...(isCommandedInVain(n) ? [to.execute(ledger, id, { by, isNothing: true })] : []),
        ...(isReminded(n) ? [to.schedule(reminders.stream(id), { type: 'Reminded', data: { by } }, { deliverAt: dueAt(n) })] : []),
      ];
    },
  });
}

/** Some at once, some never in a test. */
function dueAt(n: number): number {
  return Date.now() + (n % 8 === 0 ? 0 : FAR_MS);
}
