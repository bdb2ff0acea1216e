// The documents' code about dead letters: look at them, retry, edit and discard them, and work them off.
import { type EventStore, ProcessorControl, type Reactor, StreamProcessor } from 'millrace';

export async function look(store: EventStore, welcomes: Reactor) {
  // #region list
  const letters = new ProcessorControl(store).deadLetters(welcomes); // or ({ name: 'welcomes' }), where its code is not at hand
  console.log(await letters.count());
  for await (const letter of letters.list({ limit: 100 })) {
    const { id, event, error, attempts, lastFailedAt, eventsWaiting } = letter;
    console.log(id, event?.id, error.message, attempts, lastFailedAt.toISOString(), eventsWaiting);
  }
  // #endregion
  return letters;
}

export async function workOff(
  store: EventStore,
  welcomes: Reactor,
  ids: { readonly id: string; readonly wrongId: string; readonly otherId: string },
) {
  const letters = new ProcessorControl(store).deadLetters(welcomes);
  const { id, wrongId, otherId } = ids;
  // #region retry
  await letters.retry(id); // true; false where it is no letter any more
  await letters.retry(wrongId, { event: { type: 'Registered', data: { name: 'Duffy', surname: 'Duck' } } });
  await letters.discard(otherId);
  // #endregion
}

export async function workOffMany(store: EventStore, welcomes: Reactor) {
  const letters = new ProcessorControl(store).deadLetters(welcomes);
  // #region retry-all
  const retried = await letters.retryAll({ where: ({ error }) => error.message.includes('ECONNREFUSED') });
  const discarded = await letters.discardAll({ where: ({ event }) => event === undefined });
  console.log(`${retried} are tried again, ${discarded} discarded`);
  // #endregion
  // #region settled
  await using processor = new StreamProcessor(store, { reactors: [welcomes] });
  processor.start(); // where no other process runs it
  await letters.settled({ signal: AbortSignal.timeout(60_000) });
  console.log(`${await letters.count()} are left`);
  // #endregion
  return { retried, discarded };
}
