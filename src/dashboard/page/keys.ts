// The keys of the page: `/` to search, `g` and a letter to go to a view, `?` for what there is.
import { useLayoutEffect } from 'preact/hooks';
import { go, linkTo } from './route.ts';

/** The views, by the letter behind `g`. */
export const VIEW_KEYS: Readonly<Record<string, string>> = { n: 'now', e: 'events', d: 'documents', p: 'processors', l: 'dead-letters' };

/** How long `g` waits for its letter. */
const SECOND_KEY_MS = 1_500;

export function useKeys(onHelp: () => void): void {
  useLayoutEffect(() => {
    let goUntil = 0;
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector('dialog[open]')) return;
      const view = Date.now() < goUntil ? VIEW_KEYS[event.key] : undefined;
      goUntil = event.key === 'g' ? Date.now() + SECOND_KEY_MS : 0;
      if (view !== undefined) go(linkTo(view));
      else if (event.key === '?') onHelp();
      else if (event.key === '/') focusSearch();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

function focusSearch(): void {
  const search = document.querySelector<HTMLInputElement>('[data-search]');
  search?.focus();
  search?.select();
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input:not([type=checkbox], [type=range]), textarea, select');
}
