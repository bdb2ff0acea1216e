// What happens now, as the server tells it each second, for every view; and since when it does not.
import { type ComponentChildren, createContext, type JSX } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { NowReply, Sample } from '../api.ts';
import { asError, get, listen } from './client.ts';

export interface Live {
  readonly now: NowReply | undefined;
  readonly samples: readonly Sample[];
  /** Whether something was heard within the last seconds. */
  readonly isLive: boolean;
  /** When it was heard of last, in milliseconds since 1970; 0 for never. */
  readonly heardAt: number;
  /** What the server says is wrong on its side, in words: that it does not reach Redis, say. */
  readonly trouble: string | undefined;
}

/** As many as the server keeps. */
const SAMPLES_MAX = 900;
/** The server tells of itself each second. */
const SILENT_MS = 5_000;

const NOTHING: Live = { now: undefined, samples: [], isLive: false, heardAt: 0, trouble: undefined };
const LiveContext = createContext<Live>(NOTHING);

export function useLive(): Live {
  return useContext(LiveContext);
}

export function LiveProvider({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return <LiveContext.Provider value={useLiveSource()}>{children}</LiveContext.Provider>;
}

function useLiveSource(): Live {
  const [live, setLive] = useState(NOTHING);
  useEffect(() => {
    const hear = (now: NowReply): void => setLive((before) => heard(before, now));
    const fail = (trouble: string | undefined): void => setLive((before) => ({ ...before, isLive: false, trouble: trouble ?? before.trouble }));
    const recall = (): void => void get<NowReply>('now').then(hear, (thrown: unknown) => fail(asError(thrown).message));
    const start = (): (() => void) =>
      listen(
        'live',
        {},
        { now: (data) => hear(data as NowReply), trouble: (data) => fail((data as { readonly message: string }).message) },
        (isOpen) => {
          if (!isOpen) fail(undefined);
          recall(); // which tells what is wrong, where it fails
        },
      );
    const watch = setInterval(() => setLive(silenced), 1_000);
    const stop = whileVisible(start);
    recall();
    return () => {
      clearInterval(watch);
      stop();
    };
  }, []);
  return live;
}

function silenced(live: Live): Live {
  return live.isLive && Date.now() - live.heardAt > SILENT_MS ? { ...live, isLive: false } : live;
}

/** A browser has six connections to a server: those that nobody looks at shall not take them from the one that is looked at. */
function whileVisible(start: () => () => void): () => void {
  let stop: (() => void) | undefined;
  const follow = (): void => {
    if (document.hidden) stop?.();
    stop = document.hidden ? undefined : (stop ?? start());
  };
  document.addEventListener('visibilitychange', follow);
  follow();
  return () => {
    document.removeEventListener('visibilitychange', follow);
    stop?.();
  };
}

function heard({ samples }: Live, now: NowReply): Live {
  const last = samples.at(-1)?.at ?? 0;
  const isRecall = now.samples.length > 1;
  const joined = isRecall ? now.samples : [...samples, ...now.samples.filter(({ at }) => at > last)].slice(-SAMPLES_MAX);
  return { now, samples: joined, isLive: true, heardAt: Date.now(), trouble: undefined };
}
