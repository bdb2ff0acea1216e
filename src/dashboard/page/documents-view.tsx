// The view "Documents": a projection's document, as it is, and by a slider as it was after each of its events.
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { DocumentReply, DocumentsReply, HistoryReply, HistoryStep, StepReply } from '../api.ts';
import { count } from './format.ts';
import { JsonView, marksOf } from './json-view.tsx';
import type { Live } from './live.ts';
import { Answer, Failure, Time } from './parts.tsx';
import { type Processor, titleOf } from './processor-table.tsx';
import { useQuery } from './query.ts';
import { go, linkTo, type Route } from './route.ts';

interface Shown {
  readonly projection: string;
  readonly key: string;
}

export function DocumentsView({ params, live, withCode }: { params: Route['params']; live: Live; withCode: readonly string[] }): JSX.Element {
  const projections = (live.now?.processors ?? []).filter(({ kind }) => kind === 'projection');
  const projection = params['projection'] ?? titleOrNone(projections.find(({ isServing }) => isServing) ?? projections[0]);
  const key = params['key'] ?? '';
  return (
    <>
      <h1>Documents</h1>
      {live.now && projections.length === 0 && <p class="quiet">No projection is known here: a StreamProcessor tells what it runs when it starts.</p>}
      {projection !== '' && <Choice projections={projections} projection={projection} chosen={key} />}
      {projection !== '' && key !== '' && (
        <Chosen key={`${projection} ${key}`} shown={{ projection, key }} step={params['step']} hasCode={withCode.includes(projection)} />
      )}
    </>
  );
}

function titleOrNone(projection: Processor | undefined): string {
  return projection ? titleOf(projection) : '';
}

function Choice({ projections, projection, chosen }: { projections: readonly Processor[]; projection: string; chosen: string }): JSX.Element {
  const [prefix, setPrefix] = useState('');
  const asked = useQuery<DocumentsReply>('documents', { projection, startsWith: prefix, limit: 30 });
  return (
    <section aria-label="Which document">
      <form
        class="search"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          go(linkTo('documents', { projection, key: prefix }));
        }}
      >
        <label>
          Projection
          <select value={projection} onChange={(event) => go(linkTo('documents', { projection: event.currentTarget.value, key: chosen }))}>
            {projections.map((each) => (
              <option key={titleOf(each)} value={titleOf(each)}>
                {titleOf(each)}
                {each.isServing ? ' (serves)' : ''}
              </option>
            ))}
          </select>
        </label>
        <label>
          Key, or how it begins
          <input id="search" value={prefix} onInput={(event) => setPrefix(event.currentTarget.value)} />
        </label>
        <div class="actions">
          <button type="submit">Open</button>
        </div>
      </form>
      <Answer asked={asked} what="keys">
        {({ keys, hasMore }) => (
          <p class="chips">
            {keys.length === 0 && <span class="quiet">No document begins so.</span>}
            {keys.map((key) => (
              <a key={key} class="chip mono" aria-current={key === chosen ? 'true' : undefined} href={linkTo('documents', { projection, key })}>
                <bdi>{key}</bdi>
              </a>
            ))}
            {hasMore && <span class="quiet">and more: write how the key begins</span>}
          </p>
        )}
      </Answer>
    </section>
  );
}

function Chosen({ shown, step, hasCode }: { shown: Shown; step: string | undefined; hasCode: boolean }): JSX.Element {
  return (
    <section aria-label="The document">
      <h2 class="mono">
        <bdi>{shown.key}</bdi>
      </h2>
      {hasCode ? <Past shown={shown} step={step} /> : <Stored shown={shown} />}
    </section>
  );
}

function Stored({ shown }: { shown: Shown }): JSX.Element {
  const asked = useQuery<DocumentReply>('document', { ...shown });
  return (
    <>
      <p class="quiet">
        As it is stored. To see how it became so, give the page the code of this projection: <code>millrace ui --app</code>, or{' '}
        <code>projections</code> of <code>dashboard()</code>.
      </p>
      <Answer asked={asked} what="the document">
        {({ state }) => <JsonView value={state} />}
      </Answer>
    </>
  );
}

function Past({ shown, step }: { shown: Shown; step: string | undefined }): JSX.Element {
  const asked = useQuery<HistoryReply>('history', { ...shown });
  return (
    <Answer asked={asked} what="the past of the document">
      {(history) => {
        if (history.total === 0) return <p class="quiet">No event belongs to such a document.</p>;
        const asFar = step === undefined ? history.total : Math.min(history.total, Math.max(1, Number(step) || history.total));
        return <Slider shown={shown} history={history} step={asFar} again={asked.again} />;
      }}
    </Answer>
  );
}

function Slider({ shown, history, step, again }: { shown: Shown; history: HistoryReply; step: number; again: () => void }): JSX.Element {
  const { steps, total } = history;
  const first = steps[0]?.step ?? 1;
  const at = steps[step - first];
  const slide = (to: number): void => {
    if (to >= first && to <= total) go(linkTo('documents', { ...shown, step: to }), true);
  };
  return (
    <>
      <div class="slider">
        <button type="button" aria-label="One event back" disabled={step <= first} onClick={() => slide(step - 1)}>
          ◂
        </button>
        <label>
          <span class="hidden">After which of its events</span>
          <input
            type="range"
            min={first}
            max={total}
            value={step}
            aria-valuetext={at ? `event ${step} of ${total}: ${at.type}, ${at.recordedAt}` : String(step)}
            onInput={(event) => slide(Number(event.currentTarget.value))}
          />
        </label>
        <button type="button" aria-label="One event on" disabled={step >= total} onClick={() => slide(step + 1)}>
          ▸
        </button>
        <span class="number quiet">
          {count(step)} of {count(total)}
        </span>
        <button type="button" class="small" onClick={again}>
          Look for newer
        </button>
      </div>
      {first > 1 && (
        <p class="quiet">
          Of {count(total)} events the last {count(steps.length)} can be looked at here.
        </p>
      )}
      <AtStep shown={shown} step={step} at={at} />
    </>
  );
}

/** The last one that came stays while the next is on its way, so that sliding does not flicker. */
function AtStep({ shown, step, at }: { shown: Shown; step: number; at: HistoryStep | undefined }): JSX.Element {
  const settled = useSettled(step);
  const asked = useQuery<StepReply>('step', { ...shown, step: settled });
  const last = useRef<StepReply | undefined>(undefined);
  if (asked.data) last.current = asked.data;
  const reply = asked.data ?? last.current;
  const marks = useMemo(() => marksOf(reply?.changes ?? []), [reply]);
  if (asked.error) return <Failure error={asked.error} again={asked.again} />;
  return (
    <div class="columns" aria-busy={reply?.step !== step}>
      <section aria-live="polite">
        <h3>
          After event {count(reply?.step ?? step)} <Legend />
        </h3>
        {reply?.after === null ? <p class="quiet">This event removed the document.</p> : reply && <JsonView value={reply.after} marks={marks} />}
      </section>
      <section>
        <h3>The event that did it</h3>
        {at && (
          <p>
            <a href={linkTo('event', { position: at.position })}>
              <bdi>{at.type}</bdi>
            </a>{' '}
            <span class="mono quiet">
              <bdi>
                {at.streamName}@{at.streamVersion}
              </bdi>
            </span>{' '}
            <Time iso={at.recordedAt} />
          </p>
        )}
        {reply && <JsonView value={reply.event.data} />}
      </section>
    </div>
  );
}

function Legend(): JSX.Element {
  return (
    <span class="legend">
      <span class="added">+ added</span> <span class="changed">~ changed</span> <span class="removed">− removed</span>
    </span>
  );
}

const SETTLE_MS = 60;

/** What a value was before it moved on within a moment: a slider that is pulled asks for where it stops. */
function useSettled(value: number): number {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
