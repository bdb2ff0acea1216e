// The documents' code about process managers: an order that waits for its payment.
import { category, type Event, processManager } from 'millrace';

type OrderEvent = Event<'Placed', { total: number }> | Event<'PaymentOverdue' | 'Cancelled' | 'Completed', Record<string, never>>;
type PaymentEvent = Event<'Requested' | 'Received', { amount: number }>;

export const orders = category<OrderEvent>('orders');
export const payments = category<PaymentEvent>('payments');

// #region decider
export const payment = payments.decider({
  initialState: () => ({ requested: 0 }),
  evolve: (state, event) => (event.type === 'Requested' ? { requested: state.requested + event.data.amount } : state),
  decide: (command: { type: 'Request'; amount: number }, state) =>
    state.requested > 0 ? [] : [{ type: 'Requested', data: { amount: command.amount } }],
});
// #endregion

const TWO_DAYS_MS = 2 * 24 * 3_600_000;

// #region process
export const checkout = processManager({
  name: 'checkout',
  categories: [orders, payments], // orders:7 and payments:7 are one process, by their id
  initialState: () => ({ due: 0 }),
  evolve: (state, event) => {
    switch (event.type) {
      case 'Placed':
        return { due: event.data.total };
      case 'Received':
        return { due: state.due - event.data.amount };
      case 'Completed':
      case 'Cancelled':
        return null; // the process ends, and its state goes
      default:
        return state;
    }
  },
  react: (event, { due }, effects) => {
    const id = event.streamName.slice(event.streamName.indexOf(':') + 1);
    const order = orders.stream(id);
    switch (event.type) {
      case 'Placed':
        return [
          effects.execute(payment, id, { type: 'Request', amount: due }),
          effects.schedule(order, { type: 'PaymentOverdue', data: {} }, { deliverAt: event.recordedAt.getTime() + TWO_DAYS_MS }),
        ];
      case 'Received':
        return due > 0 ? [] : [effects.append(order, { type: 'Completed', data: {} })];
      case 'PaymentOverdue':
        return due > 0 ? [effects.append(order, { type: 'Cancelled', data: {} })] : [];
      default:
        return [];
    }
  },
});
// #endregion
