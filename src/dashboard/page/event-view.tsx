// The view of one event: its data and metadata, what caused it, and what it caused.
import type { JSX } from 'preact';
import type { RecordedEvent } from '../../index.ts';
import type { EventReply, Json } from '../api.ts';
import { EventTable } from './events-view.tsx';
import { JsonView } from './json-view.tsx';
import { Answer, Copy, Time } from './parts.tsx';
import { useQuery } from './query.ts';
import { linkTo, type Route } from './route.ts';

export function EventView({ params }: { params: Route['params'] }): JSX.Element {
  const asked = useQuery<EventReply>('event', { position: params['position'], stream: params['stream'], version: params['version'] });
  return (
    <Answer asked={asked} what="the event">
      {({ event, cause, causationId, effects, isSearchComplete }) => (
        <>
          <h1>
            <bdi>{event.type}</bdi>
          </h1>
          <Facts event={event} />
          <div class="columns">
            <section>
              <h2>
                Data <Copy text={JSON.stringify(event.data, undefined, 2)} what="the data" />
              </h2>
              <JsonView value={event.data} />
            </section>
            <section>
              <h2>Metadata</h2>
              {Object.keys(event.metadata).length === 0 ? <p class="quiet">none</p> : <JsonView value={event.metadata} />}
            </section>
          </div>
          <h2>Caused by</h2>
          {cause ? (
            <EventTable events={[cause]} />
          ) : (
            <p class="quiet">{causationId === undefined ? 'Nothing that it names.' : <CommandCause id={causationId} />}</p>
          )}
          <h2>Caused</h2>
          {effects.length > 0 && <EventTable events={effects} />}
          {effects.length === 0 && (
            <p class="quiet">{isSearchComplete ? 'Nothing, up to the end of the log.' : 'Nothing among the next 10,000 events.'}</p>
          )}
        </>
      )}
    </Answer>
  );
}

function CommandCause({ id }: { id: string }): JSX.Element {
  return (
    <>
      <bdi class="mono">{id}</bdi>, which is no event that was found: a command, or one further away.
    </>
  );
}

function Facts({ event }: { event: Json<RecordedEvent> }): JSX.Element {
  const id = event.streamName.slice(event.streamName.indexOf(':') + 1);
  const { streamName, streamVersion } = event;
  return (
    <dl class="facts">
      <dt>Stream</dt>
      <dd class="mono">
        <a href={linkTo('events', { stream: streamName })}>
          <bdi>{streamName}</bdi>
        </a>{' '}
        version {streamVersion} {streamVersion > 1 && <a href={linkTo('event', { stream: streamName, version: streamVersion - 1 })}>before</a>}{' '}
        <a href={linkTo('event', { stream: streamName, version: streamVersion + 1 })}>after</a>
      </dd>
      <dt>Recorded</dt>
      <dd>
        <Time iso={event.recordedAt} />
      </dd>
      <dt>Position</dt>
      <dd class="mono">{event.position}</dd>
      <dt>Id</dt>
      <dd class="mono">
        <bdi>{event.id}</bdi>
      </dd>
      <dt>Documents</dt>
      <dd>
        <a href={linkTo('documents', { key: id })}>
          those of <bdi>{id}</bdi>
        </a>
      </dd>
    </dl>
  );
}
