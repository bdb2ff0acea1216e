// One processor: its partitions, what stopped it, and what can be done with it.
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { ServeReply } from '../../api.ts';
import { count, duration, ownerOf, several } from '../format.ts';
import { Fact, Panel, Table, Time } from '../parts.tsx';
import { linkTo } from '../route.ts';
import { useSettings } from '../settings.ts';
import { useActing } from './acting.tsx';
import { Bar, idOf, KINDS, Lag, type Processor } from './processor-state.tsx';

export interface ProcessorProps {
  readonly processor: Processor;
  readonly all: readonly Processor[];
}

export function ProcessorPane({ processor, all }: ProcessorProps): JSX.Element {
  const { kind, categories, types, order, timeLeftMs, percent, lagEvents, lastFailure } = processor;
  const id = idOf(processor);
  return (
    <Panel title={`${KINDS[kind][0]?.toUpperCase() ?? ''}${KINDS[kind].slice(1)} ${id}`}>
      <Actions processor={processor} all={all} />
      <dl class="facts">
        <Fact name="Reads">
          {categories.map((each) => (
            <a key={each} class="listed" href={linkTo('events', { category: each })}>
              <bdi class="mono">{each}</bdi>
            </a>
          ))}
        </Fact>
        {types && <Fact name="Types">{types.join(', ')}</Fact>}
        {kind === 'reactor' && <Fact name="Order">{order === 'stream' ? 'of each stream' : 'none'}</Fact>}
        {lagEvents > 0 && (
          <Fact name="Progress">
            <Bar percent={percent} label={`${id} has done`} /> {timeLeftMs !== undefined && <span class="quiet">{duration(timeLeftMs)} left</span>}
          </Fact>
        )}
        {kind === 'projection' && (
          <Fact name="Documents">
            <a href={linkTo('documents', { projection: id })}>Look at them</a>
          </Fact>
        )}
      </dl>
      {lastFailure && <FailureOf failure={lastFailure} />}
      <Partitions processor={processor} />
    </Panel>
  );
}

function FailureOf({ failure }: { readonly failure: NonNullable<Processor['lastFailure']> }): JSX.Element {
  const { isCurrent, name, message, at, position, partition, owner } = failure;
  return (
    <div class={`state ${isCurrent ? 'failure' : ''}`}>
      <p class="strong">{isCurrent ? 'It is stopped by this:' : 'It was stopped by this, and has gone on since:'}</p>
      <p class="mono">
        <bdi>
          {name}: {message}
        </bdi>
      </p>
      <p class="quiet">
        <Time iso={at} />
        {partition !== undefined && `, partition ${partition}`}, {ownerOf(owner)}
        {position !== undefined && (
          <>
            , behind{' '}
            <a class="mono" href={linkTo('event', { position })}>
              {position}
            </a>
          </>
        )}
      </p>
    </div>
  );
}

function Partitions({ processor: { partitions } }: Pick<ProcessorProps, 'processor'>): JSX.Element {
  return (
    <details open={partitions.length <= 16}>
      <summary>
        <h3>{several(partitions.length, 'partition')}</h3>
      </summary>
      <Table label="Partitions" heads={['#Partition', 'Checkpoint', '#Behind', '#Done', 'Owner', 'Lease runs until']}>
        {partitions.map(({ partition, position, lagEvents, lagMs, eventsDone, owner, leasedUntil, isPaused }) => (
          <tr key={partition}>
            <td class="number">{partition}</td>
            <td class="mono">
              {position === undefined ? <span class="quiet">at the beginning</span> : <a href={linkTo('event', { position })}>{position}</a>}
              {isPaused && <span class="tag">paused</span>}
            </td>
            <td class="number">
              <Lag processor={{ lagEvents, lagMs }} />
            </td>
            <td class="number">{count(eventsDone)}</td>
            <td class="mono">{owner === undefined ? <span class="quiet">nobody</span> : <bdi>{owner}</bdi>}</td>
            <td>{leasedUntil === undefined ? <span class="quiet">–</span> : <Time iso={leasedUntil} />}</td>
          </tr>
        ))}
      </Table>
    </details>
  );
}

/** What is lost, and what happens again. */
const REWINDS: Readonly<Record<Processor['kind'], string>> = {
  projection:
    'Its documents are removed, and folded anew from the first event. Until that is done, readers of this version are told that it is not ready.',
  reactor:
    'It handles again what it handled before, from the place that you choose: its effects happen again. Dead letters and waiting events behind that place are forgotten.',
  'process-manager':
    'From the first event its states are removed, and its effects happen again. To now, it keeps them, and passes over what it has not handled.',
  source: '',
};

function Actions({ processor, all }: ProcessorProps): JSX.Element | null {
  const settings = useSettings();
  const { isBusy, act, ask, dialog } = useActing();
  const to = useRef({ begin: 'start', at: '' });
  const evenIfBehind = useRef(false);
  const { kind, name, version, isPaused, isServing } = processor;
  const target = idOf(processor);
  const others = all.filter((each) => each.kind === 'projection' && each.name === name && each.version !== version);
  const compares = kind === 'projection' && others.map((each) => <CompareLink key={idOf(each)} first={idOf(each)} second={target} />);
  if (!settings?.allowWrites || kind === 'source') return compares ? <div class="row actions">{compares}</div> : null;
  const rewind = (): void =>
    ask({
      title: `Rewind ${target}`,
      text: REWINDS[kind],
      verb: 'Rewind',
      typed: target,
      fields: kind === 'projection' ? undefined : <RewindTo to={to.current} hasTimes={kind === 'reactor'} />,
      onYes: () => act('rewind', { target, to: beginningOf(to.current) }, `${target} is rewound.`),
    });
  const serve = (): void =>
    ask({
      title: `Flip readers to ${target}`,
      text: `All readers that follow ${name} get version ${version} within a second. It is refused while that is behind. Flip back the same way.`,
      verb: 'Flip',
      fields: <EvenIfBehind onChange={(isSet) => (evenIfBehind.current = isSet)} />,
      onYes: () =>
        act<ServeReply>(
          'serve',
          { target, evenIfBehind: evenIfBehind.current },
          ({ before }) => `Readers of ${name} get version ${version}${before === undefined ? '' : `; before, version ${before}`}.`,
        ),
    });
  const drop = (): void =>
    ask({
      title: `Drop ${target}`,
      text: `Removed for good: ${kind === 'projection' ? 'its documents' : 'its dead letters, and what waits behind them'}, and how far it is. Stop the processors that run it first, or pause it.`,
      verb: 'Drop for good',
      typed: target,
      onYes: () => act('drop', { target }, `${target} is dropped.`),
    });
  return (
    <div class="row actions">
      {isPaused ? (
        <button type="button" disabled={isBusy} onClick={() => act('resume', { target }, `${target} goes on.`)}>
          Resume
        </button>
      ) : (
        <button type="button" disabled={isBusy} onClick={() => act('pause', { target }, `${target} is paused.`)}>
          Pause
        </button>
      )}
      <button type="button" disabled={isBusy} onClick={rewind}>
        Rewind …
      </button>
      {kind === 'projection' && !isServing && (
        <button type="button" disabled={isBusy} onClick={serve}>
          Flip readers to it …
        </button>
      )}
      {compares}
      <button type="button" class="danger" disabled={isBusy} onClick={drop}>
        Drop …
      </button>
      {dialog}
    </div>
  );
}

function CompareLink({ first, second }: { readonly first: string; readonly second: string }): JSX.Element {
  return (
    <a class="button" href={linkTo('compare', { first, second })}>
      Compare with {first}
    </a>
  );
}

function EvenIfBehind({ onChange }: { readonly onChange: (isSet: boolean) => void }): JSX.Element {
  return (
    <label class="check">
      <input type="checkbox" onChange={(event) => onChange(event.currentTarget.checked)} /> Even if it is behind
    </label>
  );
}

interface RewindPlace {
  begin: string;
  at: string;
}

function RewindTo({ to, hasTimes }: { readonly to: RewindPlace; readonly hasTimes: boolean }): JSX.Element {
  const [begin, setBegin] = useState(to.begin);
  const choose = (chosen: string): void => {
    to.begin = chosen;
    setBegin(chosen);
  };
  return (
    <div class="stack">
      <label class="field">
        <span>To</span>
        <select onChange={(event) => choose(event.currentTarget.value)}>
          <option value="start" selected={begin === 'start'}>
            the first event
          </option>
          {hasTimes && (
            <option value="time" selected={begin === 'time'}>
              a time
            </option>
          )}
          <option value="now" selected={begin === 'now'}>
            now: pass over what it has not handled
          </option>
        </select>
      </label>
      {begin === 'time' && (
        <label class="field">
          <span>Which time</span>
          <input type="datetime-local" step="1" defaultValue={to.at} onInput={(event) => (to.at = event.currentTarget.value)} />
        </label>
      )}
    </div>
  );
}

/** What is no time is sent as it is: the server tells what it expected. */
function beginningOf({ begin, at }: RewindPlace): string {
  if (begin !== 'time') return begin;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? at : date.toISOString();
}
