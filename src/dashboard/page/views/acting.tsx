// Doing something by the page: asked first where it should be, told afterwards, one at a time.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { post } from '../client.ts';
import { Confirm, type Question } from '../dialog.tsx';
import { say, sayFailure } from '../say.tsx';
import { useSettings } from '../settings.ts';

export interface Acting {
  readonly isBusy: boolean;
  /** Posts, and says what came of it. */
  readonly act: <Reply>(path: string, body: object, done: string | ((reply: Reply) => string)) => void;
  readonly ask: (question: Question) => void;
  /** The question that is open. */
  readonly dialog: JSX.Element | null;
}

export function useActing(onDone: () => void = () => {}): Acting {
  const [isBusy, setBusy] = useState(false);
  const [question, setQuestion] = useState<Question | undefined>(undefined);
  const run = async <Reply,>(path: string, body: object, done: string | ((reply: Reply) => string)): Promise<void> => {
    setBusy(true);
    try {
      const reply = await post<Reply>(path, body);
      say(typeof done === 'string' ? done : done(reply));
      onDone();
    } catch (error) {
      sayFailure(error);
    } finally {
      setBusy(false);
    }
  };
  const act: Acting['act'] = (path, body, done) => void run(path, body, done);
  return { isBusy, act, ask: setQuestion, dialog: question ? <Confirm question={question} onClose={() => setQuestion(undefined)} /> : null };
}

/** How to be allowed to act, where one is not. */
export function ReadOnlyNote(): JSX.Element | null {
  const settings = useSettings();
  if (!settings || settings.allowWrites) return null;
  return (
    <p class="note">
      This page may only look. Start it with <code>millrace ui --allow-writes</code>, or give <code>allowWrites: true</code> to{' '}
      <code>dashboard()</code>, to act here.
    </p>
  );
}
