// Conditions on an event's data, as people write them: `name=Daffy`, `address.city~Entenhausen`, `n>=5`.
import { InvalidArgumentError } from 'commander';
import type { RecordedEvent } from '../index.ts';

export type Condition = (event: RecordedEvent) => boolean;

// A value that begins like a comparison is rather a slip (n==5, n=>5) than meant; meant, it goes in quotes.
const CONDITION = /^([^=!<>~\s][^=!<>~]*?)\s*(>=|<=|!=|=|>|<|~)(?![=<>~])\s*(.*)$/su;

/** Adds one more condition; all have to hold. A path with dots leads into objects and lists; the value is JSON, or a text. */
export function where(text: string, before: readonly Condition[] = []): readonly Condition[] {
  const [, path, operator, value] = CONDITION.exec(text) ?? [];
  const steps = path?.split('.') ?? [''];
  if (steps.includes('') || operator === undefined || value === undefined)
    throw new InvalidArgumentError(
      'Expected a field of the data, a comparison (= != > >= < <= ~) and a value, like name=Daffy or address.city~ton or n>=5. A value that begins like a comparison goes in quotes: name="=Daffy".',
    );
  const wanted = parsed(value);
  const holds = comparisons[operator] as Comparison;
  return [...before, ({ data }) => holds(valueAt(data, steps), wanted, value)];
}

type Comparison = (found: unknown, wanted: unknown, text: string) => boolean;

const comparisons: Readonly<Record<string, Comparison>> = {
  '=': isSame,
  '!=': (found, wanted, text) => !isSame(found, wanted, text),
  '>': (found, wanted) => order(found, wanted) > 0,
  '>=': (found, wanted) => order(found, wanted) >= 0,
  '<': (found, wanted) => order(found, wanted) < 0,
  '<=': (found, wanted) => order(found, wanted) <= 0,
  '~': (found, _, text) => found !== undefined && (typeof found === 'string' ? found : (JSON.stringify(found) ?? '')).includes(text),
};

function isSame(found: unknown, wanted: unknown, text: string): boolean {
  return found === text || (found !== undefined && JSON.stringify(found) === JSON.stringify(wanted));
}

/** NaN, which is in no order, for what is neither two numbers nor two texts. */
function order(found: unknown, wanted: unknown): number {
  if (typeof found === 'number' && typeof wanted === 'number') return found - wanted;
  if (typeof found !== 'string') return Number.NaN;
  const text = String(wanted);
  if (found === text) return 0;
  return found < text ? -1 : 1;
}

function valueAt(data: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, step) ? (value as Record<string, unknown>)[step] : undefined,
    data,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
