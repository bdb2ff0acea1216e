// The state of a processor in a word, and what it needs.
import type { JSX } from 'preact';
import type { NowReply } from '../../api.ts';
import { count, duration, several } from '../format.ts';
import { Badge, type Tone } from '../parts.tsx';

export type Processor = NowReply['processors'][number];

export function idOf({ name, version }: Processor): string {
  return `${name}@${version}`;
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

/** What of it somebody should look at, as sentences; none where all is well. */
export function troublesOf(processor: Processor): readonly string[] {
  const { lastFailure, isPaused, lagEvents, partitionsRun, deadLetters, unfinished } = processor;
  const id = idOf(processor);
  const found: string[] = [];
  if (lastFailure?.isCurrent) found.push(`${id} stopped at ${lastFailure.name}: ${lastFailure.message}`);
  else if (unfinished !== undefined) found.push(`${id} is being ${unfinished === 'drop' ? 'dropped' : 'rewound'}: that is not finished.`);
  else if (isPaused) found.push(`${id} is paused, ${several(lagEvents, 'event')} behind.`);
  else if (lagEvents > 0 && partitionsRun === 0) found.push(`Nobody runs ${id}, and it is ${several(lagEvents, 'event')} behind.`);
  if (deadLetters > 0) found.push(`${id} gave up on ${several(deadLetters, 'event')}.`);
  return found;
}
