// A history: what each process wrote down before and after each thing it did, line by line, so that a kill loses nothing of it.
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** One stream's part of an append. */
export interface Part {
  readonly stream: string;
  readonly events: number;
  readonly expected: number | 'any' | 'no-stream';
}

/** Times are of the machine's monotonic clock, in milliseconds: the same for all processes, whatever happens to the time of day. */
export type Line =
  | { readonly t: 'invoke'; readonly op: string; readonly kind: string; readonly at: number; readonly parts: readonly Part[] }
  | { readonly t: 'ok'; readonly op: string; readonly at: number; readonly versions: readonly number[]; readonly position: string }
  /** It surely was not written. */
  | { readonly t: 'fail'; readonly op: string; readonly at: number; readonly code: string }
  | { readonly t: 'unknown'; readonly op: string; readonly at: number; readonly code: string }
  /** A read that had to see an append: which version of which stream, and which one it saw. */
  | { readonly t: 'read'; readonly op: string; readonly at: number; readonly stream: string; readonly needs: number; readonly saw: number }
  /** The state that a command was decided on and its events made. */
  | { readonly t: 'state'; readonly op: string; readonly stream: string; readonly version: number; readonly state: unknown }
  /** A handler began with an event, and ended with it. */
  | {
      readonly t: 'handle' | 'handled';
      readonly reactor: string;
      readonly at: number;
      readonly stream: string;
      readonly version: number;
      readonly key: string;
    }
  /** A follower was given an event. */
  | { readonly t: 'followed'; readonly follower: string; readonly position: string; readonly key: string }
  /** A processor, or a follower, said so; `what` stands still. */
  | { readonly t: 'lost-log'; readonly who: string; readonly what: string; readonly at: number; readonly message: string }
  /** Something that no fault explains: a bug of the workload or of the library. */
  | { readonly t: 'error'; readonly who: string; readonly at: number; readonly message: string };

export interface Recorder {
  write(line: Line): void;
  close(): void;
}

/** One write of the system for each line: what was written before a SIGKILL stays, and no line is torn. */
export function recordTo(folder: string, name: string): Recorder {
  const file = openSync(join(folder, `${name}.jsonl`), 'a');
  return {
    write: (line) => void writeSync(file, `${JSON.stringify(line)}\n`),
    close: () => closeSync(file),
  };
}

/** CLOCK_MONOTONIC, which all processes of a machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What became of an operation. Without an answer (its process was killed) it is unknown. */
export interface Operation {
  readonly op: string;
  readonly kind: string;
  readonly parts: readonly Part[];
  readonly invokedAt: number;
  readonly endedAt: number;
  readonly outcome: 'ok' | 'failed' | 'unknown';
  /** Of a failure. */
  readonly code: string;
  readonly versions: readonly number[];
  readonly position: string;
}

export type LineOf<T extends Line['t']> = Extract<Line, { readonly t: T }>;

/** What the processes wrote down, sorted by what it is. */
export interface Recording {
  readonly operations: readonly Operation[];
  readonly reads: readonly LineOf<'read'>[];
  readonly states: readonly LineOf<'state'>[];
  readonly handlings: readonly LineOf<'handle' | 'handled'>[];
  readonly followed: readonly LineOf<'followed'>[];
  readonly lostLogs: readonly LineOf<'lost-log'>[];
  readonly errors: readonly LineOf<'error'>[];
}

export function readRecording(folder: string): Recording {
  return recordingOf(
    readdirSync(folder)
      .filter((name) => name.endsWith('.jsonl'))
      .flatMap((name) => linesOf(readFileSync(join(folder, name), 'utf8'))),
  );
}

function linesOf(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

export function recordingOf(lines: readonly Line[]): Recording {
  const operations = new Map<string, Operation>();
  for (const line of lines) if (line.t === 'invoke') operations.set(line.op, begun(line));
  for (const line of lines) {
    const operation = 'op' in line ? operations.get(line.op) : undefined;
    if (operation) operations.set(operation.op, { ...operation, ...endOf(line) });
  }
  const of = <T extends Line['t']>(...kinds: readonly T[]): LineOf<T>[] =>
    lines.filter((line): line is LineOf<T> => (kinds as readonly string[]).includes(line.t));
  return {
    operations: [...operations.values()],
    reads: of('read'),
    states: of('state'),
    handlings: of('handle', 'handled'),
    followed: of('followed'),
    lostLogs: of('lost-log'),
    errors: of('error'),
  };
}

function begun({ op, kind, parts, at }: LineOf<'invoke'>): Operation {
  return { op, kind, parts, invokedAt: at, endedAt: Number.POSITIVE_INFINITY, outcome: 'unknown', code: 'no-answer', versions: [], position: '' };
}

function endOf(line: Line): Partial<Operation> {
  switch (line.t) {
    case 'ok':
      return { outcome: 'ok', endedAt: line.at, versions: line.versions, position: line.position, code: '' };
    case 'fail':
      return { outcome: 'failed', endedAt: line.at, code: line.code };
    case 'unknown':
      return { outcome: 'unknown', code: line.code };
    default:
      return {};
  }
}
