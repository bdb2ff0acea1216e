// One document, with a slider over its events: as it was after each, what that changed, and the event that did it.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { DocumentReply, HistoryReply, HistoryStep, StepReply } from '../../api.ts';
import { count, several, time } from '../format.ts';
import { JsonView } from '../json-view.tsx';
import { Answer, Close, Copy, Empty, Failure, Loading, Panel, Time } from '../parts.tsx';
import { useQuery } from '../query.ts';
import { goInPlace, linkTo } from '../route.ts';
import { useSettings } from '../settings.ts';
import { Linked } from './event.tsx';

export interface DocumentProps {
  readonly projection: string;
  readonly documentKey: string;
  /** As the address has it; undefined for the last. */
  readonly step: string | undefined;
  readonly startsWith: string | undefined;
}

export function DocumentPane(props: DocumentProps): JSX.Element {
  const settings = useSettings();
  if (!settings) return <Loading what="the document" />;
  return (
    <article>
      <header class="document-head">
        <h2>
          <bdi class="mono">{props.documentKey}</bdi>
        </h2>
        <Copy text={props.documentKey} what="key" />
        <Close link={linkTo('documents', { projection: props.projection, startsWith: props.startsWith })} what="document" />
      </header>
      {settings.projections.includes(props.projection) ? <Past {...props} /> : <Stored {...props} />}
    </article>
  );
}

/** As it is stored: all that can be known without the code. */
function Stored({ projection, documentKey: key }: DocumentProps): JSX.Element {
  const asked = useQuery<DocumentReply>('document', { projection, key });
  return (
    <>
      <p class="note">
        This page does not know the code of <bdi class="mono">{projection}</bdi>, so it shows the document as it is stored, and not how it became so.
        Start it with <code>millrace ui --app your-module.js</code>, or give <code>projections</code> to <code>dashboard()</code>, to see it after
        each of its events.
      </p>
      <Answer asked={asked} what="the document">
        {({ state, position }) => (
          <Panel title="As it is stored" aside={<Copy text={JSON.stringify(state, null, 2) ?? ''} what="document" />}>
            <JsonView value={state} />
            {position !== undefined && (
              <p class="quiet below">
                Folded up to{' '}
                <a class="mono" href={linkTo('event', { position })}>
                  {position}
                </a>
              </p>
            )}
          </Panel>
        )}
      </Answer>
    </>
  );
}

function Past(props: DocumentProps): JSX.Element {
  const asked = useQuery<HistoryReply>('history', { projection: props.projection, key: props.documentKey });
  return (
    <Answer asked={asked} what="the events of the document">
      {(history) =>
        history.total === 0 ? (
          <Empty title="No event of this document was found.">The projection takes none with this key.</Empty>
        ) : (
          <Slider {...props} history={history} again={asked.again} />
        )
      }
    </Answer>
  );
}

/** The address follows a slider that moves when it rests: browsers allow only so many changes of it. */
const REST_MS = 200;

function Slider(props: DocumentProps & { readonly history: HistoryReply; readonly again: () => void }): JSX.Element {
  const { projection, documentKey: key, startsWith, history, again } = props;
  const [first, last] = [history.steps[0]?.step ?? 1, history.total];
  const given = Number(props.step ?? last);
  const [step, setStep] = useState(given);
  const at = Math.min(last, Math.max(first, Number.isSafeInteger(step) ? step : last));
  useEffect(() => setStep(given), [given]);
  useEffect(() => {
    if (at === given) return undefined;
    const timer = setTimeout(() => goInPlace(linkTo('documents', { projection, startsWith, key, step: at })), REST_MS);
    return () => clearTimeout(timer);
  }, [at]);
  const current = history.steps[at - first];
  return (
    <>
      <div class="panel slider">
        <div class="row">
          <button type="button" class="small" disabled={at === first} onClick={() => setStep(at - 1)} aria-label="One event back">
            ←
          </button>
          <input
            type="range"
            class="range"
            min={first}
            max={last}
            value={at}
            aria-label="Event of the document"
            aria-valuetext={current && `${at} of ${last}: ${current.type}, ${time(current.recordedAt)}`}
            onInput={(event) => setStep(Number(event.currentTarget.value))}
          />
          <button type="button" class="small" disabled={at === last} onClick={() => setStep(at + 1)} aria-label="One event on">
            →
          </button>
        </div>
        <p class="slider-at">
          <span>
            Event <span class="mono strong">{count(at)}</span> of {count(last)}
          </span>
          {current && <bdi class="type">{current.type}</bdi>}
          {current && <Time iso={current.recordedAt} />}
          <button type="button" class="small" onClick={again}>
            Look for newer
          </button>
        </p>
        {first > 1 && <p class="quiet">Only its last {several(history.steps.length, 'event')} can be looked at.</p>}
      </div>
      <Step projection={projection} documentKey={key} step={at} current={current} />
    </>
  );
}

interface StepProps {
  readonly projection: string;
  readonly documentKey: string;
  readonly step: number;
  readonly current: HistoryStep | undefined;
}

function Step({ projection, documentKey: key, step }: StepProps): JSX.Element {
  const { data, error, again } = useQuery<StepReply>('step', { projection, key, step }, { keepsLast: true });
  if (error) return <Failure error={error} again={again} />;
  if (!data) return <Loading what="the document" />;
  const isGone = data.after === null;
  return (
    <div class="two" data-step={data.step}>
      <Panel title={`Document after event ${count(data.step)}`} aside={<Copy text={JSON.stringify(data.after, null, 2)} what="document" />}>
        {isGone && <p class="note">The event removed the document. Below stands what it was.</p>}
        {isGone ? (
          <JsonView value={data.before} />
        ) : (
          <JsonView value={data.after} before={data.before === null ? undefined : { value: data.before }} />
        )}
        {data.before === null && !isGone && <p class="quiet below">This event made the document: there was none before.</p>}
      </Panel>
      <div>
        <Panel title="The event that did it">
          <Linked event={data.event} />
          <JsonView value={data.event.data} />
        </Panel>
        <Panel title={data.changes.length === 0 ? 'It changed nothing' : `It changed ${several(data.changes.length, 'place')}`}>
          <Changes changes={data.changes} />
        </Panel>
      </div>
    </div>
  );
}

const SIGNS = { added: '+', removed: '−', changed: '~' } as const;
const CHANGES_MAX = 100;

/** What changed, a line each: with a sign and a word, not by colour alone. */
export function Changes({ changes }: Pick<StepReply, 'changes'>): JSX.Element {
  return (
    <ul class="changes">
      {changes.slice(0, CHANGES_MAX).map(({ kind, path, before, after }) => (
        <li key={path} class={kind}>
          <span class="sign" aria-hidden="true">
            {SIGNS[kind]}
          </span>
          <span class="word">{kind}</span> <bdi class="mono strong">{path === '' ? 'the whole' : path}</bdi>{' '}
          {kind !== 'added' && <Short value={before} isGone />}
          {kind === 'changed' && <span aria-hidden="true"> → </span>}
          {kind !== 'removed' && <Short value={after} />}
        </li>
      ))}
      {changes.length > CHANGES_MAX && <li class="quiet">and {several(changes.length - CHANGES_MAX, 'other place')}</li>}
    </ul>
  );
}

function Short({ value, isGone = false }: { readonly value: unknown; readonly isGone?: boolean }): JSX.Element {
  const text = JSON.stringify(value) ?? 'undefined';
  const shown = <bdi>{text.length > 200 ? `${text.slice(0, 200)}…` : text}</bdi>;
  return isGone ? <del class="mono">{shown}</del> : <span class="mono">{shown}</span>;
}
