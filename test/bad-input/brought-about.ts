// How some errors are brought about that need more than a call.
import { type EventStore, processManager, type Reactor, StreamProcessor } from 'millrace';
import { type RawClient, testUrl } from '../support/clients.ts';
import { isAppend } from '../support/faults.ts';
import { startProxy } from '../support/proxy.ts';
import { marks, note, notes, openStore } from '../support/store.ts';

/** The error with which a reactor gives its first event up. */
export async function deadLetterOf(store: EventStore, gives: Reactor): Promise<never> {
  await using processor = new StreamProcessor(store, { reactors: [gives], deliverScheduled: false });
  const errors: unknown[] = [];
  processor.on('deadLetter', ({ error }) => errors.push(error));
  await processor.runUntilCaughtUp();
  throw errors[0];
}

/** A process manager that commands a stream to which somebody appends before each of its decisions is stored. */
export function overrun(store: EventStore): Reactor {
  const counter = marks.decider({
    initialState: () => 0,
    evolve: (count) => count + 1,
    decide: (_command: null, count) => {
      // Sent before the step is: it decides on what is no longer so.
      void store.append(marks.stream('1'), note(count));
      return [note(count)];
    },
  });
  return processManager({
    name: 'overrun',
    categories: [notes],
    retry: { attempts: 1 },
    initialState: () => 0,
    evolve: (state) => state,
    react: (_event, _state, effects) => [effects.execute(counter, '1', null)],
  });
}

/** The reply of an append is lost, and so is the record of it before the append is sent again. */
export async function loseReplyAndRecord(raw: RawClient, namespace: string): Promise<unknown> {
  await using proxy = await startProxy(testUrl());
  await using own = await openStore({ url: proxy.url, namespace, timeoutMs: 2_000 });
  await own.append(notes.stream('unknown'), note(1));
  const lost = proxy.loseReplyOf(isAppend, {
    whileCut: async () => {
      const keys = (await raw.send('KEYS', `{${namespace}:0}:writer:*`)) as string[];
      return await raw.send('DEL', ...keys);
    },
  });
  const [error] = await Promise.allSettled([own.append(notes.stream('unknown'), note(2)), lost]);
  if (error.status === 'rejected') throw error.reason;
  return error.value;
}
