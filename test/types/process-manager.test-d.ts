// What types promise about process managers: events narrow by their type, effects fit their streams, commands their decider.
import { category, type Event, ProcessorControl, type EventStore, processManager, reactor } from 'millrace';
import { expectTypeOf, test } from 'vitest';

type OrderEvent = Event<'Placed', { readonly total: number }> | Event<'Shipped', { readonly by: string }>;
type PaymentEvent = Event<'Requested' | 'Received', { readonly amount: number }>;
type Request = { readonly type: 'Request'; readonly amount: number };

declare const store: EventStore;

const orders = category<OrderEvent>('orders');
const payments = category<PaymentEvent>('payments');
const payment = payments.decider({
  initialState: () => 0,
  evolve: (due) => due,
  decide: (command: Request) => [{ type: 'Requested', data: { amount: command.amount } }],
});
const parts = { name: 'checkout', categories: [orders, payments], initialState: () => ({ total: 0 }) } as const;

test('events narrow by their type in evolve and react, and the state is that of initialState', () => {
  processManager({
    ...parts,
    evolve: (state, event) => {
      expectTypeOf(state).toEqualTypeOf<{ total: number }>();
      expectTypeOf(event.type).toEqualTypeOf<'Placed' | 'Shipped' | 'Requested' | 'Received'>();
      if (event.type === 'Placed') return { total: event.data.total };
      if (event.type === 'Shipped') expectTypeOf(event.data).toEqualTypeOf<{ readonly by: string }>();
      return null;
    },
    react: (event, state, effects) => {
      expectTypeOf(state).toEqualTypeOf<{ total: number }>();
      if (event.type !== 'Received') return [];
      expectTypeOf(event.data.amount).toEqualTypeOf<number>();
      return [effects.append(orders.stream('1'), { type: 'Shipped', data: { by: 'post' } })];
    },
  });
});

test('types that are named are all that come', () => {
  processManager({
    ...parts,
    types: ['Placed'],
    key: (event) => {
      expectTypeOf(event.type).toEqualTypeOf<'Placed'>();
      return event.data.total > 0 ? 'one' : undefined;
    },
    evolve: (state, event) => ({ total: state.total + event.data.total }),
    react: () => [],
  });
  processManager({
    ...parts,
    // @ts-expect-error no category has such events
    types: ['Cancelled'],
    evolve: (state) => state,
    react: () => [],
  });
});

test('effects fit their streams and deciders', () => {
  processManager({
    ...parts,
    evolve: (state) => state,
    react: (_event, _state, effects) => [
      effects.append(payments.stream('1'), [{ type: 'Requested', data: { amount: 1 } }]),
      effects.execute(payment, '1', { type: 'Request', amount: 1 }),
      effects.schedule(orders.stream('1'), { type: 'Placed', data: { total: 1 } }, { deliverAt: new Date() }),
      // @ts-expect-error no event of this stream
      effects.append(payments.stream('1'), { type: 'Placed', data: { total: 1 } }),
      // @ts-expect-error wrong data
      effects.append(payments.stream('1'), { type: 'Requested', data: { total: 1 } }),
      // @ts-expect-error no command of this decider
      effects.execute(payment, '1', { type: 'Cancel' }),
      // @ts-expect-error wrong amount
      effects.execute(payment, '1', { type: 'Request', amount: '1' }),
      // @ts-expect-error no event of this stream
      effects.schedule(orders.stream('1'), { type: 'Requested', data: { amount: 1 } }, { deliverAt: 0 }),
      // @ts-expect-error when?
      effects.schedule(orders.stream('1'), { type: 'Placed', data: { total: 1 } }),
    ],
  });
  processManager({
    ...parts,
    evolve: (state) => state,
    // @ts-expect-error effects, not events
    react: () => [{ type: 'Placed', data: { total: 1 } }],
  });
  // @ts-expect-error another state
  processManager({ ...parts, evolve: () => ({ total: 'much' }), react: () => [] });
});

test('a process manager is run, rewound and dropped like a reactor', async () => {
  const manager = processManager({ ...parts, evolve: (state) => state, react: () => [] });
  const control = new ProcessorControl(store);
  expectTypeOf(await control.rewind(manager, { to: 'now' })).toEqualTypeOf<void>();
  expectTypeOf(await control.drop(manager)).toEqualTypeOf<void>();
  expectTypeOf(await control.drop(reactor({ name: 'mailing', categories: [orders], handle: () => undefined }))).toEqualTypeOf<void>();
  // @ts-expect-error the order of a process is kept
  processManager({ ...parts, order: 'none', evolve: (state) => state, react: () => [] });
});
