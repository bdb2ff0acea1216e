// The view "Now": what is appended, what lags, how much memory is left, and what needs somebody.
import type { ComponentChildren, JSX } from 'preact';
import type { NowReply, Sample } from '../../api.ts';
import { Chart } from '../chart.tsx';
import { bytes, count, duration, ownerOf, rate, several, short } from '../format.ts';
import { useLive } from '../live.tsx';
import { Empty, Loading, Panel, Table } from '../parts.tsx';
import { linkTo } from '../route.ts';
import { idOf, Lag, type Processor, StateBadge, type Trouble, troublesOf } from './processor-state.tsx';

/** Lines of a chart; more than those cannot be told apart. */
const LINES_MAX = 6;

export function NowView(): JSX.Element {
  const { now, samples, trouble } = useLive();
  if (!now) return trouble === undefined ? <Loading what="what happens now" /> : <Empty title="Nothing to show yet.">Above is said why.</Empty>;
  return (
    <>
      <h1 class="hidden">Now</h1>
      <Needs now={now} />
      <Tiles now={now} samples={samples} />
      <Charts processors={now.processors} samples={samples} />
      <Panel title="Processors" aside={<a href={linkTo('processors')}>All of them</a>}>
        <Processors processors={now.processors} />
      </Panel>
    </>
  );
}

/** What somebody should look at, or that nothing is. */
function Needs({ now }: { readonly now: NowReply }): JSX.Element {
  const ofServers = now.servers.flatMap(({ engine, port, troubles }) => troubles.map((each) => `${engine} at port ${port ?? '?'}: ${each}`));
  const needs: readonly (Pick<Trouble, 'text'> & Partial<Trouble>)[] = [
    ...ofServers.map((text) => ({ text })),
    ...now.processors.flatMap(troublesOf),
  ];
  if (needs.length === 0)
    return (
      <p class="needs well">
        <span aria-hidden="true">●</span> Nothing needs you.
      </p>
    );
  return (
    <section class="needs" aria-label="What needs you">
      <h2>{several(needs.length, 'thing')} to look at</h2>
      <ul>
        {needs.map(({ text, link }) => (
          <li key={text}>
            {link === undefined ? (
              <bdi>{text}</bdi>
            ) : (
              <a href={link}>
                <bdi>{text}</bdi>
              </a>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Tile(props: { readonly name: string; readonly value: string; readonly children?: ComponentChildren; readonly tone?: string }): JSX.Element {
  return (
    <div class={`tile ${props.tone ?? ''}`}>
      <dt>{props.name}</dt>
      <dd>
        <span class="figure">{props.value}</span>
        <span class="quiet">{props.children}</span>
      </dd>
    </div>
  );
}

function Tiles({ now, samples }: { readonly now: NowReply; readonly samples: readonly Sample[] }): JSX.Element {
  const { store, servers, processors } = now;
  const letters = processors.reduce((sum, { deadLetters }) => sum + deadLetters, 0);
  const running = processors.filter(({ partitionsRun }) => partitionsRun > 0).length;
  const [server] = servers;
  const troubles = servers.reduce((sum, each) => sum + each.troubles.length, 0);
  return (
    <dl class="tiles">
      <Tile name="Appends a second" value={rate(samples.at(-1)?.appendsPerSecond ?? 0)}>
        {several(Math.max(...samples.map((each) => each.appendsPerSecond), 0), 'append')} at most
      </Tile>
      <Tile name="Events" value={count(store.events)}>
        {several(store.partitions, 'partition')}
        {store.scheduled > 0 && `, ${count(store.scheduled)} scheduled`}
      </Tile>
      <MemoryTile now={now} samples={samples} />
      <Tile name="Dead letters" value={count(letters)} tone={letters > 0 ? 'bad' : ''}>
        {letters > 0 ? <a href={linkTo('dead-letters')}>Look at them</a> : 'none to look at'}
      </Tile>
      <Tile name="Processors running" value={`${running} of ${processors.length}`}>
        {several(
          processors.reduce((sum, { lagEvents }) => sum + lagEvents, 0),
          'event',
        )}{' '}
        behind
      </Tile>
      <Tile
        name={servers.length > 1 ? `${servers.length} servers` : 'Server'}
        value={troubles > 0 ? several(troubles, 'trouble') : 'Healthy'}
        tone={troubles > 0 ? 'bad' : ''}
      >
        {server &&
          `${server.engine} ${server.version}, up ${duration(server.uptimeMs)}, ${several(
            servers.reduce((sum, { replicas }) => sum + replicas, 0),
            'replica',
          )}`}
      </Tile>
    </dl>
  );
}

function MemoryTile({ now: { servers }, samples }: { readonly now: NowReply; readonly samples: readonly Sample[] }): JSX.Element {
  const used = servers.reduce((sum, { memoryUsedBytes }) => sum + memoryUsedBytes, 0);
  const limits = servers.map(({ memoryLimitBytes }) => memoryLimitBytes);
  const limit = limits.some((each) => each === undefined) ? undefined : limits.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  const perMinute = trendOf(samples);
  const minutesLeft = limit !== undefined && perMinute > 0 ? (limit - used) / perMinute : undefined;
  const isNear = limit !== undefined && used > 0.8 * limit;
  return (
    <Tile name="Memory" value={bytes(used)} tone={isNear ? 'bad' : ''}>
      {limit === undefined ? 'no limit set' : `of ${bytes(limit)}`}
      {Math.abs(perMinute) >= 1024 && `, ${perMinute > 0 ? '+' : '−'}${bytes(Math.abs(perMinute))} a minute`}
      {minutesLeft !== undefined && minutesLeft < 60 * 24 * 30 && `, full in ${duration(minutesLeft * 60_000)}`}
    </Tile>
  );
}

/** Bytes a minute, over what is kept of the last five minutes. */
function trendOf(samples: readonly Sample[]): number {
  const recent = samples.slice(-300);
  const [first, last] = [recent[0], recent.at(-1)];
  if (!first || !last || last.at - first.at < 10_000) return 0;
  return ((last.memoryUsedBytes - first.memoryUsedBytes) / (last.at - first.at)) * 60_000;
}

function Charts({ processors, samples }: { readonly processors: readonly Processor[]; readonly samples: readonly Sample[] }): JSX.Element {
  const times = samples.map(({ at }) => at);
  // Those that lag most, in an order that does not change with each look.
  const shown = processors
    .map((each) => ({ id: idOf(each), most: Math.max(...samples.map(({ lag }) => lag[idOf(each)] ?? 0), 0) }))
    .toSorted((a, b) => b.most - a.most)
    .slice(0, LINES_MAX)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const lags = shown.map(({ id }) => ({ name: id, values: samples.map(({ lag }) => lag[id]) }));
  return (
    <div class="charts">
      <Chart
        title="Appends a second"
        times={times}
        lines={[{ name: 'appends', values: samples.map((each) => each.appendsPerSecond) }]}
        format={rate}
        axis={short}
      />
      {lags.length > 0 && <Chart title="Events behind" times={times} lines={lags} format={count} axis={short} />}
      <Chart
        title="Memory"
        times={times}
        lines={[{ name: 'used', values: samples.map((each) => each.memoryUsedBytes) }]}
        format={bytes}
        base={1_024}
      />
    </div>
  );
}

function Processors({ processors }: { readonly processors: readonly Processor[] }): JSX.Element {
  if (processors.length === 0)
    return (
      <Empty title="No processor has run here yet.">
        Start a StreamProcessor with your projections and reactors: it tells what it runs, and stands here.
      </Empty>
    );
  return (
    <Table label="Processors in short" heads={['Name', 'State', '#Behind', '#Events a second', 'Where']}>
      {processors.map((each) => (
        <tr key={`${each.kind}:${idOf(each)}`}>
          <td>
            <a href={linkTo('processors', { open: idOf(each) })}>
              <bdi>{idOf(each)}</bdi>
            </a>
          </td>
          <td>
            <StateBadge processor={each} />
          </td>
          <td class="number">
            <Lag processor={each} />
          </td>
          <td class="number">{each.eventsPerSecond === undefined ? '–' : rate(each.eventsPerSecond)}</td>
          <td class="quiet">{[...new Set(each.owners.map(ownerOf))].join(', ') || '–'}</td>
        </tr>
      ))}
    </Table>
  );
}
