// The view "Dead letters": what reactors gave up on, with its error; retried, edited or discarded where that is allowed.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { DeadLettersReply, DoneReply } from '../api.ts';
import { post } from './client.ts';
import { type Asking, Dialog } from './dialog.tsx';
import { count } from './format.ts';
import { LetterDetail } from './letter-detail.tsx';
import type { Live } from './live.ts';
import { Answer, Badge, Failure, Table, Time } from './parts.tsx';
import { titleOf } from './processor-table.tsx';
import { type Allowed, ReadOnly } from './processors-view.tsx';
import { useQuery } from './query.ts';
import { go, linkTo, type Route } from './route.ts';

const REFRESH_MS = 2_000;

export function DeadLettersView({ params, live, allowed }: { params: Route['params']; live: Live; allowed: Allowed }): JSX.Element {
  const reactors = (live.now?.processors ?? []).filter(({ kind }) => kind === 'reactor' || kind === 'process-manager');
  const first = reactors.find(({ deadLetters }) => deadLetters > 0) ?? reactors[0];
  const reactor = params['of'] ?? (first ? titleOf(first) : '');
  return (
    <>
      <h1>Dead letters</h1>
      {live.now && reactors.length === 0 && <p class="quiet">No reactor is known here: a StreamProcessor tells what it runs when it starts.</p>}
      {reactors.length > 0 && (
        <p class="chips">
          {reactors.map((each) => (
            <a
              key={titleOf(each)}
              class="chip"
              aria-current={titleOf(each) === reactor ? 'true' : undefined}
              href={linkTo('dead-letters', { of: titleOf(each) })}
            >
              <bdi>{titleOf(each)}</bdi> <span class="quiet">{count(each.deadLetters)}</span>
            </a>
          ))}
        </p>
      )}
      {reactor !== '' && <Letters key={reactor} reactor={reactor} id={params['id']} allowed={allowed} />}
      <ReadOnly allowed={allowed} />
    </>
  );
}

function Letters({ reactor, id, allowed }: { reactor: string; id: string | undefined; allowed: Allowed }): JSX.Element {
  const asked = useQuery<DeadLettersReply>('dead-letters', { reactor, limit: 100 }, REFRESH_MS);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const choose = (letterId: string, isChosen: boolean): void => {
    const next = new Set(chosen);
    if (isChosen) next.add(letterId);
    else next.delete(letterId);
    setChosen(next);
  };
  return (
    <Answer asked={asked} what="dead letters">
      {({ letters, count: all }) => (
        <>
          {all === 0 && <p class="quiet">None: everything was handled, or discarded.</p>}
          {allowed.allowWrites && all > 0 && (
            <Deeds
              reactor={reactor}
              chosen={[...chosen].filter((each) => letters.some((letter) => letter.id === each))}
              all={all}
              again={asked.again}
            />
          )}
          {letters.length > 0 && (
            <Table
              label="Dead letters"
              heads={[
                ...(allowed.allowWrites ? [''] : []),
                'Event',
                'Type',
                'Error',
                { text: 'Attempts', isNumber: true },
                'Last failed',
                { text: 'Waiting', isNumber: true },
                '',
              ]}
            >
              {letters.map((letter) => (
                <tr key={letter.id} aria-current={letter.id === id ? 'true' : undefined}>
                  {allowed.allowWrites && (
                    <td>
                      <input
                        type="checkbox"
                        aria-label={`Choose ${letter.id}`}
                        checked={chosen.has(letter.id)}
                        onChange={(event) => choose(letter.id, event.currentTarget.checked)}
                      />
                    </td>
                  )}
                  <td class="mono cut">
                    <a href={linkTo('dead-letters', { of: reactor, id: letter.id })}>
                      <bdi>{letter.event ? `${letter.event.streamName}@${letter.event.streamVersion}` : letter.id}</bdi>
                    </a>
                  </td>
                  <td class="cut">
                    <bdi>{letter.event?.type ?? 'removed from the log'}</bdi>
                  </td>
                  <td class="cut wide">
                    <bdi>{letter.error.message}</bdi>
                  </td>
                  <td class="number">{letter.attempts}</td>
                  <td>
                    <Time iso={letter.lastFailedAt} />
                  </td>
                  <td class="number">{letter.eventsWaiting}</td>
                  <td>{letter.state === 'retrying' && <Badge tone="plain">to be tried again</Badge>}</td>
                </tr>
              ))}
            </Table>
          )}
          {all > letters.length && (
            <p class="quiet">
              The first {letters.length} of {count(all)} are shown.
            </p>
          )}
          <Opened reactor={reactor} id={id} letters={letters} allowed={allowed} again={asked.again} />
        </>
      )}
    </Answer>
  );
}

function Opened({
  reactor,
  id,
  letters,
  allowed,
  again,
}: {
  reactor: string;
  id: string | undefined;
  letters: DeadLettersReply['letters'];
  allowed: Allowed;
  again: () => void;
}): JSX.Element | null {
  if (id === undefined) return null;
  const letter = letters.find((each) => each.id === id);
  if (!letter) return <p role="status">This letter is closed: it was handled or discarded.</p>;
  return <LetterDetail key={id} reactor={reactor} letter={letter} allowed={allowed} again={again} />;
}

function Deeds({ reactor, chosen, all, again }: { reactor: string; chosen: readonly string[]; all: number; again: () => void }): JSX.Element {
  const [asking, setAsking] = useState<Asking | undefined>();
  const [told, setTold] = useState('');
  const [error, setError] = useState<Error | undefined>();
  const retry = async (ids: readonly string[] | 'all'): Promise<void> => {
    setError(undefined);
    try {
      const { count: asked } = await post<DoneReply>('retry', { reactor, ids });
      setTold(`${count(asked)} are tried again, within a second where a processor runs it.`);
      again();
    } catch (failure) {
      setError(failure as Error);
    }
  };
  const discard = (ids: readonly string[] | 'all', number: number): Asking => ({
    title: `Discard ${count(number)} dead letters?`,
    text: <p>They are closed for good without their events being handled. What waits behind them goes on.</p>,
    ...(ids === 'all' ? { typed: reactor } : {}),
    verb: 'Discard',
    run: async () => {
      const { count: done } = await post<DoneReply>('discard', { reactor, ids });
      setTold(`${count(done)} were discarded.`);
      go(linkTo('dead-letters', { of: reactor }));
      again();
    },
  });
  return (
    <>
      <div class="actions">
        <button type="button" disabled={chosen.length === 0} onClick={() => void retry(chosen)}>
          Retry chosen{chosen.length > 0 ? ` (${chosen.length})` : ''}
        </button>
        <button type="button" onClick={() => void retry('all')}>
          Retry all
        </button>
        <button type="button" class="danger" disabled={chosen.length === 0} onClick={() => setAsking(discard(chosen, chosen.length))}>
          Discard chosen
        </button>
        <button type="button" class="danger" onClick={() => setAsking(discard('all', all))}>
          Discard all
        </button>
      </div>
      <p role="status">{told}</p>
      {error && <Failure error={error} />}
      {asking && <Dialog asking={asking} close={() => setAsking(undefined)} />}
    </>
  );
}
