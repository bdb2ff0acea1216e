// The events of one user, in the order of the log, page by page.
import { type AnyEvent, comparePositions, type EventStore, type Position, type RecordedEvent } from 'millrace';
import { UnknownUserError, userActivity, userFriends, userUpdates } from './domain.ts';

/** An event as it is shown. */
export interface ShownEvent {
  readonly type: string;
  readonly data: unknown;
  readonly stream: string;
  readonly version: number;
  readonly position: Position;
  readonly recordedAt: Date;
}

export interface Page {
  readonly events: readonly ShownEvent[];
  /** The position to ask for what comes after; undefined where nothing does. */
  readonly next: Position | undefined;
}

/** One page. Throws UnknownUserError. */
export async function historyOf(store: EventStore, id: string, { after, limit }: { after: Position | undefined; limit: number }): Promise<Page> {
  await assertKnown(store, id);
  const options = { limit: limit + 1, ...(after !== undefined && { from: after }) };
  const streams = await Promise.all([
    eventsOf(store.readStream(userUpdates.stream(id), options)),
    eventsOf(store.readStream(userActivity.stream(id), options)),
    eventsOf(store.readStream(userFriends.stream(id), options)),
  ]);
  // Streams with one id share a partition, so their positions have one order.
  const merged = streams.flat().sort((a, b) => comparePositions(a.position, b.position));
  const events = merged.slice(0, limit);
  return { events: events.map(shown), next: merged.length > limit ? events.at(-1)?.position : undefined };
}

/** Throws UnknownUserError unless something was recorded of this user's person. */
export async function assertKnown(store: EventStore, id: string): Promise<void> {
  for await (const _event of store.readStream(userUpdates.stream(id), { limit: 1 })) return;
  throw new UnknownUserError(id);
}

async function eventsOf(reader: AsyncIterable<RecordedEvent<AnyEvent>>): Promise<RecordedEvent<AnyEvent>[]> {
  const events: RecordedEvent<AnyEvent>[] = [];
  for await (const event of reader) events.push(event);
  return events;
}

function shown({ type, data, streamName, streamVersion, position, recordedAt }: RecordedEvent<AnyEvent>): ShownEvent {
  return { type, data, stream: streamName, version: streamVersion, position, recordedAt };
}
