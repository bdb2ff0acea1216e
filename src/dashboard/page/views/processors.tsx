// The view "Processors": what runs, how far it is, what stopped it; and what can be done about it.
import type { JSX } from 'preact';
import { ownerOf, rate, several } from '../format.ts';
import { useLive } from '../live.tsx';
import { Empty, Loading, Table } from '../parts.tsx';
import { linkTo, type Route } from '../route.ts';
import { ReadOnlyNote } from './acting.tsx';
import { ProcessorPane } from './processor.tsx';
import { Bar, idOf, KINDS, Lag, type Processor, StateBadge } from './processor-state.tsx';

export function ProcessorsView({ params: { open } }: Route): JSX.Element {
  const { now } = useLive();
  if (!now) return <Loading what="processors" />;
  const opened = now.processors.find((each) => idOf(each) === open);
  return (
    <>
      <h1>Processors</h1>
      <ReadOnlyNote />
      {now.processors.length === 0 && (
        <Empty title="No processor has run here yet.">
          Start a StreamProcessor with your projections and reactors: it tells what it runs, and stands here.
        </Empty>
      )}
      {now.processors.length > 0 && <Processors processors={now.processors} open={open} />}
      {open !== undefined && !opened && <Empty title={`There is no ${open} here.`}>It was dropped, or never ran on this store.</Empty>}
      {opened && <ProcessorPane key={open} processor={opened} all={now.processors} />}
    </>
  );
}

function Processors({ processors, open }: { readonly processors: readonly Processor[]; readonly open: string | undefined }): JSX.Element {
  return (
    <section class="panel">
      <Table label="Processors" heads={['Name', 'State', '#Behind', '#Events a second', '#Done', '#Dead letters', 'Kind', 'Where', 'Last error']}>
        {processors.map((each) => (
          <Row key={`${each.kind}:${idOf(each)}`} processor={each} isOpen={idOf(each) === open} />
        ))}
      </Table>
    </section>
  );
}

function Row({ processor, isOpen }: { readonly processor: Processor; readonly isOpen: boolean }): JSX.Element {
  const id = idOf(processor);
  const { kind, isServing, eventsPerSecond, deadLetters, owners, lastFailure, percent } = processor;
  return (
    <tr class={isOpen ? 'is-open' : ''}>
      <td>
        <a href={linkTo('processors', isOpen ? {} : { open: id })} aria-expanded={isOpen}>
          <bdi>{id}</bdi>
        </a>
        {kind === 'projection' && isServing && <span class="tag">serves</span>}
      </td>
      <td>
        <StateBadge processor={processor} />
      </td>
      <td class="number">
        <Lag processor={processor} />
      </td>
      <td class="number">{eventsPerSecond === undefined ? '–' : rate(eventsPerSecond)}</td>
      <td class="number">
        <Bar percent={percent} label={`${id} has done`} />
      </td>
      <td class="number">
        {deadLetters > 0 ? <a href={linkTo('dead-letters', { reactor: id })}>{several(deadLetters, 'letter')}</a> : <span class="quiet">0</span>}
      </td>
      <td class="quiet">{KINDS[kind]}</td>
      <td class="quiet">{[...new Set(owners.map(ownerOf))].join(', ') || '–'}</td>
      <td class="error">
        {lastFailure ? <bdi class={lastFailure.isCurrent ? 'bad' : 'quiet'}>{lastFailure.message}</bdi> : <span class="quiet">–</span>}
      </td>
    </tr>
  );
}
