// The view "Now": what is appended, how far behind each processor is, memory, dead letters, and how the servers are.
import type { JSX } from 'preact';
import type { NowReply, Sample } from '../api.ts';
import { Chart, type Line } from './chart.tsx';
import { bytes, count, duration, rate } from './format.ts';
import type { Live } from './live.ts';
import { Badge } from './parts.tsx';
import { ProcessorTable } from './processor-table.tsx';
import { linkTo } from './route.ts';

export function NowView({ live }: { live: Live }): JSX.Element {
  const { now, samples } = live;
  if (!now)
    return (
      <p class="quiet" role="status">
        {live.trouble === undefined ? 'Loading …' : ''}
      </p>
    );
  return (
    <>
      <h1>Now</h1>
      <Tiles now={now} samples={samples} />
      <Charts samples={samples} />
      <h2>Processors</h2>
      {now.processors.length === 0 ? (
        <p class="quiet">Nothing is known to run here: a StreamProcessor tells what it runs when it starts.</p>
      ) : (
        <ProcessorTable processors={now.processors} />
      )}
    </>
  );
}

function Tiles({ now, samples }: { now: NowReply; samples: readonly Sample[] }): JSX.Element {
  const last = samples.at(-1);
  const lag = now.processors.reduce((sum, { lagEvents }) => sum + lagEvents, 0);
  const standing = now.processors.filter(({ lastFailure }) => lastFailure?.isCurrent === true).length;
  return (
    <dl class="tiles">
      <Tile name="Appends a second" value={last ? rate(averageOf(samples, 5)) : '…'} note={`${count(now.store.events)} events in all`} />
      <Tile
        name="Events behind"
        value={count(lag)}
        note={standing === 0 ? `over ${now.processors.length} processors` : `${standing} standing still`}
        isBad={standing > 0}
      />
      <MemoryTile now={now} samples={samples} />
      <div class={last && last.deadLetters > 0 ? 'tile warn' : 'tile'}>
        <dt>Dead letters</dt>
        <dd>
          <a href={linkTo('dead-letters')}>{count(last?.deadLetters ?? 0)}</a>
        </dd>
        <dd class="note">{(last?.deadLetters ?? 0) === 0 ? 'nothing was given up' : 'wait for somebody'}</dd>
      </div>
      <ServerTile now={now} />
    </dl>
  );
}

function Tile({ name, value, note, isBad = false }: { name: string; value: string; note: string; isBad?: boolean }): JSX.Element {
  return (
    <div class={isBad ? 'tile bad' : 'tile'}>
      <dt>{name}</dt>
      <dd>{value}</dd>
      <dd class="note">{note}</dd>
    </div>
  );
}

function averageOf(samples: readonly Sample[], most: number): number {
  const last = samples.slice(-most);
  return last.reduce((sum, { appendsPerSecond }) => sum + appendsPerSecond, 0) / Math.max(1, last.length);
}

/** Used, of how much, and when it ends as it has grown over the last minutes. */
function MemoryTile({ now, samples }: { now: NowReply; samples: readonly Sample[] }): JSX.Element {
  const used = now.servers.reduce((sum, { memoryUsedBytes }) => sum + memoryUsedBytes, 0);
  const limits = now.servers.map(({ memoryLimitBytes, memoryOfMachineBytes }) => memoryLimitBytes ?? memoryOfMachineBytes ?? 0);
  const limit = limits.reduce((sum, each) => sum + each, 0);
  const left = limit === 0 ? undefined : timeLeft(samples, limit - used);
  const isNearlyFull = limit > 0 && used / limit > 0.85;
  const trend = left === undefined ? 'no end in sight' : `full in about ${duration(left)} at this rate`;
  return <Tile name="Memory" value={bytes(used)} note={limit === 0 ? 'no limit told' : `of ${bytes(limit)}, ${trend}`} isBad={isNearlyFull} />;
}

const TREND_MS_MIN = 30_000;
const SOON_MS = 7 * 86_400_000;

function timeLeft(samples: readonly Sample[], leftBytes: number): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at - first.at < TREND_MS_MIN) return undefined;
  const bytesPerMs = (last.memoryUsedBytes - first.memoryUsedBytes) / (last.at - first.at);
  const left = leftBytes / bytesPerMs;
  return bytesPerMs > 0 && left < SOON_MS ? left : undefined;
}

function ServerTile({ now }: { now: NowReply }): JSX.Element {
  const [first] = now.servers;
  const troubles = now.servers.flatMap((server) => server.troubles);
  const name = first ? `${first.engine === 'valkey' ? 'Valkey' : 'Redis'} ${first.version}` : 'no server';
  const replicas = now.servers.reduce((sum, server) => sum + server.replicas, 0);
  return (
    <div class={troubles.length > 0 ? 'tile bad' : 'tile'}>
      <dt>{now.servers.length > 1 ? `${now.servers.length} servers` : 'Server'}</dt>
      <dd>{name}</dd>
      <dd class="note">
        {troubles.length > 0
          ? troubles.join(' ')
          : `${replicas} replicas, ${first?.isAppendOnly === true ? 'append-only file on' : 'no append-only file'}, up ${duration(first?.uptimeMs ?? 0)}`}
      </dd>
      {troubles.length > 0 && <Badge tone="bad">trouble</Badge>}
    </div>
  );
}

function Charts({ samples }: { samples: readonly Sample[] }): JSX.Element {
  const times = samples.map(({ at }) => at / 1_000);
  const names = [...new Set(samples.flatMap(({ lag }) => Object.keys(lag)))].slice(0, 6);
  const lags: readonly Line[] = names.map((name) => ({ name, values: samples.map(({ lag }) => lag[name] ?? null) }));
  return (
    <div class="charts">
      <Chart
        title="Appends a second"
        times={times}
        lines={[{ name: 'appends', values: samples.map(({ appendsPerSecond }) => appendsPerSecond) }]}
        format={rate}
      />
      {lags.length > 0 && <Chart title="Events behind, by processor" times={times} lines={lags} format={rate} />}
      <Chart
        title="Memory"
        times={times}
        lines={[{ name: 'memory', values: samples.map(({ memoryUsedBytes }) => memoryUsedBytes) }]}
        format={bytes}
      />
    </div>
  );
}
