// What a view asks for: loading, there, or failed in words; an older answer never replaces a newer one.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { asError, get, type Params } from './client.ts';

export interface Asked<Reply> {
  readonly data: Reply | undefined;
  readonly error: Error | undefined;
  readonly isLoading: boolean;
  /** Asks again. */
  readonly again: () => void;
}

export interface QueryOptions {
  /** Asks again each so many milliseconds. */
  readonly everyMs?: number;
  /** What was there for other parameters stays until the answer comes: for a slider, which would flicker. */
  readonly keepsLast?: boolean;
}

interface State<Reply> {
  readonly of: string;
  readonly data?: Reply;
  readonly error?: Error;
  readonly isDone: boolean;
}

/** Asks at first, and when the parameters change; `path` undefined asks nothing. */
export function useQuery<Reply>(path: string | undefined, params: Params = {}, { everyMs, keepsLast = false }: QueryOptions = {}): Asked<Reply> {
  const key = JSON.stringify([path, params]);
  const [state, setState] = useState<State<Reply>>({ of: key, isDone: false });
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    if (path === undefined) return undefined;
    const ending = new AbortController();
    setState((before) => ({ ...before, isDone: false }));
    get<Reply>(path, params, ending.signal).then(
      (data) => !ending.signal.aborted && setState({ of: key, data, isDone: true }),
      // What was there of the same stays, beside what is said.
      (thrown: unknown) =>
        !ending.signal.aborted && setState((before) => ({ ...(before.of === key ? before : { of: key }), error: asError(thrown), isDone: true })),
    );
    return () => ending.abort();
  }, [key, turn]);
  useEffect(() => {
    if (everyMs === undefined || path === undefined) return undefined;
    const timer = setInterval(again, everyMs);
    return () => clearInterval(timer);
  }, [key, everyMs]);
  const isOfThis = state.of === key || keepsLast;
  return {
    data: isOfThis ? state.data : undefined,
    error: isOfThis ? state.error : undefined,
    isLoading: path !== undefined && !(isOfThis && state.isDone),
    again,
  };
}
