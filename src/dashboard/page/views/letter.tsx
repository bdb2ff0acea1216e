// One dead letter: its event, the error, and what can be done: try again, edit and try again, discard.
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { DeadLettersReply, DoneReply } from '../../api.ts';
import { several } from '../format.ts';
import { jsonProblemOf } from '../json-problem.ts';
import { JsonView } from '../json-view.tsx';
import { Close, Fact, Time } from '../parts.tsx';
import { linkTo } from '../route.ts';
import { useSettings } from '../settings.ts';
import type { Acting } from './acting.tsx';
import { Linked } from './event.tsx';

export type Letter = DeadLettersReply['letters'][number];

export interface LetterProps {
  readonly reactor: string;
  readonly letter: Letter;
  readonly acting: Acting;
  /** The way back to the list. */
  readonly close: string;
}

export function LetterPane({ reactor, letter, acting, close }: LetterProps): JSX.Element {
  const { event, error, attempts, retries, firstFailedAt, lastFailedAt, eventsWaiting, key, edit } = letter;
  return (
    <article class="panel detail">
      <header class="panel-head">
        <h2>
          <bdi>{event?.type ?? 'An event that is gone'}</bdi>
        </h2>
        <Close link={close} what="letter" />
      </header>
      <LetterActions reactor={reactor} letter={letter} acting={acting} />
      <div class="state failure">
        <p class="mono strong">
          <bdi>
            {error.name}: {error.message}
          </bdi>
        </p>
        {error.stack !== undefined && (
          <details>
            <summary>Stack</summary>
            <pre tabIndex={0}>{error.stack}</pre>
          </details>
        )}
      </div>
      <dl class="facts">
        <Fact name="Attempts">
          {attempts}
          {retries > 0 && `, asked for again ${several(retries, 'time')}`}
        </Fact>
        <Fact name="Failed first">
          <Time iso={firstFailedAt} />
        </Fact>
        <Fact name="Failed last">
          <Time iso={lastFailedAt} />
        </Fact>
        <Fact name="Waiting behind it">{key === undefined ? 'nothing: this reactor keeps no order' : several(eventsWaiting, 'event')}</Fact>
      </dl>
      {event ? (
        <>
          <h3>Event</h3>
          <Linked event={event} />
          <JsonView value={event.data} />
        </>
      ) : (
        <p class="note">Its event was removed from the log, so it can only be discarded.</p>
      )}
      {edit && (
        <>
          <h3>What its handler gets instead</h3>
          <JsonView value={edit} />
        </>
      )}
      <p>
        <a href={linkTo('processors', { open: reactor })}>
          The reactor <bdi>{reactor}</bdi>
        </a>
      </p>
    </article>
  );
}

function LetterActions({ reactor, letter: { id, event, edit }, acting: { isBusy, act, ask } }: Omit<LetterProps, 'close'>): JSX.Element | null {
  const settings = useSettings();
  const [isEditing, setEditing] = useState(false);
  if (!settings?.allowWrites) return null;
  const retry = (edited?: object): void =>
    act<DoneReply>('retry', { reactor, ids: [id], ...(edited === undefined ? {} : { event: edited }) }, ({ count }) =>
      count > 0 ? `Asked that it be tried again. Whoever runs ${reactor} does it.` : 'It is open no more.',
    );
  const discard = (): void =>
    ask({
      title: 'Discard the letter',
      text: 'It is closed for good, without being handled. The event stays in the log; what waits behind it goes on.',
      verb: 'Discard',
      typed: 'discard',
      onYes: () => act<DoneReply>('discard', { reactor, ids: [id] }, ({ count }) => (count > 0 ? 'Discarded.' : 'It is open no more.')),
    });
  return (
    <>
      <div class="row actions">
        {event && (
          <button type="button" class="primary" disabled={isBusy} onClick={() => retry()}>
            Try it again
          </button>
        )}
        {event && (
          <button type="button" aria-expanded={isEditing} onClick={() => setEditing(!isEditing)}>
            Edit it first
          </button>
        )}
        <button type="button" class="danger" disabled={isBusy} onClick={discard}>
          Discard …
        </button>
      </div>
      {isEditing && event && (
        <Editor
          start={edit ?? { type: event.type, data: event.data }}
          onDone={(edited) => {
            setEditing(false);
            retry(edited);
          }}
        />
      )}
    </>
  );
}

/** What is no JSON is said with where, and the cursor goes there. */
function Editor({ start, onDone }: { readonly start: object; readonly onDone: (edited: object) => void }): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const text = area.current?.value ?? '';
    const parsed = parse(text);
    setProblem(parsed.problem);
    if (parsed.value) onDone(parsed.value);
    else if (parsed.at !== undefined) placeCursor(area.current, parsed.at);
  };
  return (
    <form class="stack editor" onSubmit={submit}>
      <label class="field">
        <span>What the handler gets instead: type, data, and metadata where that is to change. The log keeps the event as it was.</span>
        <textarea
          ref={area}
          class="mono"
          rows={12}
          spellcheck={false}
          aria-invalid={problem !== undefined}
          aria-describedby="editor-problem"
          defaultValue={JSON.stringify(start, null, 2)}
        />
      </label>
      <p id="editor-problem" class="bad" role="alert">
        {problem}
      </p>
      <div class="row end">
        <button type="submit" class="primary">
          Try it again with this
        </button>
      </div>
    </form>
  );
}

interface Parsed {
  readonly value?: object;
  readonly problem?: string;
  readonly at?: number;
}

function parse(text: string): Parsed {
  const problem = jsonProblemOf(text);
  if (problem) return { problem: `This is no JSON at line ${problem.line}, column ${problem.column}: expected ${problem.expected}.`, at: problem.at };
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string' || !('data' in value))
    return { problem: 'Expected an object with the properties type, a text, and data.' };
  return { value };
}

function placeCursor(area: HTMLTextAreaElement | null, at: number): void {
  area?.focus();
  area?.setSelectionRange(at, at);
}
