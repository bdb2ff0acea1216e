// Runs the code that the how-to about dead letters shows.
import { ProcessorControl, reactor, StreamProcessor } from 'millrace';
import { expect, test } from 'vitest';
import { look, workOff, workOffMany } from '../../examples/docs/dead-letters.ts';
import { userUpdates } from '../../examples/docs/users.ts';
import { openStore } from '../support/store.ts';

test('the dead letters of the how-to are listed, retried, edited and discarded', async () => {
  await using store = await openStore();
  const sent: string[] = [];
  const isDown = { now: true };
  const welcomes = reactor({
    name: 'welcomes',
    categories: [userUpdates],
    types: ['Registered'],
    retry: { attempts: 1 },
    handle: async ({ streamName, data }) => {
      if (data.name === '') throw new Error('who is this?');
      if (isDown.now) throw new Error('connect ECONNREFUSED');
      sent.push(`${streamName}: ${data.name}`);
    },
  });
  for (const name of ['Porky', '', 'Bugs', 'Elmer'])
    await store.append(userUpdates.stream(name || 'nobody'), { type: 'Registered', data: { name, surname: '' } });
  await using processor = new StreamProcessor(store, { reactors: [welcomes] });
  await processor.runUntilCaughtUp();
  const letters = await look(store, welcomes);
  const ids = new Map<string, string>();
  for await (const { id, key } of letters.list()) ids.set(key ?? '', id);
  const idOf = (key: string): string => ids.get(key) ?? '';
  await workOff(store, welcomes, { id: idOf('Porky'), wrongId: idOf('nobody'), otherId: idOf('Bugs') });
  isDown.now = false;
  expect(await workOffMany(store, welcomes)).toEqual({ retried: 2, discarded: 0 });
  expect(sent.toSorted()).toEqual(['user_updates:Elmer: Elmer', 'user_updates:Porky: Porky', 'user_updates:nobody: Duffy']);
  expect(await new ProcessorControl(store).deadLetters({ name: 'welcomes' }).count()).toBe(0);
});
