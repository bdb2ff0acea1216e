// What changed between two states of a document, path by path.
import microdiff from 'microdiff';

/** One place in a document that is not as it was. `path` has dots between its steps. */
export interface Change {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** From one state to another; undefined is no document. */
export function changesBetween(before: unknown, after: unknown): readonly Change[] {
  // Wrapped, since a state may be no object, or not be there.
  return microdiff({ state: before ?? null }, { state: after ?? null }).map((difference) => changeOf(difference as FoundDifference));
}

/** As microdiff tells it, with values of unknown types. */
type FoundDifference =
  | { readonly type: 'CREATE'; readonly path: readonly (string | number)[]; readonly value: unknown }
  | { readonly type: 'REMOVE'; readonly path: readonly (string | number)[]; readonly oldValue: unknown }
  | { readonly type: 'CHANGE'; readonly path: readonly (string | number)[]; readonly value: unknown; readonly oldValue: unknown };

function changeOf(difference: FoundDifference): Change {
  const path = difference.path.slice(1).join('.');
  switch (difference.type) {
    case 'CREATE':
      return { kind: 'added', path, after: difference.value };
    case 'REMOVE':
      return { kind: 'removed', path, before: difference.oldValue };
    case 'CHANGE':
      return { kind: 'changed', path, before: difference.oldValue, after: difference.value };
  }
}
