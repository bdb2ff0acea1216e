// The views of what runs: the table of all, and one with its partitions, its failure, and what can be done with it.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { CompareReply } from '../api.ts';
import { post } from './client.ts';
import { type Asking, Dialog } from './dialog.tsx';
import { count, duration, owner, rate } from './format.ts';
import { JsonView, marksOf } from './json-view.tsx';
import type { Live } from './live.ts';
import { Answer, Badge, Table, Time } from './parts.tsx';
import { KINDS, type Processor, ProcessorTable, stateOf, titleOf } from './processor-table.tsx';
import { useQuery } from './query.ts';
import { linkTo, type Route } from './route.ts';

export interface Allowed {
  readonly allowWrites: boolean;
  /** Projections whose code is here. */
  readonly withCode: readonly string[];
}

export function ProcessorsView({ live, allowed }: { live: Live; allowed: Allowed }): JSX.Element {
  return (
    <>
      <h1>Processors</h1>
      {live.now && live.now.processors.length === 0 && (
        <p class="quiet">Nothing is known to run here: a StreamProcessor tells what it runs when it starts.</p>
      )}
      {live.now && live.now.processors.length > 0 && <ProcessorTable processors={live.now.processors} />}
      <ReadOnly allowed={allowed} />
    </>
  );
}

export function ReadOnly({ allowed }: { allowed: Allowed }): JSX.Element | null {
  if (allowed.allowWrites) return null;
  return (
    <p class="quiet">
      This page only looks. <code>millrace ui --allow-writes</code>, or <code>allowWrites</code> of <code>dashboard()</code>, lets it act.
    </p>
  );
}

export function ProcessorView({ params, live, allowed }: { params: Route['params']; live: Live; allowed: Allowed }): JSX.Element {
  const { of = '', kind } = params;
  const each = live.now?.processors.find((processor) => titleOf(processor) === of && (kind === undefined || processor.kind === kind));
  if (!live.now)
    return (
      <p class="quiet" role="status">
        Loading …
      </p>
    );
  if (!each) return <p class="failure">{of} is not among what processors run here: it was dropped, or never run.</p>;
  return (
    <>
      <h1>
        <bdi>{of}</bdi> <Badge tone={stateOf(each).tone}>{stateOf(each).words}</Badge> {each.isServing && <Badge tone="plain">serves</Badge>}
      </h1>
      <Facts each={each} />
      {allowed.allowWrites && each.kind !== 'source' && <Actions each={each} />}
      <ReadOnly allowed={allowed} />
      <LastFailure each={each} />
      {each.partitions.length > 0 && <Partitions each={each} />}
      {each.kind === 'projection' && <Comparison each={each} others={live.now.processors} allowed={allowed} />}
    </>
  );
}

function Facts({ each }: { each: Processor }): JSX.Element {
  return (
    <>
      <div class="progress">
        <progress max={100} value={each.percent} aria-label="Of the events that there are" />
        <span class="number">
          {Math.floor(each.percent)} %{each.timeLeftMs !== undefined && each.timeLeftMs > 0 ? `, about ${duration(each.timeLeftMs)} left` : ''}
        </span>
      </div>
      <dl class="facts">
        <dt>Kind</dt>
        <dd>
          {KINDS[each.kind]}
          {each.kind === 'reactor' && (each.order === 'none' ? ', in no order' : ', each stream in its order')}
        </dd>
        <dt>Reads</dt>
        <dd class="mono">{each.categories.join(', ')}</dd>
        <dt>Events</dt>
        <dd>
          {count(each.eventsDone)} of {count(each.eventsTotal)}, {count(each.lagEvents)} behind
          {each.lagMs > 0 && `, the first of them ${duration(each.lagMs)} old`}
          {each.eventsPerSecond !== undefined && `, ${rate(each.eventsPerSecond)} a second`}
        </dd>
        {each.kind !== 'projection' && each.kind !== 'source' && (
          <>
            <dt>Dead letters</dt>
            <dd>
              <a href={linkTo('dead-letters', { of: titleOf(each) })}>{count(each.deadLetters)}</a>, {count(each.eventsWaiting)} events wait behind
              them
            </dd>
          </>
        )}
        <dt>Run by</dt>
        <dd class="mono">{each.owners.length === 0 ? 'nobody' : each.owners.map(owner).join(', ')}</dd>
      </dl>
    </>
  );
}

function LastFailure({ each: { lastFailure: failure } }: { each: Processor }): JSX.Element | null {
  if (!failure) return null;
  return (
    <section class={failure.isCurrent ? 'failure' : ''}>
      <h2>{failure.isCurrent ? 'Stands still' : 'What stopped it last'}</h2>
      <p>
        <strong>{failure.name}</strong>: <bdi class="message">{failure.message}</bdi>
      </p>
      <p class="quiet">
        <Time iso={failure.at} /> {failure.partition !== undefined && `in partition ${failure.partition}`}, run by{' '}
        <span class="mono">{owner(failure.owner)}</span>
        {!failure.isCurrent && '. It went on since.'}
      </p>
    </section>
  );
}

function Partitions({ each }: { each: Processor }): JSX.Element {
  return (
    <details open={each.partitions.length === 1}>
      <summary>
        {each.partitions.length === 1 ? 'Its partition' : `Its ${each.partitions.length} partitions`}, {each.partitionsRun} of them run
      </summary>
      <Table
        label="Partitions"
        heads={[
          { text: 'Partition', isNumber: true },
          'Checkpoint',
          { text: 'Done', isNumber: true },
          { text: 'Behind', isNumber: true },
          { text: 'Waiting', isNumber: true },
          'Run by',
        ]}
      >
        {each.partitions.map((partition) => (
          <tr key={partition.partition}>
            <td class="number">{partition.partition}</td>
            <td class="mono">{partition.position ?? 'the beginning'}</td>
            <td class="number">{count(partition.eventsDone)}</td>
            <td class="number">{count(partition.lagEvents)}</td>
            <td class="number">{count(partition.eventsWaiting)}</td>
            <td class="mono">{partition.owner === undefined ? (partition.isPaused ? 'nobody: paused' : 'nobody') : owner(partition.owner)}</td>
          </tr>
        ))}
      </Table>
    </details>
  );
}

function Actions({ each }: { each: Processor }): JSX.Element {
  const [asking, setAsking] = useState<Asking | undefined>();
  const [told, setTold] = useState('');
  const target = titleOf(each);
  const ask = (next: Asking, done: string) => (): void => setAsking({ ...next, run: async () => setTold(`${done}${backOf(await next.run())}`) });
  const isProjection = each.kind === 'projection';
  return (
    <>
      <div class="actions">
        {each.isPaused ? (
          <button type="button" onClick={() => void post('resume', { target }).then(() => setTold('It goes on: processors see it within a second.'))}>
            Resume
          </button>
        ) : (
          <button type="button" onClick={ask(pausing(target), `${target} is paused.`)}>
            Pause
          </button>
        )}
        <button type="button" onClick={ask(rewinding(each, 'start'), 'It begins again at the first event.')}>
          {isProjection ? 'Fold again' : 'Rewind to the start'}
        </button>
        {!isProjection && (
          <button type="button" onClick={ask(rewinding(each, 'now'), 'It goes on with what comes from now on.')}>
            Pass over to now
          </button>
        )}
        {isProjection && !each.isServing && (
          <button type="button" onClick={ask(flipping(target), `Readers are flipped to ${target}.`)}>
            Flip readers to this version
          </button>
        )}
        <button type="button" class="danger" onClick={ask(dropping(target, isProjection), `${target} is gone.`)}>
          Drop
        </button>
      </div>
      <p role="status">{told}</p>
      {asking && <Dialog asking={asking} close={() => setAsking(undefined)} />}
    </>
  );
}

function backOf(reply: unknown): string {
  const before = typeof reply === 'object' && reply !== null && 'before' in reply ? reply.before : undefined;
  return typeof before === 'number' ? ` Version ${before} served before: flip to it to go back.` : '';
}

function pausing(target: string): Asking {
  return {
    title: `Pause ${target}?`,
    text: <p>No process runs it until somebody resumes it, over restarts too. What it has in hand is finished first.</p>,
    verb: 'Pause',
    run: () => post('pause', { target }),
  };
}

function rewinding(each: Processor, to: 'start' | 'now'): Asking {
  const target = titleOf(each);
  const text =
    each.kind === 'projection' ? (
      <p>
        Its documents are removed, and come back one by one while {count(each.eventsDone)} events are folded again. Until then readers of this version
        are told that it is not ready.
      </p>
    ) : to === 'start' ? (
      <p>What its handlers did is done again, for all {count(each.eventsTotal)} events; dead letters are forgotten.</p>
    ) : (
      <p>{count(each.lagEvents)} events that it has yet to handle are passed over.</p>
    );
  return {
    title: `Set ${target} to ${to === 'start' ? 'the first event' : 'now'}?`,
    text,
    typed: target,
    verb: 'Do it',
    run: () => post('rewind', { target, to }),
  };
}

function flipping(target: string): Asking {
  return {
    title: `Flip readers to ${target}?`,
    text: <p>Readers that follow the projection read this version, in every process within a second. It has to have caught up.</p>,
    verb: 'Flip',
    run: () => post('serve', { target }),
  };
}

function dropping(target: string, isProjection: boolean): Asking {
  const what = isProjection ? 'Its documents and its checkpoint' : 'Its checkpoint, dead letters, what waits behind them, and states';
  return {
    title: `Drop ${target}?`,
    text: <p>{what} are removed for good. Events stay.</p>,
    typed: target,
    verb: 'Drop',
    run: () => post('drop', { target }),
  };
}

function Comparison({ each, others, allowed }: { each: Processor; others: readonly Processor[]; allowed: Allowed }): JSX.Element | null {
  const [second, setSecond] = useState<string | undefined>();
  const versions = others.filter(({ kind, name, version }) => kind === 'projection' && name === each.name && version !== each.version).map(titleOf);
  const known = versions.filter((version) => allowed.withCode.includes(version));
  if (versions.length === 0) return null;
  return (
    <section>
      <h2>Compare with another version</h2>
      {(known.length === 0 || !allowed.withCode.includes(titleOf(each))) && (
        <p class="quiet">Needs the code of both versions: give it with --app, or projections of dashboard().</p>
      )}
      <div class="actions">
        {known.map((version) => (
          <button key={version} type="button" onClick={() => setSecond(version)}>
            With {version}
          </button>
        ))}
      </div>
      {second !== undefined && <Differences first={titleOf(each)} second={second} />}
    </section>
  );
}

function Differences({ first, second }: { first: string; second: string }): JSX.Element {
  const asked = useQuery<CompareReply>('compare', { first, second });
  return (
    <Answer asked={asked} what="all documents of both">
      {({ differences, hasMore }) => (
        <>
          <p role="status">
            {differences.length === 0 ? 'No document differs.' : `${differences.length}${hasMore ? ' or more' : ''} documents differ.`}
          </p>
          {differences.map(({ key, kind, second: there, changes }) => (
            <details key={key}>
              <summary>
                <bdi class="mono">{key}</bdi>{' '}
                {{ differs: `${changes.length} differences`, 'only-first': `only in ${first}`, 'only-second': `only in ${second}` }[kind]}
              </summary>
              {kind === 'differs' && <JsonView value={there?.state} marks={marksOf(changes)} />}
              <a href={linkTo('documents', { projection: second, key })}>the document</a>
            </details>
          ))}
        </>
      )}
    </Answer>
  );
}
