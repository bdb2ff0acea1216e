// Events as rows, the open one marked; arrow keys go from one to the next.
import type { JSX } from 'preact';
import type { EventsReply } from '../../api.ts';
import { preview } from '../format.ts';
import { Time } from '../parts.tsx';

export type Recorded = EventsReply['events'][number];

export interface EventListProps {
  readonly events: readonly Recorded[];
  readonly linkOf: (event: Recorded) => string;
  /** The position of the one that is open. */
  readonly open?: string | undefined;
}

export function EventList({ events, linkOf, open }: EventListProps): JSX.Element {
  return (
    <ol class="events" onKeyDown={moveFocus}>
      {events.map((event) => (
        <li key={event.position}>
          <a href={linkOf(event)} aria-current={event.position === open ? 'true' : undefined} class="event-row">
            <Time iso={event.recordedAt} />
            <bdi class="type">{event.type}</bdi>
            <span class="of">
              <bdi class="mono">{event.streamName}</bdi>
              <span class="mono quiet">{`\u00a0${event.streamVersion}`}</span>
            </span>
            <bdi class="mono quiet preview">{preview(event.data)}</bdi>
          </a>
        </li>
      ))}
    </ol>
  );
}

function moveFocus(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined || !(event.currentTarget instanceof HTMLElement)) return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>('a.event-row')];
  const next = links[links.findIndex((each) => each === document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
