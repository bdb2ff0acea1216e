// Process managers: several events in, effects out, state and effects stored together and once.
import { category, type Event, processManager, type StoreOptions, StreamProcessor } from 'millrace';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, openStore } from '../support/store.ts';

type OrderEvent = Event<'Placed', { readonly total: number }> | Event<'Shipped', Record<string, never>> | Event<'Reminded', Record<string, never>>;
type PaymentEvent = Event<'Requested' | 'Received', { readonly amount: number }>;

const orders = category<OrderEvent>('orders');
const payments = category<PaymentEvent>('payments');

const paymentDecider = payments.decider({
  initialState: () => ({ due: 0 }),
  evolve: (state, event) => ({ due: state.due + (event.type === 'Requested' ? event.data.amount : -event.data.amount) }),
  decide: (command: { readonly type: 'Request'; readonly amount: number }, state) =>
    state.due > 0 ? [] : [{ type: 'Requested', data: { amount: command.amount } }],
});

interface Fulfilment {
  readonly total: number;
  readonly paid: number;
}

const fulfilment = processManager({
  name: 'fulfilment',
  categories: [orders, payments],
  initialState: (): Fulfilment => ({ total: 0, paid: 0 }),
  evolve: (state, event) => {
    switch (event.type) {
      case 'Placed':
        return { ...state, total: event.data.total };
      case 'Received':
        return { ...state, paid: state.paid + event.data.amount };
      case 'Shipped':
        return null;
      default:
        return state;
    }
  },
  react: (event, state, to) => {
    const id = event.streamName.slice(event.streamName.indexOf(':') + 1);
    if (event.type === 'Placed') {
      return [
        to.execute(paymentDecider, id, { type: 'Request', amount: event.data.total }),
        to.schedule(orders.stream(id), { type: 'Reminded', data: {} }, { deliverAt: Date.now() + 3_600_000 }),
      ];
    }
    if (event.type === 'Received' && state.paid >= state.total) return [to.append(orders.stream(id), { type: 'Shipped', data: {} })];
    return [];
  },
  retry: { attempts: 2, minDelayMs: 1 },
});

describe.each<StoreOptions & { partitions: number }>([{ partitions: 1 }, { partitions: 4 }])(
  'a process manager, with $partitions partitions',
  (options) => {
    it('folds events of several categories, and appends, commands and schedules what follows', async () => {
      await using store = await openStore(options);
      await using processor = new StreamProcessor(store, { reactors: [fulfilment] });
      await store.append(orders.stream('1'), { type: 'Placed', data: { total: 30 } });
      await processor.runUntilCaughtUp();
      await store.append(
        payments.stream('1'),
        [10, 20].map((amount) => ({ type: 'Received' as const, data: { amount } })),
      );
      await using next = new StreamProcessor(store, { reactors: [fulfilment] });
      await next.runUntilCaughtUp();
      const events = await collect(store.readAll());
      expect(events.map(({ type }) => type)).toEqual(['Placed', 'Requested', 'Received', 'Received', 'Shipped']);
      expect(events[1]?.metadata).toEqual({ correlationId: 'orders:1@1', causationId: 'orders:1@1' });
      expect(await collectScheduled(store.readScheduled())).toEqual(['orders:1']);
    });

    it('stores nothing of an event whose effects are refused, and says why in its dead letter', async () => {
      await using store = await openStore(options);
      const elsewhere = processManager({
        name: 'elsewhere',
        categories: [orders],
        initialState: () => ({ seen: 0 }),
        evolve: ({ seen }) => ({ seen: seen + 1 }),
        react: (_event, _state, to) =>
          Array.from({ length: 8 }, (_, index) => to.append(payments.stream(`x${index}`), { type: 'Requested', data: { amount: 1 } })),
      });
      await store.append(orders.stream('1'), { type: 'Placed', data: { total: 1 } });
      await using processor = new StreamProcessor(store, { reactors: [elsewhere] });
      const errors: unknown[] = [];
      processor.on('deadLetter', ({ error }) => errors.push(error));
      await processor.runUntilCaughtUp();
      expect(errors.map((error) => (error as { code?: string }).code)).toEqual(options.partitions === 1 ? [] : ['partition-mismatch']);
      expect((await collect(store.readCategory(payments))).length).toBe(options.partitions === 1 ? 8 : 0);
    });
  },
);

it('refuses a key in another partition, with the reason', async () => {
  await using store = await openStore({ partitions: 4 });
  const byTotal = processManager({
    name: 'by-total',
    categories: [orders],
    key: (event) => (event.type === 'Placed' ? `total-${event.data.total}` : undefined),
    initialState: () => ({}),
    evolve: (state) => state,
    react: () => [],
  });
  for (let n = 0; n < 8; n += 1) await store.append(orders.stream('1'), { type: 'Placed', data: { total: n } });
  await using processor = new StreamProcessor(store, { reactors: [byTotal] });
  const errors: unknown[] = [];
  processor.on('deadLetter', ({ error }) => errors.push(error));
  await processor.runUntilCaughtUp();
  expect(errors.length).toBeGreaterThan(0);
  expect((await errorOf(Promise.reject(errors[0] as Error))).message).toContain('state and effects are stored by one script');
});

async function collectScheduled(reader: AsyncIterable<{ readonly stream: string }>): Promise<string[]> {
  const streams: string[] = [];
  for await (const { stream } of reader) streams.push(stream);
  return streams;
}
