// Says in a few words what was done, to the eye and to screen readers.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const SHOWN_MS = 6_000;

interface Said {
  readonly text: string;
  readonly isFailure: boolean;
}

let tell: (said: Said) => void = () => {};

export function say(text: string): void {
  tell({ text, isFailure: false });
}

export function sayFailure(error: unknown): void {
  tell({ text: error instanceof Error ? error.message : String(error), isFailure: true });
}

/** What is said stands here for a while; a failure until it is closed. */
export function Sayings(): JSX.Element {
  const [said, setSaid] = useState<Said | undefined>(undefined);
  tell = setSaid;
  useEffect(() => {
    if (!said || said.isFailure) return undefined;
    const timer = setTimeout(() => setSaid(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <div class="sayings" role="status" aria-live="polite">
      {said && (
        <div class={`saying ${said.isFailure ? 'bad' : ''}`}>
          <bdi>{said.text}</bdi>
          <button type="button" class="small" onClick={() => setSaid(undefined)}>
            Close
          </button>
        </div>
      )}
    </div>
  );
}
