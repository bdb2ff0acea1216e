// A process manager: bills every third order of an id at once, and has a reminder scheduled at every fourth, all of it with its own state.
import { type ProcessManager, processManager, type RetryOptions } from 'millrace';
import { bills, type Counted, idOf, orders, reminders } from './model.ts';

/** How many orders of an id there were. */
interface Account {
  readonly orders: number;
}

const BILLED = 3;
const REMINDED = 4;

/** In the past: it is due at once, whatever the server's clock says. */
const AT_ONCE = new Date('2025-06-01');

/** What a process manager has done by a number of orders. */
export function billOf(id: string, count: number): Counted {
  return { type: 'Counted', data: { op: `bill ${count} of ${id}`, index: 0, of: 1, n: count } };
}

export function reminderOf(id: string, count: number): Counted {
  return { type: 'Counted', data: { op: `reminder ${count} of ${id}`, index: 0, of: 1, n: count } };
}

/** The operations that a stream with so many orders has led to, in their order. */
export function billsOf(id: string, count: number): string[] {
  return multiplesOf(BILLED, count).map((each) => billOf(id, each).data.op);
}

export function remindersOf(id: string, count: number): string[] {
  return multiplesOf(REMINDED, count).map((each) => reminderOf(id, each).data.op);
}

function multiplesOf(step: number, most: number): number[] {
  return Array.from({ length: Math.floor(most / step) }, (_, index) => (index + 1) * step);
}

export function billing(retry: RetryOptions): ProcessManager {
  return processManager({
    name: 'billing',
    categories: [orders],
    retry,
    initialState: (): Account => ({ orders: 0 }),
    evolve: (account) => ({ orders: account.orders + 1 }),
    react: (event, { orders: count }, effects) => {
      const id = idOf(event.streamName);
      return [
        ...(count % BILLED === 0 ? [effects.append(bills.stream(id), billOf(id, count))] : []),
        ...(count % REMINDED === 0 ? [effects.schedule(reminders.stream(id), reminderOf(id, count), { deliverAt: AT_ONCE })] : []),
      ];
    },
  });
}
