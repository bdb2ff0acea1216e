// The table of what runs: state, lag, rate, who runs it.
import type { JSX } from 'preact';
import type { ProcessorFacts } from '../../index.ts';
import type { Json } from '../api.ts';
import { count, duration, owner, rate } from './format.ts';
import { Badge, Table, type Tone } from './parts.tsx';
import { linkTo } from './route.ts';

export type Processor = Json<ProcessorFacts>;

export const KINDS: Readonly<Record<Processor['kind'], string>> = {
  source: 'source',
  projection: 'projection',
  reactor: 'reactor',
  'process-manager': 'process manager',
};

export function titleOf({ name, version, kind }: Pick<Processor, 'name' | 'version' | 'kind'>): string {
  return kind === 'source' ? name : `${name}@${version}`;
}

export function stateOf(each: Processor): { readonly tone: Tone; readonly words: string } {
  if (each.unfinished !== undefined) return { tone: 'warn', words: `${each.unfinished} not finished` };
  if (each.isPaused) return { tone: 'warn', words: 'paused' };
  if (each.lastFailure?.isCurrent === true) return { tone: 'bad', words: 'stands still' };
  if (each.owners.length === 0) return { tone: each.lagEvents > 0 ? 'bad' : 'warn', words: 'nobody runs it' };
  if (each.kind === 'projection' && !each.isBuilt) return { tone: 'warn', words: `building, ${Math.floor(each.percent)} %` };
  return { tone: 'good', words: 'running' };
}

export function ProcessorTable({ processors }: { processors: readonly Processor[] }): JSX.Element {
  return (
    <Table
      label="Processors"
      heads={[
        'Name',
        'Kind',
        'State',
        { text: 'Behind', isNumber: true },
        { text: 'Since', isNumber: true },
        { text: 'Events/s', isNumber: true },
        { text: 'Dead letters', isNumber: true },
        'Run by',
      ]}
    >
      {processors.map((each) => (
        <tr key={`${each.kind}:${titleOf(each)}`}>
          <td>
            <a href={linkTo('processor', { of: titleOf(each), kind: each.kind })}>
              <bdi>{titleOf(each)}</bdi>
            </a>
          </td>
          <td>{KINDS[each.kind]}</td>
          <td>
            <Badge tone={stateOf(each).tone}>{stateOf(each).words}</Badge> {each.isServing && <Badge tone="plain">serves</Badge>}
          </td>
          <td class="number">{count(each.lagEvents)}</td>
          <td class="number">{each.lagMs === 0 ? '' : duration(each.lagMs)}</td>
          <td class="number">{each.eventsPerSecond === undefined ? '' : rate(each.eventsPerSecond)}</td>
          <td class="number">
            {each.deadLetters === 0 ? '' : <a href={linkTo('dead-letters', { of: titleOf(each) })}>{count(each.deadLetters)}</a>}
          </td>
          <td class="mono">{each.owners.map(owner).join(', ')}</td>
        </tr>
      ))}
    </Table>
  );
}
