// What the store is like now: asked for once with its past, then kept up to date by the server.
import { useEffect, useState } from 'preact/hooks';
import type { NowReply, Sample } from '../api.ts';
import { get, listen } from './client.ts';

export interface Live {
  readonly now: NowReply | undefined;
  readonly samples: readonly Sample[];
  /** Why nothing comes, if so. */
  readonly trouble: string | undefined;
}

const SAMPLES_MAX = 900;
const NO_CONNECTION = 'Not live: the server of this page cannot be reached. It goes on by itself.';

export function useLive(): Live {
  const [live, setLive] = useState<Live>({ now: undefined, samples: [], trouble: undefined });
  useEffect(() => {
    const ending = new AbortController();
    const take = (now: NowReply): void => setLive((before) => ({ now, samples: merged(before.samples, now.samples), trouble: undefined }));
    const stop = (trouble: string): void => setLive((before) => ({ ...before, trouble }));
    const start = (): void => {
      get<NowReply>('now', {}, ending.signal).then(take, (error: Error) => {
        if (!ending.signal.aborted) stop(error.message);
      });
    };
    start();
    const close = listen(
      'live',
      {},
      {
        now: (data) => take(data as NowReply),
        trouble: (data) => stop((data as { message: string }).message),
      },
      (isOpen) => {
        if (!isOpen) stop(NO_CONNECTION);
      },
    );
    return () => {
      ending.abort();
      close();
    };
  }, []);
  return live;
}

function merged(before: readonly Sample[], more: readonly Sample[]): readonly Sample[] {
  const last = before.at(-1)?.at ?? 0;
  const fresh = more.filter(({ at }) => at > last);
  return fresh.length === 0 ? before : [...before, ...fresh].slice(-SAMPLES_MAX);
}
