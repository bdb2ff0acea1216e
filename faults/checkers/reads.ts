// (e) A read that is given the token of an append sees that append.
import { type Checker, type Finding, survivors } from './finding.ts';

export const readsSeeTheirAppends: Checker = (history) => {
  const there = survivors(history);
  return history.reads
    .filter(({ op }) => !history.mayLose || there.has(op))
    .flatMap(({ op, stream, needs, saw }): Finding[] =>
      saw >= needs ? [] : [{ kind: 'wrong', message: `a read with the token of ${op} (${stream}@${needs}) saw version ${saw}` }],
    );
};
