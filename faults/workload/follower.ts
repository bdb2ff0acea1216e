// A process that follows everything from the start, and writes down what it is given in the order in which it comes.
import { LogLostError } from 'millrace';
import { now } from '../history.ts';
import type { Work } from './main.ts';
import type { Noted } from './model.ts';

export async function follow({ store, settings: { name }, recorder, stop }: Work): Promise<void> {
  for (let round = 1; !stop.aborted; round += 1) {
    const follower = `${name}/${round}`;
    try {
      for await (const event of await store.subscribe({ from: 'start', signal: stop })) {
        const { op, index } = event.data as Noted;
        recorder.write({ t: 'followed', follower, position: event.position, key: `${op}#${index}` });
      }
    } catch (error) {
      if (stop.aborted) return;
      // It begins again, under another name: what it read before is not what is there now.
      recorder.write({
        t: error instanceof LogLostError ? 'lost-log' : 'error',
        who: follower,
        what: 'a subscription',
        at: now(),
        message: String(error),
      });
    }
  }
}
