// Runs the code that the how-to about scheduled events shows.
import { expect, test } from 'vitest';
import * as schedule from '../../examples/docs/schedule.ts';
import { until } from '../support/processors.ts';
import { collect, openStore } from '../support/store.ts';

test('the code about scheduled events sets a deadline, lists it, gives it up, and delivers the other one', async () => {
  await using store = await openStore({ partitions: 1 });
  await schedule.remind(store, new Date('2026-01-01'));
  const id = await schedule.place(store);
  expect(await schedule.list(store)).toEqual([
    expect.stringMatching(/^2026-01-01T00:00:00.000Z orders:1 DeadlinePassed 0\./),
    expect.stringMatching(/ orders:2 DeadlinePassed 0\./),
  ]);
  expect(await schedule.pay(store, id)).toBe(true);
  await using _processor = schedule.deliver(store);
  await until('it is delivered', async () => (await collect(store.readStream(schedule.orders.stream('1')))).length === 1);
  expect((await collect(store.readStream(schedule.orders.stream('2')))).map(({ type }) => type)).toEqual(['Placed', 'Paid']);
  expect(await schedule.list(store)).toEqual([]);
});
