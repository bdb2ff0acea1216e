// Tasks of a partition that stand at the same place of its log, and what of a page is for them.
import { type Marked, markOf } from '../log/mark.ts';
import type { Page } from '../log/page.ts';
import type { Batch, Task } from './task.ts';

/** Tasks that stand at the same place of the log, and so read it together. */
export interface Group extends Marked {
  readonly tasks: Task[];
}

/** Tasks that hold their lease, by where they read on, the last ones first. */
export function groupsOf(tasks: readonly Task[]): Group[] {
  const groups = new Map<number, Group>();
  for (const task of tasks) {
    const { standing, failure } = task;
    if (!standing || failure !== undefined) continue;
    const group = groups.get(standing.place);
    if (group) group.tasks.push(task);
    else groups.set(standing.place, { place: standing.place, mark: standing.mark, tasks: [task] });
  }
  return [...groups.values()].sort((a, b) => a.place - b.place);
}

export function categoriesOf(tasks: readonly Task[]): readonly string[] {
  return [...new Set(tasks.flatMap(({ categories }) => [...categories]))].sort();
}

/**
 * What of a page comes before the place where others stand already, and reaches to there if nothing else does; undefined where there
 * is nothing to do.
 */
export function batchOf({ events, through, isEnd }: Page, next: Group | undefined): Batch | undefined {
  const last = events.at(-1);
  const canJoin = next !== undefined && (next.place < through || (isEnd && next.place > through));
  if (canJoin) return { events: events.filter(({ place }) => place <= next.place), through: next.place, mark: next.mark };
  return last && { events, through, mark: markOf(last.event) };
}

/** Whether the log ended, for those who read this page, where they stand once they have taken the batch. */
export function isAtEnd({ through, isEnd }: Page, batch: Batch | undefined): boolean {
  return isEnd && (batch?.through ?? through) === through;
}
