// One event: where it stands, its data and metadata, what caused it and what it caused.
import type { JSX } from 'preact';
import type { EventReply } from '../../api.ts';
import { duration } from '../format.ts';
import { JsonView } from '../json-view.tsx';
import { Answer, Close, Copy, Fact, Time } from '../parts.tsx';
import { useQuery } from '../query.ts';
import { linkTo, type Route } from '../route.ts';
import type { Recorded } from './event-list.tsx';

/** A view of its own, by `position`, by `stream` and `version`, or by `id`. */
export function EventView({ params: { position, stream, version, id } }: Route): JSX.Element {
  const asked = useQuery<EventReply>('event', position !== undefined ? { position } : stream !== undefined ? { stream, version } : { id });
  return (
    <>
      <h1 class="hidden">Event</h1>
      <Answer asked={asked} what="the event">
        {(facts) => <EventFacts facts={facts} />}
      </Answer>
    </>
  );
}

/** Beside a list, with the way back to it. */
export function EventPane({ position, close }: { readonly position: string; readonly close: string }): JSX.Element {
  const asked = useQuery<EventReply>('event', { position });
  return (
    <Answer asked={asked} what="the event">
      {(facts) => <EventFacts facts={facts} close={close} />}
    </Answer>
  );
}

function EventFacts({ facts, close }: { readonly facts: EventReply; readonly close?: string }): JSX.Element {
  const { event } = facts;
  const hasMetadata = Object.keys(event.metadata).length > 0;
  return (
    <article class="panel detail">
      <header class="panel-head">
        <h2>
          <bdi>{event.type}</bdi>
        </h2>
        <span class="row">
          <a href={eventLink(event)}>Link to it</a>
          {close !== undefined && <Close link={close} what="event" />}
        </span>
      </header>
      <dl class="facts">
        <Fact name="Stream">
          <a href={linkTo('events', { stream: event.streamName })}>
            <bdi class="mono">{event.streamName}</bdi>
          </a>{' '}
          <Neighbours event={event} />
        </Fact>
        <Fact name="Recorded">
          <Time iso={event.recordedAt} />
        </Fact>
        <Fact name="Position">
          <span class="mono">{event.position}</span> <Copy text={event.position} what="position" />
        </Fact>
        <Fact name="Id">
          <bdi class="mono">{event.id}</bdi> <Copy text={event.id} what="id" />
        </Fact>
      </dl>
      <Part title="Data" value={event.data} />
      {hasMetadata && <Part title="Metadata" value={event.metadata} />}
      <Causes facts={facts} />
    </article>
  );
}

function Part({ title, value }: { readonly title: string; readonly value: unknown }): JSX.Element {
  return (
    <details open>
      <summary>
        <h3>{title}</h3>
      </summary>
      <div class="row end above">
        <Copy text={JSON.stringify(value, null, 2) ?? ''} what={title.toLowerCase()} />
      </div>
      <JsonView value={value} />
    </details>
  );
}

function Neighbours({ event: { streamName, streamVersion } }: { readonly event: Recorded }): JSX.Element {
  const link = (version: number): string => linkTo('event', { stream: streamName, version });
  return (
    <span class="neighbours">
      {streamVersion > 1 && (
        <a href={link(streamVersion - 1)} aria-label="The event before it in its stream">
          ←
        </a>
      )}
      <span class="mono"> {streamVersion} </span>
      <a href={link(streamVersion + 1)} aria-label="The event behind it in its stream">
        →
      </a>
    </span>
  );
}

function Causes({ facts: { event, cause, causationId, effects, isSearchComplete } }: { readonly facts: EventReply }): JSX.Element {
  return (
    <>
      <h3>Cause</h3>
      {cause && <Linked event={cause} from={event} />}
      {!cause && (
        <p class="quiet">
          {causationId === undefined ? (
            'Its metadata name none.'
          ) : (
            <>
              No event that was found: <bdi class="mono">{causationId}</bdi>
            </>
          )}
        </p>
      )}
      <h3>Effects</h3>
      {effects.map((each) => (
        <Linked key={each.position} event={each} from={event} />
      ))}
      {effects.length === 0 && <p class="quiet">{isSearchComplete ? 'No event names it as its cause.' : 'None among the next events.'}</p>}
      {effects.length > 0 && !isSearchComplete && <p class="quiet">Only the next events were searched: there may be more.</p>}
    </>
  );
}

/** `from` is the event that it stands beside. */
export function Linked({ event, from }: { readonly event: Recorded; readonly from?: Recorded }): JSX.Element {
  const apart = from && new Date(event.recordedAt).getTime() - new Date(from.recordedAt).getTime();
  return (
    <a class="linked" href={eventLink(event)}>
      <bdi class="type">{event.type}</bdi> <bdi class="mono">{event.streamName}</bdi> <span class="mono quiet">{event.streamVersion}</span>{' '}
      {apart !== undefined && <span class="quiet">{`${duration(Math.abs(apart))} ${apart < 0 ? 'before' : 'later'}`}</span>}
    </a>
  );
}

export function eventLink({ position }: Pick<Recorded, 'position'>): string {
  return linkTo('event', { position });
}
