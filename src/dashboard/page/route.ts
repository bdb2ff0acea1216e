// Where in the page one is, as its address has it behind the #: a view and its parameters, so that everything can be linked to.
import { useEffect, useState } from 'preact/hooks';
import { type Params, queryOf } from './client.ts';

export interface Route {
  /** As the address has it. */
  readonly hash: string;
  readonly view: string;
  readonly params: Readonly<Record<string, string>>;
}

export function routeOf(hash: string): Route {
  const [, view = '', query = ''] = /^#?\/?([^?]*)\??(.*)$/s.exec(hash) ?? [];
  return { hash, view: view === '' ? 'now' : view, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function linkTo(view: string, params: Params = {}): string {
  const query = queryOf(params);
  return `#/${view}${query === '' ? '' : `?${query}`}`;
}

/** Goes there. */
export function go(link: string): void {
  location.hash = link;
}

/** Goes there in place of where one is, so that a slider does not fill the history. */
export function goInPlace(link: string): void {
  if (link === location.hash) return;
  history.replaceState(null, '', link);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const follow = (): void => setRoute((before) => (before.hash === location.hash ? before : routeOf(location.hash)));
    addEventListener('hashchange', follow);
    follow(); // it may have changed since it was drawn first
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}
