// The state of a processor in a word, and what it needs.
import type { JSX } from 'preact';
import type { NowReply } from '../../api.ts';
import { count, duration, several } from '../format.ts';
import { Badge, type Tone } from '../parts.tsx';
import { linkTo } from '../route.ts';

export type Processor = NowReply['processors'][number];

/** A source has no versions. */
export function idOf({ kind, name, version }: Processor): string {
  return kind === 'source' ? name : `${name}@${version}`;
}

/** Beside the name that people give it. */
export const KINDS: Readonly<Record<Processor['kind'], string>> = {
  projection: 'projection',
  reactor: 'reactor',
  'process-manager': 'process manager',
  source: 'source',
};

interface State {
  readonly tone: Tone;
  readonly word: string;
}

export function stateOf(processor: Processor): State {
  const { unfinished, isPaused, lastFailure, partitionsRun, kind, isBuilt, percent } = processor;
  if (unfinished !== undefined) return { tone: 'warn', word: unfinished === 'drop' ? 'being dropped' : 'being rewound' };
  if (isPaused) return { tone: 'warn', word: 'paused' };
  if (lastFailure?.isCurrent) return { tone: 'bad', word: 'stopped' };
  if (kind === 'projection' && !isBuilt && partitionsRun > 0) return { tone: 'plain', word: `building ${Math.floor(percent)} %` };
  if (partitionsRun > 0) return { tone: 'good', word: 'running' };
  return { tone: processor.lagEvents > 0 ? 'warn' : 'plain', word: 'not running' };
}

export function StateBadge({ processor }: { readonly processor: Processor }): JSX.Element {
  const { tone, word } = stateOf(processor);
  return <Badge tone={tone}>{word}</Badge>;
}

export function Lag({ processor: { lagEvents, lagMs } }: { readonly processor: Pick<Processor, 'lagEvents' | 'lagMs'> }): JSX.Element {
  return lagEvents === 0 ? (
    <span class="quiet">0</span>
  ) : (
    <span>
      {count(lagEvents)} <span class="quiet">{duration(lagMs)}</span>
    </span>
  );
}

export function Bar({ percent, label }: { readonly percent: number; readonly label: string }): JSX.Element {
  return (
    <span class="bar">
      <progress max={100} value={percent} aria-label={label} />
      <span>{Math.floor(percent)} %</span>
    </span>
  );
}

/** What somebody should look at, and where. */
export interface Trouble {
  readonly text: string;
  readonly link: string;
}

/** None where all is well with it. */
export function troublesOf(processor: Processor): readonly Trouble[] {
  const id = idOf(processor);
  const [standing, { deadLetters }] = [whyItStands(processor), processor];
  return [
    ...(standing === undefined ? [] : [{ text: standing, link: linkTo('processors', { open: id }) }]),
    ...(deadLetters === 0 ? [] : [{ text: `${id} gave up on ${several(deadLetters, 'event')}.`, link: linkTo('dead-letters', { reactor: id }) }]),
  ];
}

function whyItStands(processor: Processor): string | undefined {
  const { lastFailure, isPaused, lagEvents, partitionsRun, unfinished } = processor;
  const id = idOf(processor);
  if (lastFailure?.isCurrent) return `${id} stopped at ${lastFailure.name}: ${lastFailure.message}`;
  if (unfinished !== undefined) return `${id} is being ${unfinished === 'drop' ? 'dropped' : 'rewound'}: that is not finished.`;
  if (isPaused) return `${id} is paused, ${several(lagEvents, 'event')} behind.`;
  return lagEvents > 0 && partitionsRun === 0 ? `Nobody runs ${id}, and it is ${several(lagEvents, 'event')} behind.` : undefined;
}
