// One dead letter: its event, its error, what waits, and an editor for what its handler is to get instead.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { DeadLettersReply } from '../api.ts';
import { post } from './client.ts';
import { count } from './format.ts';
import { JsonView } from './json-view.tsx';
import { Failure, Time } from './parts.tsx';
import type { Allowed } from './processors-view.tsx';
import { linkTo } from './route.ts';

type Letter = DeadLettersReply['letters'][number];

interface DetailProps {
  readonly reactor: string;
  readonly letter: Letter;
  readonly allowed: Allowed;
  readonly again: () => void;
}

export function LetterDetail({ reactor, letter, allowed, again }: DetailProps): JSX.Element {
  return (
    <section aria-label="The letter" class="panel">
      <h2>
        <bdi>{letter.event?.type ?? letter.id}</bdi>
      </h2>
      <p>
        <strong>{letter.error.name}</strong>: <bdi class="message">{letter.error.message}</bdi>
      </p>
      <p class="quiet">
        Tried {letter.attempts} times, {letter.retries} of them by hand; first failed <Time iso={letter.firstFailedAt} />, last{' '}
        <Time iso={letter.lastFailedAt} />. {count(letter.eventsWaiting)} events wait behind it
        {letter.key === undefined ? '' : ` (${letter.key})`}.
      </p>
      {letter.error.stack !== undefined && (
        <details>
          <summary>Stack</summary>
          <pre class="mono">{letter.error.stack}</pre>
        </details>
      )}
      {letter.event && (
        <p>
          <a href={linkTo('event', { position: letter.event.position })}>Its event</a>
        </p>
      )}
      <JsonView value={letter.edit?.data ?? letter.event?.data} />
      {letter.edit && <p class="quiet">This is what its handler gets; the log has the event as it was.</p>}
      {allowed.allowWrites && letter.event && <Editor reactor={reactor} letter={letter} again={again} />}
    </section>
  );
}

function Editor({ reactor, letter, again }: Omit<DetailProps, 'allowed'>): JSX.Element {
  const { type = '', data, metadata } = letter.edit ?? letter.event ?? {};
  const [text, setText] = useState(() => JSON.stringify({ type, data, metadata }, undefined, 2));
  const [error, setError] = useState<Error | undefined>();
  const [told, setTold] = useState('');
  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setError(undefined);
    setTold('');
    try {
      const { count: asked } = await post<{ count: number }>('retry', { reactor, ids: [letter.id], event: parsed(text) });
      setTold(asked === 1 ? 'It is tried again with this, within a second where a processor runs it.' : 'It was closed meanwhile.');
      again();
    } catch (failure) {
      setError(failure as Error);
    }
  };
  return (
    <form class="editor" onSubmit={(event) => void send(event)}>
      <label>
        Retry with another event: its type, data and metadata. The log keeps the event as it was.
        <textarea
          class="mono"
          spellcheck={false}
          rows={Math.min(24, text.split('\n').length + 1)}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      {error && <Failure error={error} />}
      <p role="status">{told}</p>
      <div class="actions">
        <button type="submit">Retry with this event</button>
        <button type="button" onClick={() => void post('retry', { reactor, ids: [letter.id] }).then(again, setError)}>
          Retry as it is
        </button>
      </div>
    </form>
  );
}

/** Throws with where the JSON is wrong, as the browser tells it. */
function parsed(text: string): object {
  const value: unknown = JSON.parse(text);
  if (typeof value === 'object' && value !== null && 'type' in value && 'data' in value) return value;
  throw new Error('Expected an object with type and data, found something else. Nothing was done.');
}
