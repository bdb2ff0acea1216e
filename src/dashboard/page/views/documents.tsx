// The view "Documents": a projection, its keys by how they begin, and one document beside.
import type { JSX } from 'preact';
import type { DocumentReply, DocumentsReply } from '../../api.ts';
import { filledIn } from '../form.ts';
import { count, several } from '../format.ts';
import { useLive } from '../live.tsx';
import { Answer, Empty, Loading, Panel } from '../parts.tsx';
import { useQuery } from '../query.ts';
import { go, linkTo, type Route } from '../route.ts';
import { useSettings } from '../settings.ts';
import { DocumentPane } from './document.tsx';
import { idOf } from './processor-state.tsx';

const KEYS_MAX = 200;

export function DocumentsView({ params }: Route): JSX.Element {
  const known = useProjections();
  const { startsWith, key, step } = params;
  const projection = params['projection'] ?? known?.[0];
  if (projection === undefined)
    return known === undefined ? (
      <Loading what="projections" />
    ) : (
      <Empty title="No projection is stored here yet.">
        Run a StreamProcessor with one: its documents stand here as soon as it has folded events.
      </Empty>
    );
  return (
    <>
      <h1 class="hidden">Documents</h1>
      <KeySearch key={`${projection} ${startsWith ?? ''}`} projections={known ?? []} projection={projection} startsWith={startsWith ?? ''} />
      <div class={`split documents ${key === undefined ? '' : 'is-open'}`}>
        <div class="split-list">
          <Keys projection={projection} startsWith={startsWith} open={key} />
        </div>
        {key !== undefined && (
          <div class="split-detail">
            <DocumentPane key={`${projection} ${key}`} projection={projection} documentKey={key} step={step} startsWith={startsWith} />
          </div>
        )}
      </div>
    </>
  );
}

/** Those that run here, and those whose code is here; undefined until that is known. */
function useProjections(): readonly string[] | undefined {
  const { now } = useLive();
  const settings = useSettings();
  if (!now || !settings) return undefined;
  const running = now.processors.filter(({ kind }) => kind === 'projection').map(idOf);
  return [...new Set([...running, ...settings.projections])].toSorted();
}

function KeySearch(props: { readonly projections: readonly string[]; readonly projection: string; readonly startsWith: string }): JSX.Element {
  const { projections, projection, startsWith } = props;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const form = new FormData(event.currentTarget);
    go(linkTo('documents', { projection: filledIn(form, 'projection'), startsWith: filledIn(form, 'startsWith') }));
  };
  const all = projections.includes(projection) ? projections : [projection, ...projections];
  return (
    <form class="search" role="search" aria-label="Documents" onSubmit={submit}>
      <label class="field">
        <span>Projection</span>
        <select name="projection" onChange={(event) => go(linkTo('documents', { projection: event.currentTarget.value }))}>
          {all.map((each) => (
            <option key={each} value={each} selected={each === projection}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <label class="field wide">
        <span>Key begins with</span>
        <input name="startsWith" data-search autoComplete="off" spellcheck={false} defaultValue={startsWith} placeholder="any" />
      </label>
      <button type="submit" class="primary">
        Find
      </button>
    </form>
  );
}

function titleOf(reply: DocumentsReply | undefined): string {
  if (!reply) return 'Documents';
  return reply.hasMore ? `${count(reply.keys.length)} of many documents` : several(reply.keys.length, 'document');
}

interface KeysProps {
  readonly projection: string;
  readonly startsWith: string | undefined;
  readonly open: string | undefined;
}

function Keys({ projection, startsWith, open }: KeysProps): JSX.Element {
  const asked = useQuery<DocumentsReply>('documents', { projection, startsWith, limit: KEYS_MAX });
  // Of many that begin so the one that is meant may not be among those that were told.
  const isHidden = asked.data?.hasMore === true && startsWith !== undefined && !asked.data.keys.includes(startsWith);
  const exact = useQuery<DocumentReply>(isHidden ? 'document' : undefined, { projection, key: startsWith });
  return (
    <Panel title={titleOf(asked.data)}>
      <Answer asked={asked} what="documents">
        {({ keys, hasMore }) => (
          <>
            {keys.length === 0 && (
              <Empty title="No document fits.">
                {startsWith === undefined ? 'This projection stored none yet.' : 'Give another beginning of its key, or none.'}
              </Empty>
            )}
            <ul class="keys-list">
              {(exact.data && startsWith !== undefined ? [startsWith, ...keys] : keys).map((key) => (
                <li key={key}>
                  <a href={linkTo('documents', { projection, startsWith, key })} aria-current={key === open ? 'true' : undefined}>
                    <bdi class="mono">{key}</bdi>
                  </a>
                </li>
              ))}
            </ul>
            {hasMore && (
              <p class="quiet below">There are more, in no order. Type how the key begins, or the whole of it, to find the one you mean.</p>
            )}
          </>
        )}
      </Answer>
    </Panel>
  );
}
