// A dialog over the page: the keyboard stays inside, Escape closes it; and the one that asks before something is destroyed.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

export function Dialog(props: { readonly title: string; readonly onClose: () => void; readonly children: ComponentChildren }): JSX.Element {
  const { title, onClose, children } = props;
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} aria-labelledby={id} onClose={onClose}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="small" onClick={onClose}>
          Close
        </button>
      </header>
      {children}
    </dialog>
  );
}

/** A question before something is done. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says. */
  readonly verb: string;
  /** What has to be typed first, where it destroys something. */
  readonly typed?: string;
  /** More to fill in. */
  readonly fields?: ComponentChildren;
  readonly onYes: () => void;
}

export function Confirm({ question, onClose }: { readonly question: Question; readonly onClose: () => void }): JSX.Element {
  const { title, text, verb, typed, fields, onYes } = question;
  const [given, setGiven] = useState('');
  const isReady = typed === undefined || given === typed;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (!isReady) return;
    onClose();
    onYes();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit} class="stack">
        <p>{text}</p>
        {fields}
        {typed !== undefined && (
          <label class="field">
            <span>
              Type <bdi class="mono strong">{typed}</bdi> to go on
            </span>
            <input class="mono" autoComplete="off" spellcheck={false} value={given} onInput={(event) => setGiven(event.currentTarget.value)} />
          </label>
        )}
        <div class="row end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={typed === undefined ? 'primary' : 'danger'} disabled={!isReady}>
            {verb}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
