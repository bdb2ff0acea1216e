// What a run prints: a line now and then, and at the end what was done, what became of it, and what was found.
import type { Drain, Finding, FindingKind, History } from './checkers/finding.ts';
import type { Checked } from './checks.ts';
import type { Operation } from './history.ts';
import type { Counts } from './workload/settings.ts';

/** How often each kind of fault was made. */
export type FaultCounts = ReadonlyMap<string, number>;

export interface Facts {
  readonly seed: number;
  readonly faults: FaultCounts;
  readonly history: History;
  readonly checked: readonly Checked[];
}

const SHOWN_MAX = 8;

export function progressLine(seconds: number, { ok, failed, unknown }: Counts, faults: FaultCounts, current: readonly string[]): string {
  const made = [...faults.values()].reduce((sum, count) => sum + count, 0);
  const now = current.length === 0 ? '' : `; now: ${current.join(', ')}`;
  return `${String(Math.round(seconds)).padStart(4)} s: ${ok} acknowledged, ${failed} refused, ${unknown} unknown; ${made} faults${now}`;
}

export function report({ seed, faults, history, checked }: Facts): string {
  return [
    `seed ${seed}`,
    ...table([
      ['operations', String(history.operations.length), byKind(history.operations)],
      [
        'faults',
        String([...faults.values()].reduce((sum, count) => sum + count, 0)),
        [...faults].map(([kind, count]) => `${kind} ${count}`).join(', '),
      ],
      ...outcomes(history.operations),
      ['events', String(history.log.length), `in ${history.streams.size} streams`],
      ...damages(checked),
      ['time to drain', `${Math.round(history.drain.tookMs)} ms`, `of ${history.drain.limitMs} ms at most`],
      ...(history.mayLose ? [lossLine(checked, history)] : []),
    ]),
    '',
    ...checked.map(checkedLine),
    ...checked.flatMap(details),
  ].join('\n');
}

export function hasViolation(checked: readonly Checked[]): boolean {
  return checked.some(({ violations }) => violations.length > 0);
}

function outcomes(operations: readonly Operation[]): string[][] {
  const of = (outcome: Operation['outcome']): Operation[] => operations.filter((operation) => operation.outcome === outcome);
  return [
    ['acknowledged', String(of('ok').length), ''],
    ['unknown', String(of('unknown').length), codesOf(of('unknown'))],
    ['refused', String(of('failed').length), codesOf(of('failed'))],
  ];
}

function damages(checked: readonly Checked[]): string[][] {
  const kinds: readonly (readonly [FindingKind, string])[] = [
    ['lost', 'lost'],
    ['doubled', 'doubled'],
    ['unordered', 'unordered'],
  ];
  return kinds.map(([kind, name]) => [name, String(countOf(checked, kind)), '']);
}

function countOf(checked: readonly Checked[], kind: FindingKind): number {
  return checked.flatMap(({ violations, expected }): readonly Finding[] => [...violations, ...expected]).filter((finding) => finding.kind === kind)
    .length;
}

/** What asynchronous replication lost is no violation; that it is told is what is promised. */
function lossLine(checked: readonly Checked[], { lostLogs }: History): string[] {
  const [events, ...others] = checked.map(({ expected }) => expected.length) as [number, ...number[]];
  const bent = others.reduce((sum, count) => sum + count, 0);
  const more = `acknowledged events, as asynchronous replication does; told ${lostLogs.length} times; ${bent} effects of what is gone, or of a rewind`;
  return ['lost by failover', String(events), more];
}

function byKind(operations: readonly Operation[]): string {
  return countsOf(operations.map(({ kind }) => kind));
}

function codesOf(operations: readonly Operation[]): string {
  return countsOf(operations.map(({ code }) => code));
}

function countsOf(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
}

function table(rows: readonly string[][]): string[] {
  return rows.map(([name = '', count = '', more = '']) => `${name.padEnd(18)}${count.padStart(9)}  ${more}`.trimEnd());
}

function checkedLine({ name, violations }: Checked): string {
  return `${violations.length === 0 ? 'ok  ' : 'FAIL'} ${name}${violations.length === 0 ? '' : `: ${violations.length}`}`;
}

function details({ name, violations }: Checked): string[] {
  if (violations.length === 0) return [];
  const shown = violations.slice(0, SHOWN_MAX).map(({ kind, message }) => `  ${kind}: ${message}`);
  return ['', name, ...shown, ...(violations.length > SHOWN_MAX ? [`  and ${violations.length - SHOWN_MAX} more`] : [])];
}

/** What is there of it for a program that reads the output: the last line. */
export function summaryLine({ left }: Drain, checked: readonly Checked[]): string {
  const failed = checked.filter(({ violations }) => violations.length > 0);
  if (failed.length === 0 && left.length === 0) return 'no violation';
  return `violated: ${failed.map(({ name, violations }) => `${name} (${violations.length})`).join('; ')}`;
}
