// The keys of the page, and the list of them.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { go, linkTo } from './route.ts';

const VIEWS: Readonly<Record<string, string>> = { n: 'now', e: 'events', d: 'documents', p: 'processors', l: 'dead-letters' };

const LIST: readonly (readonly [string, string])[] = [
  ['g n', 'Now'],
  ['g e', 'Events'],
  ['g d', 'Documents'],
  ['g p', 'Processors'],
  ['g l', 'Dead letters'],
  ['/', 'to the search'],
  ['← → Home End', 'on the slider: through the past of a document'],
  ['?', 'this list'],
];

const SEQUENCE_MS = 1_000;

/** `g` and a letter go to a view, `/` to the search, `?` shows the list; never while somebody writes. */
export function useKeys(showList: () => void): void {
  const wasG = useRef(0);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
      const view = performance.now() - wasG.current < SEQUENCE_MS ? VIEWS[event.key] : undefined;
      wasG.current = event.key === 'g' ? performance.now() : Number.NEGATIVE_INFINITY;
      if (view !== undefined) go(linkTo(view));
      else if (event.key === '?') showList();
      else if (event.key !== '/') return;
      else document.getElementById('search')?.focus();
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && target.type !== 'range' && target.type !== 'checkbox')
  );
}

export function Keys({ close }: { close: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={close}>
      <h2 id="keys-title">Keys</h2>
      <dl class="facts">
        {LIST.map(([keys, what]) => (
          <>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
