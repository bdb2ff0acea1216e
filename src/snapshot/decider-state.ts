// A decider's state: from memory or from Redis, and the events behind it; and its way back there.
import type { AnyEvent } from '../event.ts';
import type { Decider } from '../fold/decider.ts';
import type { LogEvent } from '../log/entry.ts';
import { decodeAll, EVENTS_AT_ONCE, readTail, type StreamKeys } from '../log/fold-stream.ts';
import { entryIdOf } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { readFresh, type ResultAt, storeDocument } from '../redis/scripts.ts';
import { decodeDocument, documentFields, encodeState, placeOfDocument } from './document.ts';

/** A folded state: which version of the stream it is, and where its last event stands (-1 for none). */
export interface FoldedState<State> {
  readonly state: State;
  readonly version: number;
  readonly place: number;
  /** The version that is stored in Redis, 0 for none. */
  readonly storedVersion: number;
}

/** A state just read, and the first result of the idempotency key that was asked for, if it has one. */
export interface LoadedState<State> extends FoldedState<State> {
  readonly result: string | undefined;
}

const EVERY_EVENTS = 100;

/** Reads a decider's state as of now: the stored one where there is one, with the stream's tail folded in. */
export async function loadState<E extends AnyEvent, Command, State>(
  connection: Connection,
  decider: Decider<E, Command, State>,
  stream: StreamKeys,
  resultAt: ResultAt | undefined,
): Promise<LoadedState<State>> {
  const documentKey = stateKey(connection, decider, stream);
  const { fields, result, tails } = await readFresh(connection.port, documentKey, [stream], { most: EVENTS_AT_ONCE, resultAt });
  const document = decodeDocument<State>(connection.codec, fields, documentKey);
  const stored = Number(document.reserved.get(documentFields.version) ?? 0);
  const start: FoldedState<State> =
    document.state === undefined
      ? { state: decider.initialState(), version: 0, place: -1, storedVersion: 0 }
      : { state: document.state, version: stored, place: placeOfDocument(document), storedVersion: stored };
  const [tail] = tails;
  const read = decodeAll(connection, stream, tail?.entries ?? []);
  const folded = foldEvents(decider, start, read);
  const rest = start.version + EVENTS_AT_ONCE < (tail?.length ?? 0) ? await readTail(connection, stream, start.version + EVENTS_AT_ONCE) : [];
  return { ...foldEvents(decider, folded, rest), result: result ?? undefined };
}

/** The state after some more events of its stream. */
export function foldEvents<E extends AnyEvent, Command, State>(
  { evolve }: Decider<E, Command, State>,
  folded: FoldedState<State>,
  events: readonly LogEvent[],
): FoldedState<State> {
  let { state, version, place } = folded;
  for (const each of events) {
    const event: AnyEvent = each.event;
    state = evolve(state, event as E);
    version = each.event.streamVersion;
    place = each.place;
  }
  return { state, version, place, storedVersion: folded.storedVersion };
}

/** Stores a state where the decider asks for it and enough events came since; the version that is stored then. */
export async function maybeStoreState<E extends AnyEvent, Command, State>(
  connection: Connection,
  decider: Decider<E, Command, State>,
  stream: StreamKeys,
  { state, version, place, storedVersion }: FoldedState<State>,
): Promise<number> {
  const { snapshot } = decider;
  if (!snapshot || version - storedVersion < (snapshot.everyEvents ?? EVERY_EVENTS)) return storedVersion;
  const fields = [...encodeState(connection.codec, state), documentFields.version, String(version), documentFields.position, entryIdOf(place)];
  await storeDocument(connection.port, stateKey(connection, decider, stream), version, fields);
  return version;
}

// Where a decider keeps no states, the key is one that never exists: what is read is then the events alone.
function stateKey<E extends AnyEvent, Command, State>(
  { keys }: Connection,
  { snapshot, category }: Decider<E, Command, State>,
  { partition, streamName }: StreamKeys,
): string {
  return snapshot ? keys.snapshot(partition, snapshot.name, snapshot.version, streamName) : keys.snapshot(partition, category.name, 0, streamName);
}
