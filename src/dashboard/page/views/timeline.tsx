// The events of one stream over time, each type in a lane of its own.
import type { JSX } from 'preact';
import type { EventsReply } from '../../api.ts';
import { several, time } from '../format.ts';
import { Answer, Panel } from '../parts.tsx';
import { useQuery } from '../query.ts';
import type { Recorded } from './event-list.tsx';

const EVENTS_MAX = 500;
const LANES_MAX = 8;

export interface TimelineProps {
  readonly stream: string;
  readonly linkOf: (event: Recorded) => string;
  readonly open?: string | undefined;
}

export function StreamTimeline(props: TimelineProps): JSX.Element {
  const asked = useQuery<EventsReply>('events', { stream: props.stream, direction: 'backward', limit: EVENTS_MAX });
  return (
    <Panel title="The stream over time">
      <Answer asked={asked} what="the stream">
        {({ events, next }) =>
          events.length === 0 ? <p class="state">This stream has no events.</p> : <Lanes {...props} events={events} isCut={next !== undefined} />
        }
      </Answer>
    </Panel>
  );
}

function Lanes({ events, isCut, linkOf, open }: TimelineProps & { readonly events: readonly Recorded[]; readonly isCut: boolean }): JSX.Element {
  const [last, first] = [events[0], events.at(-1)];
  const lanes = lanesOf(events);
  const [from, to] = [timeOf(first), timeOf(last)];
  // What came at the same moment is spread in its order.
  const shareOf = (event: Recorded): number =>
    to > from ? (timeOf(event) - from) / (to - from) : 1 - events.indexOf(event) / Math.max(1, events.length - 1);
  return (
    <div class="timeline">
      {lanes.map(({ name, events: inLane }) => (
        <div class="lane" key={name}>
          <bdi class="type">{name}</bdi>
          <div class="marks">
            {inLane.map((event) => (
              <a
                key={event.position}
                href={linkOf(event)}
                tabIndex={-1}
                class={event.position === open ? 'mark is-open' : 'mark'}
                title={`${event.type}, ${time(event.recordedAt)}`}
                aria-label={`${event.type} ${event.streamVersion}`}
                style={{ left: `${shareOf(event) * 100}%` }}
              />
            ))}
          </div>
        </div>
      ))}
      <p class="lane quiet">
        <span>{isCut ? `the last ${several(events.length, 'event')}` : several(events.length, 'event')}</span>
        <span class="ends">
          <time class="mono">{first && time(first.recordedAt)}</time>
          <time class="mono">{last && time(last.recordedAt)}</time>
        </span>
      </p>
    </div>
  );
}

function timeOf(event: Recorded | undefined): number {
  return event === undefined ? 0 : new Date(event.recordedAt).getTime();
}

/** By type, in the order in which they first came; the rarest share the last one. */
function lanesOf(events: readonly Recorded[]): { readonly name: string; readonly events: readonly Recorded[] }[] {
  const byType = new Map<string, Recorded[]>();
  for (const event of events.toReversed()) byType.set(event.type, [...(byType.get(event.type) ?? []), event]);
  const lanes = [...byType].map(([name, inLane]) => ({ name, events: inLane }));
  if (lanes.length <= LANES_MAX) return lanes;
  const [most, rest] = [lanes.slice(0, LANES_MAX - 1), lanes.slice(LANES_MAX - 1)];
  return [...most, { name: `${rest.length} other types`, events: rest.flatMap(({ events: inLane }) => inLane) }];
}
