// The view "Events": found by category, stream, id, type and time, or followed as they come; one of them open beside.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { count, several } from '../format.ts';
import { Empty, Failure, Loading, Panel } from '../parts.tsx';
import { linkTo, type Route } from '../route.ts';
import { EventPane } from './event.tsx';
import { EventList, type EventListProps } from './event-list.tsx';
import { EventSearch } from './event-search.tsx';
import { StreamTimeline } from './timeline.tsx';
import { type Asking, useEvents, useFollow } from './use-events.ts';

export function EventsView({ params }: Route): JSX.Element {
  const { open, ...search } = params;
  const [isFollowing, setFollowing] = useState(false);
  const query = askingOf(search);
  const links: Pick<EventListProps, 'linkOf' | 'open'> = { linkOf: ({ position }) => linkTo('events', { ...search, open: position }), open };
  return (
    <>
      <h1 class="hidden">Events</h1>
      <EventSearch key={JSON.stringify(search)} params={search} />
      {search['stream'] !== undefined && <StreamTimeline stream={search['stream']} linkOf={links.linkOf} open={open} />}
      <div class={`split ${open === undefined ? '' : 'is-open'}`}>
        <div class="split-list">
          {isFollowing ? (
            <Following query={query} links={links} onStop={() => setFollowing(false)} />
          ) : (
            <Found query={query} links={links} onFollow={() => setFollowing(true)} />
          )}
        </div>
        {open !== undefined && (
          <div class="split-detail">
            <EventPane key={open} position={open} close={linkTo('events', search)} />
          </div>
        )}
      </div>
    </>
  );
}

const PAGE = '100';

/** Newest first, a search begins where its time ends. */
function askingOf({ category, stream, type, since, until, order }: Readonly<Record<string, string>>): Asking {
  const isForward = order === 'oldest';
  const [from, end] = isForward ? [since, until] : [until, since];
  return { category, stream, type, from, until: end, direction: isForward ? 'forward' : 'backward', limit: PAGE };
}

interface ListProps {
  readonly query: Asking;
  readonly links: Pick<EventListProps, 'linkOf' | 'open'>;
}

function Found({ query, links, onFollow }: ListProps & { readonly onFollow: () => void }): JSX.Element {
  const { events, isLoading, error, hasMore, isCutShort, more, again } = useEvents(query);
  const isForward = query.direction === 'forward';
  return (
    <Panel
      title={
        isLoading || error
          ? 'Events'
          : hasMore
            ? `The ${isForward ? 'first' : 'last'} ${several(events.length, 'event')}`
            : several(events.length, 'event')
      }
      aside={
        <div class="row">
          <button type="button" class="small" onClick={again}>
            Look again
          </button>
          <button type="button" class="small" onClick={onFollow}>
            Follow live
          </button>
        </div>
      }
    >
      {events.length > 0 && <EventList events={events} {...links} />}
      {error && <Failure error={error} again={again} />}
      {isLoading && <Loading what="events" />}
      {!isLoading && !error && (
        <div class="row below">
          {events.length === 0 && !hasMore && (
            <Empty title="No events fit.">Take a filter away, or widen the time. A category's or stream's name has to be whole.</Empty>
          )}
          {isCutShort && <p class="quiet">Stopped looking after a while: there are many events that do not fit.</p>}
          {hasMore && (
            <button type="button" onClick={more}>
              {isCutShort ? 'Look on' : isForward ? 'Newer events' : 'Older events'}
            </button>
          )}
        </div>
      )}
    </Panel>
  );
}

function Following({ query, links, onStop }: ListProps & { readonly onStop: () => void }): JSX.Element {
  const [isPaused, setPaused] = useState(false);
  const { events, held, isOpen, trouble } = useFollow(true, isPaused, query);
  return (
    <Panel
      title={isPaused ? 'Following, paused' : 'Following live'}
      aside={
        <div class="row">
          <button type="button" class="small" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
            {isPaused ? `Go on${held > 0 ? `, ${count(held)} new` : ''}` : 'Pause'}
          </button>
          <button type="button" class="small" onClick={onStop}>
            Stop following
          </button>
        </div>
      }
    >
      {trouble !== undefined && <Failure error={new Error(trouble)} />}
      {events.length > 0 ? (
        <EventList events={events} {...links} />
      ) : (
        <Empty title={isOpen ? 'Waiting for the next event.' : 'Connecting …'}>
          What is appended from now on and fits stands here, the newest first.
        </Empty>
      )}
    </Panel>
  );
}
