// Two versions of a projection beside each other: the documents that are not the same in both.
import type { JSX } from 'preact';
import type { CompareReply } from '../../api.ts';
import { several } from '../format.ts';
import { Answer, Empty } from '../parts.tsx';
import { useQuery } from '../query.ts';
import { linkTo, type Route } from '../route.ts';
import { Changes } from './document.tsx';

export function CompareView({ params: { first = '', second = '' } }: Route): JSX.Element {
  const asked = useQuery<CompareReply>('compare', { first, second });
  return (
    <>
      <h1>
        Compare <bdi class="mono">{first}</bdi> with <bdi class="mono">{second}</bdi>
      </h1>
      <div class="row">
        <button type="button" disabled={asked.isLoading} onClick={asked.again}>
          Compare again
        </button>
        <a class="button" href={linkTo('compare', { first: second, second: first })}>
          Swap
        </a>
      </div>
      <Answer asked={asked} what="the differences; with many documents that takes a while">
        {({ differences, hasMore }) =>
          differences.length === 0 && !hasMore ? (
            <Empty title="No document differs.">Readers may be flipped from one to the other without seeing a difference.</Empty>
          ) : (
            <>
              <p class="strong">
                {hasMore
                  ? `At least ${several(differences.length, 'document')} differ.`
                  : `${several(differences.length, 'document')} differ${differences.length === 1 ? 's' : ''}.`}
              </p>
              <div class="panel differences">
                {differences.map((each) => (
                  <Difference key={each.key} difference={each} first={first} second={second} />
                ))}
              </div>
            </>
          )
        }
      </Answer>
    </>
  );
}

interface DifferenceProps {
  readonly difference: CompareReply['differences'][number];
  readonly first: string;
  readonly second: string;
}

function Difference({ difference: { key, kind, changes }, first, second }: DifferenceProps): JSX.Element {
  const where = { differs: 'In both, and not the same', 'only-first': `Only in ${first}`, 'only-second': `Only in ${second}` }[kind];
  return (
    <section>
      <header class="panel-head">
        <h2>
          <bdi class="mono">{key}</bdi>
        </h2>
        <span class="quiet">
          {where}. {kind !== 'only-second' && <a href={linkTo('documents', { projection: first, key })}>{first}</a>}{' '}
          {kind !== 'only-first' && <a href={linkTo('documents', { projection: second, key })}>{second}</a>}
        </span>
      </header>
      {kind === 'differs' && <Changes changes={changes} />}
    </section>
  );
}
