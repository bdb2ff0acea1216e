// Checks what a history must hold whatever happened to it; each check is a function from facts to the sentences that say what is wrong.
import { isDeepStrictEqual } from 'node:util';
import { comparePositions, type RecordedEvent } from 'millrace';

/** What is checked of a recorded event. */
export type Recorded = Pick<RecordedEvent, 'id' | 'streamName' | 'streamVersion' | 'position' | 'data'>;

/** The versions of each stream begin at 1 and have no gap, and none comes twice. */
export function versionFaults(events: Iterable<Recorded>): string[] {
  const versions = new Map<string, number>();
  const faults: string[] = [];
  for (const { streamName, streamVersion } of events) {
    const expected = (versions.get(streamName) ?? 0) + 1;
    if (streamVersion !== expected) faults.push(`${streamName}: expected version ${expected}, found ${streamVersion}`);
    versions.set(streamName, streamVersion);
  }
  return faults;
}

/** The positions of each partition strictly increase. */
export function positionFaults(events: Iterable<Recorded>): string[] {
  const last = new Map<string, Recorded['position']>();
  const faults: string[] = [];
  for (const { position } of events) {
    const partition = position.split('@')[1] ?? '0';
    const before = last.get(partition);
    if (before !== undefined && comparePositions(before, position) >= 0) faults.push(`position ${position} comes after ${before}`);
    last.set(partition, position);
  }
  return faults;
}

/** What was acknowledged is there exactly once, and nothing else is. `keyOf` says which append an event is of. */
export function lossFaults(acknowledged: Iterable<string>, events: Iterable<Recorded>, keyOf: (event: Recorded) => string): string[] {
  const left = new Set(acknowledged);
  const seen = new Set<string>();
  const faults: string[] = [];
  for (const event of events) {
    const key = keyOf(event);
    if (seen.has(key)) faults.push(`${key} is there twice`);
    else if (!left.delete(key)) faults.push(`${key} is there, and nobody was told so`);
    seen.add(key);
  }
  return [...faults, ...[...left].map((key) => `${key} is lost`)];
}

/** The events of each stream come in the same order in the order of all. */
export function orderFaults(events: Iterable<Recorded>, byStream: ReadonlyMap<string, readonly Recorded[]>): string[] {
  const seen = new Map<string, string[]>();
  for (const { streamName, id } of events) {
    const ids = seen.get(streamName);
    if (ids) ids.push(id);
    else seen.set(streamName, [id]);
  }
  const names = new Set([...seen.keys(), ...byStream.keys()]);
  return [...names].flatMap((name) => {
    const own = (byStream.get(name) ?? []).map(({ id }) => id);
    return isDeepStrictEqual(seen.get(name) ?? [], own) ? [] : [`${name}: its events stand in another order in its stream than in the order of all`];
  });
}

/** Each document is the pure fold of its events, and there is no other. */
export function documentFaults<State>(documents: ReadonlyMap<string, State>, expected: ReadonlyMap<string, State>): string[] {
  const keys = new Set([...documents.keys(), ...expected.keys()]);
  return [...keys].flatMap((key) => {
    const [found, folded] = [documents.get(key), expected.get(key)];
    return isDeepStrictEqual(found, folded) ? [] : [`document ${key}: expected ${JSON.stringify(folded)}, found ${JSON.stringify(found)}`];
  });
}

/** The pure fold: one state for each id of a stream. */
export function foldAll<State>(events: Iterable<Recorded>, initial: State, evolve: (state: State, event: Recorded) => State): Map<string, State> {
  const states = new Map<string, State>();
  for (const event of events) {
    const id = event.streamName.slice(event.streamName.indexOf(':') + 1);
    states.set(id, evolve(states.get(id) ?? initial, event));
  }
  return states;
}
