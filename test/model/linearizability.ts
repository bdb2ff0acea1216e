// Checks the histories of several clients: whether some order of their operations, one after the other, explains all that they saw.
import type { ExpectedVersion } from 'millrace';
import { isMet } from './store-model.ts';

/** One operation on one stream, as its client saw it. Times are of one clock. */
export interface Operation {
  readonly streamName: string;
  readonly start: number;
  readonly end: number;
  /** An append that succeeded has the versions that it wrote; anything else has seen the stream at a version. */
  readonly outcome: { readonly kind: 'appended'; readonly from: number; readonly to: number } | { readonly kind: 'seen'; readonly version: number };
  /** What an append expected: met where it succeeded, not where it met a conflict. A read has none. */
  readonly expected?: ExpectedVersion;
}

/** An event as it is stored, in the order of positions. */
export interface StoredEvent {
  readonly streamName: string;
  readonly streamVersion: number;
}

/** What is wrong with a history; nothing where it is linearizable by stream. */
export function historyFaults(operations: readonly Operation[], stored: readonly StoredEvent[]): string[] {
  const names = new Set([...operations, ...stored].map(({ streamName }) => streamName));
  return [...names].flatMap((name) => {
    const own = operations.filter(({ streamName }) => streamName === name);
    const length = stored.filter(({ streamName }) => streamName === name).length;
    return [...versionsFaults(own, length), ...expectationFaults(own), ...realTimeFaults(own)].map((fault) => `${name}: ${fault}`);
  });
}

/** The appends that succeeded lie side by side, from the first version to the last: one winner for each. */
function versionsFaults(operations: readonly Operation[], length: number): string[] {
  const appended = operations.flatMap(({ outcome }) => (outcome.kind === 'appended' ? [outcome] : [])).sort((a, b) => a.from - b.from || a.to - b.to);
  const faults: string[] = [];
  const boundaries = new Set([0]);
  let version = 0;
  for (const { from, to } of appended) {
    if (from !== version + 1) faults.push(`an append wrote versions ${from} to ${to} after version ${version}`);
    version = to;
    boundaries.add(to);
  }
  if (version !== length) faults.push(`${length} events are stored, and ${version} were told`);
  for (const { outcome } of operations) {
    if (outcome.kind === 'seen' && !boundaries.has(outcome.version)) faults.push(`version ${outcome.version} was seen, in the middle of an append`);
  }
  return faults;
}

function expectationFaults(operations: readonly Operation[]): string[] {
  return operations.flatMap(({ expected, outcome }) => {
    if (expected === undefined) return [];
    if (outcome.kind === 'appended')
      return isMet(expected, outcome.from - 1) ? [] : [`an append that expected ${expected} wrote version ${outcome.from}`];
    return isMet(expected, outcome.version) ? [`an append that expected ${expected} met a conflict at version ${outcome.version}`] : [];
  });
}

/** What had ended before something else began comes before it in the order of versions. */
function realTimeFaults(operations: readonly Operation[]): string[] {
  const byEnd = [...operations].sort((a, b) => a.end - b.end);
  const byStart = [...operations].sort((a, b) => a.start - b.start);
  const faults: string[] = [];
  let least = 0;
  let ended = 0;
  for (const operation of byStart) {
    for (let next = byEnd[ended]; next && next.end < operation.start; next = byEnd[ended]) {
      least = Math.max(least, next.outcome.kind === 'appended' ? next.outcome.to : next.outcome.version);
      ended += 1;
    }
    const version = operation.outcome.kind === 'appended' ? operation.outcome.from - 1 : operation.outcome.version;
    if (version < least) faults.push(`version ${version} was found after version ${least} had been there`);
  }
  return faults;
}

/** An append of any number of streams, with everything that it expected, and what it wrote. */
export interface Written {
  readonly streams: readonly { readonly streamName: string; readonly from: number; readonly to: number; readonly expected: ExpectedVersion }[];
  readonly guards: readonly { readonly streamName: string; readonly expected: ExpectedVersion }[];
}

/** In the order of positions each append stands whole, with nothing between, and found all streams as it expected them. */
export function orderFaults(written: readonly Written[], stored: readonly StoredEvent[]): string[] {
  const first = new Map<string, Written>();
  for (const each of written) {
    const [stream] = each.streams;
    if (stream) first.set(`${stream.streamName}@${stream.from}`, each);
  }
  const versions = new Map<string, number>();
  const faults: string[] = [];
  for (let at = 0; at < stored.length; ) {
    const name = `${stored[at]?.streamName}@${stored[at]?.streamVersion}`;
    const append = first.get(name);
    if (!append) return [...faults, `${name} begins no append`];
    faults.push(...unmet(append, versions).map((fault) => `${name}: ${fault}`));
    for (const { streamName, from, to } of append.streams) {
      for (let version = from; version <= to; version += 1, at += 1) {
        const found = stored[at];
        if (found?.streamName !== streamName || found.streamVersion !== version)
          return [...faults, `${streamName}@${version} does not stand with its append`];
      }
      versions.set(streamName, to);
    }
  }
  return faults;
}

function unmet({ streams, guards }: Written, versions: ReadonlyMap<string, number>): string[] {
  return [...streams, ...guards].flatMap(({ streamName, expected }) => {
    const version = versions.get(streamName) ?? 0;
    return isMet(expected, version) ? [] : [`${streamName} was at version ${version}, expected ${expected}`];
  });
}
