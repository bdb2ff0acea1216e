// The documents' code about rebuilding: a version that is built beside the one that serves, compared, flipped to, and the old one dropped.
import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, ProcessorControl, serving, SnapshotStore, StreamProcessor } from 'millrace';
import { profiles } from './users.ts';
import { profilesNext } from './versions.ts';

export async function build(store: EventStore) {
  // #region build
  // In as many processes as you like; at most 5,000 events a second each, so that production has room.
  const processor = new StreamProcessor(store, { projections: [profilesNext], eventsPerSecond: 5_000 });
  processor.start();
  // #endregion
  return processor;
}

export async function watch(store: EventStore) {
  // #region watch
  const control = new ProcessorControl(store); // of any process, with or without a processor
  for (;;) {
    const { percent, eventsFolded, eventsTotal, timeLeftMs, lagEvents } = await control.progress(profilesNext);
    const left = timeLeftMs === undefined ? 'unknown' : `${Math.ceil(timeLeftMs / 1_000)} s`;
    console.log(`${percent.toFixed(1)} %, ${eventsFolded} of ${eventsTotal} events, time left: ${left}`);
    if (lagEvents === 0) break;
    await delay(1_000);
  }
  // #endregion
}

export async function pauseAndResume(control: ProcessorControl) {
  // #region pause
  await control.pause(profilesNext); // nobody folds it any more, in any process, over restarts too
  await control.resume(profilesNext);
  // #endregion
}

export async function compare(control: ProcessorControl, signal: AbortSignal) {
  const differing: string[] = [];
  // #region compare
  const equal = (old: { name: string; surname: string }, next: { fullName: string }) => next.fullName === `${old.name} ${old.surname}`;
  for await (const { key, kind, first, second, mayBeBehind } of control.compare(profiles, profilesNext, { equal, limit: 100, signal })) {
    if (mayBeBehind) continue; // one of the two has yet to fold what the other has
    differing.push(`${key} ${kind}: ${JSON.stringify(first.state)}, ${JSON.stringify(second.state)}`);
  }
  // #endregion
  return differing;
}

export async function read(store: EventStore) {
  // #region read
  const snapshots = new SnapshotStore(store);
  const profile = await snapshots.get(serving(profiles, profilesNext), '1'); // of the version that serves
  const name = profile && ('fullName' in profile ? profile.fullName : `${profile.name} ${profile.surname}`);
  // #endregion
  return name;
}

export async function flip(control: ProcessorControl) {
  // #region flip
  const before = await control.serve(profilesNext); // refused, with NotCaughtUpError, while it is behind
  // … and back, should the new one be wrong:
  await control.serve(profiles);
  // #endregion
  await control.serve(profilesNext);
  return before;
}

export async function drop(control: ProcessorControl) {
  // #region drop
  await control.drop(profiles); // its documents, and last its checkpoint
  // #endregion
}

export async function rewind(control: ProcessorControl) {
  // #region rewind
  await control.rewind(profiles);
  // #endregion
}
