// The documents' code about scheduled events: a deadline that is set with an order and given up when it is paid.
import { category, type Event, type EventStore, StreamProcessor } from 'millrace';

// #region events
export type OrderEvent = Event<'Placed', { total: number }> | Event<'Paid' | 'DeadlinePassed', Record<string, never>>;
export const orders = category<OrderEvent>('orders');
// #endregion

export async function remind(store: EventStore, deliverAt: Date) {
  // #region schedule
  const { id } = await store.schedule(orders.stream('1'), { type: 'DeadlinePassed', data: {} }, { deliverAt });
  // #endregion
  return id;
}

export async function place(store: EventStore, inFifteenMinutes: number = Date.now() + 15 * 60_000) {
  // #region along
  const order = orders.stream('2');
  const { scheduledIds } = await store.appendAll([{ stream: order, events: { type: 'Placed', data: { total: 25 } }, expectedVersion: 'no-stream' }], {
    schedule: [{ stream: order, events: { type: 'DeadlinePassed', data: {} }, deliverAt: inFifteenMinutes }],
  });
  // #endregion
  return scheduledIds[0] ?? '';
}

export async function pay(store: EventStore, scheduledId: string) {
  // #region cancel
  await store.append(orders.stream('2'), { type: 'Paid', data: {} });
  const wasThere = await store.cancelScheduled(scheduledId); // false: it was delivered, or cancelled before
  // #endregion
  return wasThere;
}

export async function list(store: EventStore) {
  const lines: string[] = [];
  // #region list
  for await (const { id, stream, events, deliverAt } of store.readScheduled({ limit: 100 })) {
    lines.push(`${deliverAt.toISOString()} ${stream} ${events.map(({ type }) => type).join(', ')} ${id}`);
  }
  // #endregion
  return lines;
}

export function deliver(store: EventStore) {
  // #region deliver
  const processor = new StreamProcessor(store); // any processor does, whatever else it runs
  processor.on('failed', ({ partition, error }) => console.error(partition, error));
  processor.start();
  // #endregion
  return processor;
}
