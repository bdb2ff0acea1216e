// The frame of the page: where one is, where one can go, whether it is live, and the view.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { SettingsReply } from '../api.ts';
import { Dialog } from './dialog.tsx';
import { clock, count } from './format.ts';
import { useKeys } from './keys.ts';
import { LiveProvider, useLive } from './live.tsx';
import { Empty } from './parts.tsx';
import { useQuery } from './query.ts';
import { linkTo, type Route, useRoute } from './route.ts';
import { Sayings } from './say.tsx';
import { SettingsContext } from './settings.ts';
import { applyTheme, nextTheme, storedTheme } from './theme.ts';
import { CompareView } from './views/compare.tsx';
import { DeadLettersView } from './views/dead-letters.tsx';
import { DocumentsView } from './views/documents.tsx';
import { EventView } from './views/event.tsx';
import { EventsView } from './views/events.tsx';
import { NowView } from './views/now.tsx';
import { ProcessorsView } from './views/processors.tsx';

interface View {
  readonly title: string;
  readonly show: (props: Route) => JSX.Element;
  /** The entry of the menu that it belongs to, where it has none of its own. */
  readonly below?: string;
}

const VIEWS: Readonly<Record<string, View>> = {
  now: { title: 'Now', show: NowView },
  events: { title: 'Events', show: EventsView },
  documents: { title: 'Documents', show: DocumentsView },
  processors: { title: 'Processors', show: ProcessorsView },
  'dead-letters': { title: 'Dead letters', show: DeadLettersView },
  event: { title: 'Event', show: EventView, below: 'events' },
  compare: { title: 'Compare', show: CompareView, below: 'processors' },
};

export function App(): JSX.Element {
  return (
    <LiveProvider>
      <Frame />
    </LiveProvider>
  );
}

function Frame(): JSX.Element {
  const route = useRoute();
  const view = Object.hasOwn(VIEWS, route.view) ? VIEWS[route.view] : undefined;
  const settings = useQuery<SettingsReply>('settings');
  const [isHelping, setHelping] = useState(false);
  useKeys(() => setHelping(true));
  const main = useMainOf(route.view, view?.title ?? 'Not found', settings.data?.namespace);
  // Until the server answered, the stream of what happens tells that it does not.
  const { isLive } = useLive();
  useEffect(() => {
    if (isLive && settings.error) settings.again();
  }, [isLive]);
  return (
    <SettingsContext.Provider value={settings.data}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to what is shown
      </button>
      <Header view={view?.below ?? route.view} namespace={settings.data?.namespace} onHelp={() => setHelping(true)} />
      <NotLive />
      <main ref={main} tabIndex={-1}>
        {view ? <view.show key={route.view} {...route} /> : <Unknown />}
      </main>
      <Sayings />
      {isHelping && <Keys onClose={() => setHelping(false)} />}
    </SettingsContext.Provider>
  );
}

/** Another view begins at its top, with its name in the title; the keyboard goes there, except at the start. */
function useMainOf(view: string, title: string, namespace: string | undefined): { readonly current: HTMLElement | null } {
  const main = useRef<HTMLElement>(null);
  const isStart = useRef(true);
  useEffect(() => {
    document.title = `${title} · ${namespace === undefined ? '' : `${namespace} · `}millrace`;
  }, [title, namespace]);
  useEffect(() => {
    if (!isStart.current) main.current?.focus({ preventScroll: true });
    isStart.current = false;
    scrollTo(0, 0);
  }, [view]);
  return main;
}

function Header(props: { readonly view: string; readonly namespace: string | undefined; readonly onHelp: () => void }): JSX.Element {
  const { view, namespace, onHelp } = props;
  const { now } = useLive();
  const letters = now?.processors.reduce((sum, { deadLetters }) => sum + deadLetters, 0) ?? 0;
  return (
    <header class="top">
      <a class="brand" href={linkTo('now')}>
        millrace
        {namespace !== undefined && <bdi class="namespace mono">{namespace}</bdi>}
      </a>
      <nav aria-label="Views">
        {Object.entries(VIEWS)
          .filter(([, { below }]) => below === undefined)
          .map(([name, { title }]) => (
            <a key={name} href={linkTo(name)} aria-current={name === view ? 'page' : undefined}>
              {title}
              {name === 'dead-letters' && letters > 0 && <span class="count">{count(letters)}</span>}
            </a>
          ))}
      </nav>
      <div class="tools">
        <LiveSign />
        <ThemeSwitch />
        <button type="button" class="small" onClick={onHelp} aria-label="Keys of this page">
          ?
        </button>
      </div>
    </header>
  );
}

function LiveSign(): JSX.Element {
  const { isLive, heardAt } = useLive();
  const word = isLive ? 'Live' : heardAt === 0 ? 'Connecting' : 'Not live';
  return (
    <span class={`live ${isLive ? 'good' : 'warn'}`} role="status">
      <span aria-hidden="true">{isLive ? '●' : '▲'}</span> {word}
    </span>
  );
}

function ThemeSwitch(): JSX.Element {
  const [theme, setTheme] = useState(storedTheme);
  const change = (): void => {
    applyTheme(nextTheme(theme));
    setTheme(nextTheme(theme));
  };
  return (
    <button type="button" class="small" onClick={change} title="Theme: system, light or dark">
      <span class="hidden">Theme: </span>
      {{ system: 'Auto', light: 'Light', dark: 'Dark' }[theme]}
    </button>
  );
}

function NotLive(): JSX.Element | null {
  const { isLive, heardAt, trouble } = useLive();
  if (isLive || (heardAt === 0 && trouble === undefined)) return null;
  const since = heardAt === 0 ? 'Nothing was heard of the store yet.' : `Not live since ${clock(new Date(heardAt))}: what is shown is from then.`;
  return (
    <div class="banner" role="alert">
      {since} It tries again by itself. {trouble !== undefined && <bdi>{trouble}</bdi>}
    </div>
  );
}

function Unknown(): JSX.Element {
  return (
    <Empty title="There is no such view.">
      The address names none. <a href={linkTo('now')}>Go to what happens now</a>.
    </Empty>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'search'],
  ['g n', 'what happens now'],
  ['g e', 'events'],
  ['g d', 'documents'],
  ['g p', 'processors'],
  ['g l', 'dead letters'],
  ['← →', 'on the slider of a document: an event back or on'],
  ['Home End', 'on the slider: its first or last event'],
  ['Esc', 'close what is open'],
  ['?', 'these keys'],
];

function Keys({ onClose }: { readonly onClose: () => void }): JSX.Element {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys} class="fact">
            <dt>
              {keys.split(' ').map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
