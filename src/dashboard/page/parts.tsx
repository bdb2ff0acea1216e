// Small parts that all views use: states of an answer, times, badges, and what copies.
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { time } from './format.ts';
import type { Asked } from './query.ts';

/** Shows what came; before that, and where it failed, words. */
export function Answer<Reply>(props: {
  readonly asked: Asked<Reply>;
  readonly what: string;
  readonly children: (data: Reply) => ComponentChildren;
}): JSX.Element {
  const { asked, what, children } = props;
  if (asked.data === undefined) return asked.error ? <Failure error={asked.error} again={asked.again} /> : <Loading what={what} />;
  return (
    <>
      {asked.error && <Failure error={asked.error} again={asked.again} />}
      {children(asked.data)}
    </>
  );
}

export function Loading({ what }: { readonly what: string }): JSX.Element {
  return (
    <p class="state" role="status">
      Loading {what} …
    </p>
  );
}

export function Failure({ error, again }: { readonly error: Error; readonly again?: () => void }): JSX.Element {
  return (
    <div class="state failure" role="alert">
      <p>
        <bdi>{error.message}</bdi>
      </p>
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Nothing is there, and what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }): JSX.Element {
  return (
    <div class="state">
      <p class="strong">{title}</p>
      {children !== undefined && <p>{children}</p>}
    </div>
  );
}

export function Time({ iso }: { readonly iso: string }): JSX.Element {
  return (
    <time class="mono" dateTime={iso} title={iso}>
      {time(iso)}
    </time>
  );
}

export type Tone = 'good' | 'warn' | 'bad' | 'plain';

const SIGNS: Readonly<Record<Tone, string>> = { good: '●', warn: '▲', bad: '■', plain: '○' };

/** A state in a word, with a sign of its own for those who do not see the colour. */
export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }): JSX.Element {
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{SIGNS[tone]}</span> {children}
    </span>
  );
}

export function Copy({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const [said, setSaid] = useState('Copy');
  const copy = async (): Promise<void> => {
    setSaid(
      await navigator.clipboard.writeText(text).then(
        () => 'Copied',
        () => 'Not allowed',
      ),
    );
    setTimeout(() => setSaid('Copy'), 1_500);
  };
  return (
    <button type="button" class="small" aria-label={`${said} ${what}`} onClick={() => void copy()}>
      {said}
    </button>
  );
}

/** A head of a column: '#' before it where numbers stand below. */
export function Table(props: { readonly heads: readonly string[]; readonly label: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class="scrolls" role="region" aria-label={props.label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {props.heads.map((head) => (
              <th key={head} scope="col" class={head.startsWith('#') ? 'number' : ''}>
                {head.replace(/^#/, '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}

/** A name and what it is, in a list of facts. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The way back to the list beside which something is open. */
export function Close({ link, what }: { readonly link: string; readonly what: string }): JSX.Element {
  return (
    <a class="close" href={link} aria-label={`Close the ${what}`}>
      <span aria-hidden="true">✕</span> Close
    </a>
  );
}

/** A part of a view, with its heading. */
export function Panel(props: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class={`panel ${props.class ?? ''}`} aria-label={props.title}>
      <header class="panel-head">
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}
