// A value as a tree of JSON; with what it was before, what changed is marked by a sign and a word as well as by colour.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

/** A value that is there; undefined where none is. */
export type Side = { readonly value: unknown } | undefined;
type Kind = 'same' | 'added' | 'removed' | 'changed';

const SIGNS: Readonly<Record<Kind, string>> = { same: '', added: '+', removed: '−', changed: '~' };
/** Items of a list or object that are shown before more are asked for. */
const ITEMS_FIRST = 100;
const TEXT_FIRST = 600;
const DEPTH_OPEN = 3;

interface NodeProps {
  readonly name?: string | undefined;
  readonly before: Side;
  readonly after: Side;
  readonly depth: number;
}

/** Without `before` nothing is marked. */
export function JsonView({ value, before }: { readonly value: unknown; readonly before?: Side }): JSX.Element {
  const after = { value };
  return (
    <div class="json mono">
      <Node before={before ?? after} after={after} depth={0} />
    </div>
  );
}

function Node(props: NodeProps): JSX.Element {
  const { name, before, after, depth } = props;
  const kind = kindOf(before, after);
  const value = (after ?? before)?.value;
  const isContainer =
    isObject(value) && Object.keys(value).length + (kind === 'same' && isObject(before?.value) ? Object.keys(before.value).length : 0) > 0;
  return (
    <div class={`node ${kind}`}>
      {kind !== 'same' && (
        <span class="sign">
          <span aria-hidden="true">{SIGNS[kind]}</span>
          <span class="hidden">{kind} </span>
        </span>
      )}
      {isContainer ? (
        <Container {...props} value={value} depth={depth} />
      ) : (
        <Leaf name={name} value={value} was={kind === 'changed' ? before : undefined} />
      )}
    </div>
  );
}

function Name({ name }: { readonly name: string | undefined }): JSX.Element | null {
  return name === undefined ? null : (
    <>
      <bdi class="name">{name}</bdi>
      <span class="quiet">: </span>
    </>
  );
}

function Leaf({ name, value, was }: { readonly name: string | undefined; readonly value: unknown; readonly was: Side }): JSX.Element {
  return (
    <span class="leaf">
      <Name name={name} />
      {was && (
        <>
          <del>
            <Scalar value={was.value} />
          </del>{' '}
          <span aria-hidden="true">→</span>{' '}
        </>
      )}
      <Scalar value={value} />
    </span>
  );
}

function Scalar({ value }: { readonly value: unknown }): JSX.Element {
  const [isWhole, setWhole] = useState(false);
  const text = JSON.stringify(value) ?? 'undefined';
  const shown = isWhole || text.length <= TEXT_FIRST ? text : `${text.slice(0, TEXT_FIRST)}…`;
  return (
    <>
      <bdi class={value === null ? 'null' : typeof value}>{shown}</bdi>
      {shown.length < text.length && (
        <button type="button" class="small" onClick={() => setWhole(true)}>
          All {text.length.toLocaleString('en-US')} characters
        </button>
      )}
    </>
  );
}

function Container({ name, before, after, depth, value }: NodeProps & { readonly value: object }): JSX.Element {
  const entries = entriesOf(before, after);
  const isChanged = after !== undefined && before !== undefined && !isEqual(before.value, after.value);
  const [isToggled, setToggled] = useState<boolean | undefined>(undefined);
  const [most, setMost] = useState(ITEMS_FIRST);
  const isOpen = isToggled ?? (depth < DEPTH_OPEN || isChanged);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return (
    <>
      <button type="button" class="fold" aria-expanded={isOpen} onClick={() => setToggled(!isOpen)}>
        <span class="arrow" aria-hidden="true">
          {isOpen ? '▾' : '▸'}
        </span>
        <Name name={name} />
        {open}
        {!isOpen && (
          <span class="quiet">
            {' '}
            {entries.length} {close}
          </span>
        )}
      </button>
      {isOpen && (
        <div class="inner">
          {entries.slice(0, most).map((each) => (
            <Node key={each.name} {...each} depth={depth + 1} />
          ))}
          {entries.length > most && (
            <button type="button" class="small" onClick={() => setMost(most * 10)}>
              {(entries.length - most).toLocaleString('en-US')} more
            </button>
          )}
        </div>
      )}
      {isOpen && <span>{close}</span>}
    </>
  );
}

/** What is there, then what was removed. */
function entriesOf(before: Side, after: Side): { readonly name: string; readonly before: Side; readonly after: Side }[] {
  const [old, young] = [new Map(pairsOf(before ?? after)), new Map(pairsOf(after ?? before))];
  const sideOf = (from: ReadonlyMap<string, unknown>, name: string): Side => (from.has(name) ? { value: from.get(name) } : undefined);
  // Inside of what came or went as a whole nothing is marked again.
  const isWhole = before === undefined || after === undefined;
  const names = new Set([...young.keys(), ...old.keys()]);
  return [...names].map((name) => ({ name, before: sideOf(old, name), after: isWhole ? sideOf(old, name) : sideOf(young, name) }));
}

function pairsOf(side: Side): [string, unknown][] {
  return isObject(side?.value) ? Object.entries(side.value) : [];
}

function kindOf(before: Side, after: Side): Kind {
  if (!before) return 'added';
  if (!after) return 'removed';
  const areAlike = isObject(before.value) && isObject(after.value) && Array.isArray(before.value) === Array.isArray(after.value);
  return areAlike || isEqual(before.value, after.value) ? 'same' : 'changed';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isEqual(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
