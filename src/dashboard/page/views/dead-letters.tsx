// The view "Dead letters": the events that a reactor gave up on, to try again, one, some or all, or to discard.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { DeadLettersReply, DoneReply } from '../../api.ts';
import { several } from '../format.ts';
import { useLive } from '../live.tsx';
import { Answer, Empty, Loading, Panel, Table, Time } from '../parts.tsx';
import { useQuery } from '../query.ts';
import { linkTo, type Route } from '../route.ts';
import { useSettings } from '../settings.ts';
import { type Acting, ReadOnlyNote, useActing } from './acting.tsx';
import { type Letter, LetterPane } from './letter.tsx';
import { idOf } from './processor-state.tsx';

const LETTERS_MAX = 100;
/** Letters that were asked to be tried again change by themselves. */
const REFRESH_MS = 3_000;

export function DeadLettersView({ params }: Route): JSX.Element {
  const { now } = useLive();
  if (!now) return <Loading what="dead letters" />;
  const reactors = now.processors.filter(({ kind }) => kind === 'reactor' || kind === 'process-manager');
  const withLetters = reactors.find(({ deadLetters }) => deadLetters > 0) ?? reactors[0];
  const chosen = params['reactor'] ?? (withLetters && idOf(withLetters));
  return (
    <>
      <h1>Dead letters</h1>
      <ReadOnlyNote />
      {chosen === undefined ? (
        <Empty title="No reactor has run here yet.">What a reactor gives up on stands here, with the error, to be tried again or discarded.</Empty>
      ) : (
        <>
          <nav class="tabs" aria-label="Reactors">
            {reactors.map((each) => (
              <a key={idOf(each)} href={linkTo('dead-letters', { reactor: idOf(each) })} aria-current={idOf(each) === chosen ? 'true' : undefined}>
                <bdi>{idOf(each)}</bdi> <span class="count">{each.deadLetters}</span>
              </a>
            ))}
          </nav>
          <Letters key={chosen} reactor={chosen} from={params['from']} open={params['id']} />
        </>
      )}
    </>
  );
}

interface LettersProps {
  readonly reactor: string;
  readonly from: string | undefined;
  readonly open: string | undefined;
}

function Letters({ reactor, from, open }: LettersProps): JSX.Element {
  const asked = useQuery<DeadLettersReply>('dead-letters', { reactor, from, limit: LETTERS_MAX }, { everyMs: REFRESH_MS });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const acting = useActing(() => {
    setChosen(new Set());
    asked.again();
  });
  return (
    <Answer asked={asked} what="dead letters">
      {({ letters, count }) => {
        const opened = letters.find(({ id }) => id === open);
        if (count === 0) return <Empty title={`${reactor} gave up on nothing.`}>Or what it gave up on has been handled or discarded since.</Empty>;
        return (
          <div class={`split ${opened ? 'is-open' : ''}`}>
            <Panel title={several(count, 'dead letter')} class="split-list">
              <Bulk reactor={reactor} chosen={chosen} count={count} acting={acting} />
              <LetterTable reactor={reactor} from={from} letters={letters} open={open} chosen={chosen} onChoose={setChosen} />
              {letters.length === LETTERS_MAX && (
                <a class="button" href={linkTo('dead-letters', { reactor, from: letters.at(-1)?.id })}>
                  The next ones
                </a>
              )}
            </Panel>
            {opened && (
              <div class="split-detail">
                <LetterPane key={opened.id} reactor={reactor} letter={opened} acting={acting} close={linkTo('dead-letters', { reactor, from })} />
              </div>
            )}
          </div>
        );
      }}
    </Answer>
  );
}

interface BulkProps {
  readonly reactor: string;
  readonly chosen: ReadonlySet<string>;
  readonly count: number;
  readonly acting: Acting;
}

function Bulk({ reactor, chosen, count, acting: { isBusy, act, ask, dialog } }: BulkProps): JSX.Element | null {
  if (!useSettings()?.allowWrites) return null;
  const ids = [...chosen];
  const isAll = ids.length === 0;
  const what = !isAll ? several(ids.length, 'letter') : count === 1 ? 'the only letter' : `all ${several(count, 'letter')}`;
  const body = { reactor, ids: isAll ? 'all' : ids };
  const retry = (): void =>
    act<DoneReply>('retry', body, (done) => `Asked that ${several(done.count, 'letter')} be tried again. Whoever runs ${reactor} does it.`);
  const discard = (): void =>
    ask({
      title: `Discard ${what}`,
      text: 'They are closed for good, without being handled. The events stay in the log; what waits behind them goes on.',
      verb: 'Discard',
      typed: isAll ? 'discard all' : 'discard',
      onYes: () => act<DoneReply>('discard', body, (done) => `Discarded ${several(done.count, 'letter')}.`),
    });
  return (
    <div class="row actions">
      <button type="button" disabled={isBusy} onClick={retry}>
        Try {what} again
      </button>
      <button type="button" class="danger" disabled={isBusy} onClick={discard}>
        Discard {what} …
      </button>
      {dialog}
    </div>
  );
}

interface LetterTableProps extends LettersProps {
  readonly letters: readonly Letter[];
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (chosen: ReadonlySet<string>) => void;
}

function LetterTable({ reactor, from, letters, open, chosen, onChoose }: LetterTableProps): JSX.Element {
  const mayAct = useSettings()?.allowWrites === true;
  const toggle = (id: string): void => onChoose(new Set(chosen.has(id) ? [...chosen].filter((each) => each !== id) : [...chosen, id]));
  return (
    <Table label="Dead letters" heads={[...(mayAct ? ['Choose'] : []), 'Event', 'Stream', 'Error', '#Attempts', 'Failed last', 'State']}>
      {letters.map((letter) => (
        <tr key={letter.id} class={letter.id === open ? 'is-open' : ''}>
          {mayAct && (
            <td>
              <input
                type="checkbox"
                aria-label={`Choose the letter ${letter.id}`}
                checked={chosen.has(letter.id)}
                onChange={() => toggle(letter.id)}
              />
            </td>
          )}
          <td>
            <a href={linkTo('dead-letters', { reactor, from, id: letter.id })}>
              <bdi>{letter.event?.type ?? 'an event that is gone'}</bdi>
            </a>
          </td>
          <td class="mono">
            <bdi>{letter.event?.streamName ?? letter.category}</bdi>
          </td>
          <td class="error">
            <bdi>{letter.error.message}</bdi>
          </td>
          <td class="number">{letter.attempts}</td>
          <td>
            <Time iso={letter.lastFailedAt} />
          </td>
          <td>{letter.state === 'retrying' ? 'to be tried again' : letter.eventsWaiting > 0 ? `${letter.eventsWaiting} wait` : 'dead'}</td>
        </tr>
      ))}
    </Table>
  );
}
