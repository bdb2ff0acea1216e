// Events as they are asked for, a page after the other, and what comes while one follows.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { EventsQuery, EventsReply } from '../../api.ts';
import { asError, get, listen } from '../client.ts';
import type { Recorded } from './event-list.tsx';

export interface FoundEvents {
  readonly events: readonly Recorded[];
  readonly isLoading: boolean;
  readonly error: Error | undefined;
  /** Whether there may be more; then `more` asks for them. */
  readonly hasMore: boolean;
  /** Whether it stopped looking before it found a page of them. */
  readonly isCutShort: boolean;
  readonly more: () => void;
  readonly again: () => void;
}

interface State {
  readonly of: string;
  readonly events: readonly Recorded[];
  readonly next?: string | undefined;
  readonly isCutShort: boolean;
  readonly isLoading: boolean;
  readonly error?: Error;
}

export type Asking = { readonly [Name in keyof EventsQuery]: string | undefined };

export function useEvents(query: Asking): FoundEvents {
  const of = JSON.stringify(query);
  const nothing: State = { of, events: [], isCutShort: false, isLoading: true };
  const [kept, setState] = useState<State>(nothing);
  const [turn, setTurn] = useState(0);
  const asking = useRef<AbortController>(undefined);
  const state = kept.of === of ? kept : nothing;
  const load = (before: State): void => {
    asking.current?.abort();
    const ending = (asking.current = new AbortController());
    setState({ ...before, isLoading: true });
    get<EventsReply>('events', before.next === undefined ? query : { ...query, from: before.next }, ending.signal).then(
      ({ events, next, isCutShort }) => setState({ of, events: [...before.events, ...events], next, isCutShort, isLoading: false }),
      (thrown: unknown) => !ending.signal.aborted && setState({ ...before, isLoading: false, error: asError(thrown) }),
    );
  };
  useEffect(() => {
    load(nothing);
    return () => asking.current?.abort();
  }, [of, turn]);
  const { events, isLoading, error, next, isCutShort } = state;
  const again = (): void => setTurn((before) => before + 1);
  return { events, isLoading, error, hasMore: next !== undefined, isCutShort, more: () => load(state), again };
}

/** What is kept of what came while one follows. */
const FOLLOWED_MAX = 500;

export interface Followed {
  /** The newest first. */
  readonly events: readonly Recorded[];
  /** How many came while it was paused. */
  readonly held: number;
  readonly isOpen: boolean;
  readonly trouble: string | undefined;
}

const NONE: Followed = { events: [], held: 0, isOpen: false, trouble: undefined };

/** Follows from now on while `isOn`; while paused, what comes is counted and shown afterwards. */
export function useFollow(isOn: boolean, isPaused: boolean, { category, stream, type }: Asking): Followed {
  const [followed, setFollowed] = useState(NONE);
  const paused = useRef(isPaused);
  const held = useRef<Recorded[]>([]);
  paused.current = isPaused;
  const add = (events: readonly Recorded[]): void =>
    setFollowed((before) => ({ ...before, held: 0, events: [...events.toReversed(), ...before.events].slice(0, FOLLOWED_MAX) }));
  const takeIn = (event: Recorded): void => {
    if ((type !== undefined && event.type !== type) || (stream !== undefined && event.streamName !== stream)) return;
    if (!paused.current) add([event]);
    else {
      held.current = [...held.current.slice(1 - FOLLOWED_MAX), event];
      setFollowed((before) => ({ ...before, held: before.held + 1 }));
    }
  };
  useEffect(() => {
    setFollowed(NONE);
    held.current = [];
    if (!isOn) return undefined;
    const from = category ?? stream?.split(':')[0];
    return listen(
      'follow',
      { category: from },
      {
        event: (data) => takeIn(data as Recorded),
        trouble: (data) => setFollowed((before) => ({ ...before, trouble: (data as { readonly message: string }).message })),
      },
      (isOpen) => setFollowed((before) => ({ ...before, isOpen, ...(isOpen ? { trouble: undefined } : {}) })),
    );
  }, [isOn, category, stream, type]);
  useEffect(() => {
    if (isPaused || held.current.length === 0) return;
    add(held.current);
    held.current = [];
  }, [isPaused]);
  return followed;
}
