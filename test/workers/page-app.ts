// The code of an app, as the page gets it by --app: projections in two versions, reactors that give up, and one that takes what is hostile.
import { category, type Event, processManager, projection, reactor } from 'millrace';

export type OrderEvent =
  | Event<'OrderPlaced', { readonly customer: string; readonly city: string }>
  | Event<'ItemAdded', { readonly sku: string; readonly price: number }>
  | Event<'ItemRemoved', { readonly sku: string }>
  | Event<'OrderPaid', { readonly amount: number }>
  | Event<'OrderShipped', { readonly carrier: string }>;

export type PaymentEvent = Event<'PaymentRequested' | 'PaymentReceived' | 'PaymentRefused', { readonly amount: number; readonly card: string }>;

export const orders = category<OrderEvent>('orders');
export const payments = category<PaymentEvent>('payments');
export const hostiles = category<Event<string, unknown>>('hostile');

interface Order {
  readonly status: 'open' | 'paid' | 'shipped';
  readonly customer?: string;
  readonly city?: string;
  readonly items: Readonly<Record<string, number>>;
  readonly total: number;
  readonly carrier?: string;
}

export const orderDocuments = projection({
  name: 'orders',
  categories: [orders],
  initialState: (): Order => ({ status: 'open', items: {}, total: 0 }),
  evolve: (order, event): Order => {
    switch (event.type) {
      case 'OrderPlaced':
        return { ...order, ...event.data };
      case 'ItemAdded':
        return { ...order, items: { ...order.items, [event.data.sku]: event.data.price }, total: order.total + event.data.price };
      case 'ItemRemoved': {
        const { [event.data.sku]: price = 0, ...items } = order.items;
        return { ...order, items, total: order.total - price };
      }
      case 'OrderPaid':
        return { ...order, status: 'paid' };
      case 'OrderShipped':
        return { ...order, status: 'shipped', carrier: event.data.carrier };
    }
  },
});

export const balances = projection({
  name: 'balances',
  categories: [payments],
  initialState: () => ({ received: 0, refused: 0 }),
  evolve: (balance, { type, data }) => {
    if (type === 'PaymentReceived') return { ...balance, received: balance.received + data.amount };
    return type === 'PaymentRefused' ? { ...balance, refused: balance.refused + 1 } : balance;
  },
});

/** Counts what was asked for, too. */
export const balances2 = projection({
  name: 'balances',
  version: 2,
  categories: [payments],
  initialState: () => ({ received: 0, refused: 0, requested: 0 }),
  evolve: (balance, { type, data }) => {
    if (type === 'PaymentReceived') return { ...balance, received: balance.received + data.amount };
    return type === 'PaymentRefused' ? { ...balance, refused: balance.refused + 1 } : { ...balance, requested: balance.requested + data.amount };
  },
});

export const hostileDocuments = projection({
  name: 'hostile',
  categories: [hostiles],
  initialState: (): Record<string, unknown> => ({}),
  evolve: (state, { type, data }) => ({ ...state, [type]: data }),
});

export const receipts = reactor({
  name: 'receipts',
  categories: [payments],
  types: ['PaymentReceived'],
  retry: { attempts: 1 },
  handle: ({ data }) => {
    if (data.amount < 0) throw new RangeError(`no receipt for a payment of ${data.amount}: an amount has to be above 0`);
  },
});

/** Gives up on everything, with a message that is hostile too. */
export const hostileReactor = reactor({
  name: 'hostile-mails',
  categories: [hostiles],
  retry: { attempts: 1 },
  handle: ({ type }) => {
    throw new Error(`<script>window.hacked = 'error'</script><img src=x onerror="window.hacked='error'"> could not send ${type}`);
  },
});

export const fulfilment = processManager({
  name: 'fulfilment',
  categories: [payments],
  initialState: () => 0,
  evolve: (count) => count + 1,
  react: () => [],
});
