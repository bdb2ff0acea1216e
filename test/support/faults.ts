// What tests of the connection's faults share: the ways to open a store, which command an append is, and an account of what became of appends.
import type { EventStore, RecordedEvent } from 'millrace';
import type { StoreOptions } from '../../src/redis/open.ts';
import { testClient } from './clients.ts';
import { collect, openStore, openStoreOver, ownClient } from './store.ts';

/** An open store, with the client that it is over where there is one. */
export interface OpenedStore extends AsyncDisposable {
  readonly store: EventStore;
}

export interface WayToOpen {
  readonly name: string;
  /** Whether the client sends again by itself what was under way when a connection broke. */
  readonly resends: boolean;
  open(url: string, options: StoreOptions): Promise<OpenedStore>;
}

/** By URL, and over a client of the caller's own with the settings that its library comes with. */
export const waysToOpen: readonly WayToOpen[] = [
  {
    name: 'over a connection of our own',
    resends: false,
    async open(url, options) {
      const store = await openStore({ url, ...options });
      return { store, [Symbol.asyncDispose]: () => store.close() };
    },
  },
  {
    name: "over a caller's client",
    resends: testClient() === 'ioredis',
    async open(url, { namespace, timeoutMs, writerTtlMs }) {
      const own = await ownClient(url);
      const store = await openStoreOver(own, {
        ...(namespace && { namespace }),
        ...(timeoutMs && { timeoutMs }),
        ...(writerTtlMs && { writerTtlMs }),
      });
      const close = async (): Promise<void> => {
        await store.close();
        await own[Symbol.asyncDispose]();
      };
      return { store, [Symbol.asyncDispose]: close };
    },
  },
];

/** Whether a command is a batch of appends. */
export function isAppend(args: readonly string[]): boolean {
  return args[0]?.toUpperCase() === 'EVALSHA' && args[4]?.endsWith(':head') === true;
}

/** What became of appends, whose numbers in the list are counted from 0. */
export interface Account {
  /** Those that failed, and why. */
  readonly rejected: readonly number[];
  readonly errors: readonly unknown[];
  /** Those that were told a place at which nothing of theirs stands. */
  readonly lost: readonly number[];
  /** Positions or versions that came twice in what is stored. */
  readonly doubled: readonly string[];
}

interface Told {
  readonly position: string;
  readonly streamVersion: number;
}

/** Compares what was told of appends with what is stored. */
export async function accountOf(store: EventStore, outcomes: readonly PromiseSettledResult<unknown>[]): Promise<Account> {
  const stored = await collect(store.readAll());
  const byPosition = new Map<string, RecordedEvent>(stored.map((event) => [event.position, event]));
  const isThere = ({ position, streamVersion }: Told): boolean => byPosition.get(position)?.streamVersion === streamVersion;
  const named = stored.map(({ streamName, streamVersion }) => `${streamName}@${streamVersion}`);
  return {
    rejected: outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : [])),
    errors: outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : [])),
    lost: outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' && !isThere(outcome.value as Told) ? [index] : [])),
    doubled: twiceIn([...named, ...stored.map(({ position }) => position)]),
  };
}

function twiceIn(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}
