// The view "Events": found by category, stream, type and time, a page at a time, or followed as they come.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { RecordedEvent } from '../../index.ts';
import type { CategoriesReply, EventReply, EventsReply, Json, StreamsReply } from '../api.ts';
import { get, listen } from './client.ts';
import { count } from './format.ts';
import { Answer, Failure, Table, Time } from './parts.tsx';
import { useQuery } from './query.ts';
import { go, linkTo, type Route } from './route.ts';

type EventJson = Json<RecordedEvent>;

const FOLLOWED_MAX = 200;
/** Of a value in a row; the event itself shows all. */
const DATA_LENGTH_MAX = 160;

export function EventsView({ params }: { params: Route['params'] }): JSX.Element {
  return (
    <>
      <h1>Events</h1>
      <Search params={params} />
      {params['follow'] === 'yes' ? <Followed category={params['category']} /> : <Found params={params} />}
    </>
  );
}

function Search({ params }: { params: Route['params'] }): JSX.Element {
  const categories = useQuery<CategoriesReply>('categories');
  const [problem, setProblem] = useState<Error | undefined>();
  const search = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = Object.fromEntries(new FormData(event.currentTarget as HTMLFormElement)) as Record<string, string>;
    const { id = '', ...rest } = form;
    setProblem(undefined);
    if (id === '') return go(linkTo('events', rest));
    const place = /^\d{13,}-\d+(@\d+)?$/.test(id) ? { position: id } : { id };
    try {
      const found = await get<EventReply>('event', place);
      go(linkTo('event', { position: found.event.position }));
    } catch (error) {
      setProblem(error as Error);
    }
  };
  return (
    <form class="search" role="search" key={JSON.stringify(params)} onSubmit={(event) => void search(event)}>
      <label>
        Category
        <select name="category" value={params['category'] ?? ''}>
          <option value="">all</option>
          {(categories.data?.categories ?? []).map(({ category, events }) => (
            <option key={category} value={category}>
              {category} ({count(events)})
            </option>
          ))}
        </select>
      </label>
      <label>
        Stream
        <input name="stream" id="search" placeholder="user_updates:1" defaultValue={params['stream'] ?? ''} />
      </label>
      <label>
        Type
        <input name="type" placeholder="Renamed" defaultValue={params['type'] ?? ''} />
      </label>
      <label>
        Back from
        <input name="from" placeholder="2026-01-31T12:00Z" defaultValue={params['from'] ?? ''} />
      </label>
      <label>
        Down to
        <input name="until" placeholder="2026-01-30" defaultValue={params['until'] ?? ''} />
      </label>
      <label>
        Event id or position
        <input name="id" placeholder="user_updates:1@3" />
      </label>
      <div class="actions">
        <button type="submit">Search</button>
        <a class="button" href={linkTo('events', { category: params['category'], follow: 'yes' })}>
          Follow live
        </a>
      </div>
      {problem && <Failure error={problem} />}
    </form>
  );
}

function Found({ params }: { params: Route['params'] }): JSX.Element {
  const { category, stream, type, from, until } = params;
  const asked = useQuery<EventsReply>('events', { category, stream, type, from, until });
  return (
    <>
      {stream !== undefined && stream !== '' && <Timeline stream={stream} />}
      {category !== undefined && category !== '' && (stream ?? '') === '' && from === undefined && <Streams category={category} />}
      <Answer asked={asked} what="events">
        {({ events, next, isCutShort }) => (
          <>
            {events.length === 0 && <p class="quiet">{isCutShort ? 'None among those that were looked at so far.' : 'No events are so.'}</p>}
            {events.length > 0 && <EventTable events={events} />}
            {isCutShort && <p class="quiet">It stopped looking after 50,000 events or three seconds.</p>}
            {next !== undefined && (
              <a class="button" href={linkTo('events', { ...params, from: next })}>
                {isCutShort ? 'Look on' : 'Older ones'}
              </a>
            )}
          </>
        )}
      </Answer>
    </>
  );
}

export function EventTable({ events }: { events: readonly EventJson[] }): JSX.Element {
  return (
    <Table label="Events" heads={['Recorded', 'Stream', { text: 'Version', isNumber: true }, 'Type', 'Data']}>
      {events.map((event) => (
        <tr key={event.position}>
          <td>
            <a href={linkTo('event', { position: event.position })}>
              <Time iso={event.recordedAt} />
            </a>
          </td>
          <td class="mono cut">
            <a href={linkTo('events', { stream: event.streamName })}>
              <bdi>{event.streamName}</bdi>
            </a>
          </td>
          <td class="number">{event.streamVersion}</td>
          <td class="cut">
            <bdi>{event.type}</bdi>
          </td>
          <td class="mono cut wide">
            <bdi>{JSON.stringify(event.data)?.slice(0, DATA_LENGTH_MAX)}</bdi>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Streams({ category }: { category: string }): JSX.Element {
  const asked = useQuery<StreamsReply>('streams', { category, limit: 12 });
  return (
    <Answer asked={asked} what="streams">
      {({ streams, hasMore }) => (
        <p class="chips">
          <span class="quiet">Written last:</span>
          {streams.map(({ streamName, events }) => (
            <a key={streamName} class="chip mono" href={linkTo('events', { stream: streamName })}>
              <bdi>{streamName}</bdi> <span class="quiet">{count(events)}</span>
            </a>
          ))}
          {hasMore && <span class="quiet">and more</span>}
        </p>
      )}
    </Answer>
  );
}

/** Where a stream's events stand in time, the newest 500 of them. */
function Timeline({ stream }: { stream: string }): JSX.Element {
  const asked = useQuery<EventsReply>('events', { stream, limit: 500 });
  return (
    <Answer asked={asked} what="the timeline">
      {({ events }) => {
        const times = events.map(({ recordedAt }) => new Date(recordedAt).getTime());
        const [first, last] = [Math.min(...times), Math.max(...times)];
        if (events.length < 2) return null;
        return (
          <figure class="timeline">
            <figcaption>
              <Time iso={new Date(first).toISOString()} /> <span class="quiet">{count(events.length)} events</span>{' '}
              <Time iso={new Date(last).toISOString()} />
            </figcaption>
            <svg viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" aria-label={`${events.length} events of ${stream} over time`}>
              <line x1="0" x2="1000" y1="12" y2="12" />
              {events.map(({ position }, index) => {
                const x = last === first ? 500 : 5 + (990 * ((times[index] ?? first) - first)) / (last - first);
                return <line key={position} class="tick" x1={x} x2={x} y1="3" y2="21" />;
              })}
            </svg>
          </figure>
        );
      }}
    </Answer>
  );
}

function Followed({ category }: { category: string | undefined }): JSX.Element {
  const [events, setEvents] = useState<readonly EventJson[]>([]);
  const [isPaused, setPaused] = useState(false);
  const [trouble, setTrouble] = useState<string | undefined>();
  useEffect(() => {
    if (isPaused) return undefined;
    return listen(
      'follow',
      { category },
      {
        event: (event) => setEvents((before) => [event as EventJson, ...before].slice(0, FOLLOWED_MAX)),
        trouble: (data) => setTrouble((data as { message: string }).message),
      },
      (isOpen) => setTrouble(isOpen ? undefined : 'Not live: the server of this page cannot be reached. It goes on by itself.'),
    );
  }, [category, isPaused]);
  return (
    <section aria-label="Events as they come">
      <p class="actions">
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Hold still'}
        </button>
        <a class="button" href={linkTo('events', { category })}>
          Stop following
        </a>
        <span class="quiet">{isPaused ? 'What comes meanwhile is not shown here.' : `The last ${FOLLOWED_MAX} are kept here.`}</span>
      </p>
      {trouble !== undefined && <Failure error={new Error(trouble)} />}
      {events.length === 0 ? <p class="quiet">Nothing yet: events show here as they are appended.</p> : <EventTable events={events} />}
    </section>
  );
}
