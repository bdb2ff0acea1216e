// One process of the workload: opens its store, does what its role is until it is told to stop, and ends with its parent.
import { setTimeout as delay } from 'node:timers/promises';
import type { EventStore } from 'millrace';
import { connect } from '../connect.ts';
import { now, type Recorder, recordTo } from '../history.ts';
import { follow } from './follower.ts';
import { produce } from './producer.ts';
import { project } from './projector.ts';
import { react } from './reactor.ts';
import { type Role, type Settings, settingsOfThisProcess } from './settings.ts';

/** What a role gets; it resolves once `stop` is aborted and everything that was under way has ended. */
export interface Work {
  readonly store: EventStore;
  readonly settings: Settings;
  readonly recorder: Recorder;
  readonly stop: AbortSignal;
}

const roles: { readonly [Name in Role]: (work: Work) => Promise<void> } = { producer: produce, projector: project, reactor: react, follower: follow };

/** Shorter than most faults last, so that outcomes come to be unknown. */
const TIMEOUT_MS = 1_500;
const RETRY_MS = 100;
/** How long after the end of its work a process may still be there. */
const ALIVE_MS_MAX = 8_000;

const settings = settingsOfThisProcess();
const recorder = recordTo(settings.folder, settings.name);
const stopping = new AbortController();
process.on('message', (message) => message === 'stop' && stopping.abort());
process.on('disconnect', () => process.exit(2));
process.on('uncaughtException', (error) => {
  recorder.write({ t: 'error', who: settings.name, at: now(), message: String(error.stack) });
  process.exit(1);
});

const store = await openStore(settings, stopping.signal);
if (store) {
  await roles[settings.role]({ store, settings, recorder, stop: stopping.signal });
  await store.close();
}
process.removeAllListeners('disconnect');
process.disconnect();
setTimeout(tellWhatKeepsItAlive, ALIVE_MS_MAX).unref();

/** Everything was closed: what is left would keep a program from ending. */
function tellWhatKeepsItAlive(): void {
  recorder.write({ t: 'error', who: settings.name, at: now(), message: `was kept alive by ${process.getActiveResourcesInfo().join(', ')}` });
}

/** The server may be down at this moment: that is what this is about. */
export async function openStore({ target, namespace, library }: Settings, stop: AbortSignal): Promise<EventStore | undefined> {
  while (!stop.aborted) {
    try {
      return await connect(target, { namespace, library, timeoutMs: TIMEOUT_MS });
    } catch {
      await delay(RETRY_MS);
    }
  }
  return undefined;
}
