// How far the import of a foreign Redis Stream is, in the form of any processor's facts.
import type { Connection } from '../redis/connection.ts';
import type { RegisteredFacts } from '../processor/registered.ts';
import { readFailures } from '../processor/registry.ts';
import { readSourceMark } from '../processor/source-loop.ts';
import type { ProcessorFacts } from './facts.ts';
import { readLease } from './lease-facts.ts';

/** `eventsDone` and `lagEvents` count entries; those of a Redis Stream that was trimmed are not known to have been there. */
export async function sourceFacts(connection: Connection, of: RegisteredFacts): Promise<ProcessorFacts> {
  const { port, keys } = connection;
  const leaseKey = keys.source(0, of.name);
  const [mark, length, lease, failures] = await Promise.all([
    readSourceMark(connection, of.name),
    port.send(of.name, ['XLEN', of.name]),
    readLease(connection, leaseKey),
    readFailures(connection, of),
  ]);
  const total = Number(length);
  const lagEvents = await entriesBehind(connection, of.name, mark.entryId);
  const { owner } = lease;
  const [failure] = failures;
  return {
    ...of,
    eventsDone: total - lagEvents,
    eventsTotal: total,
    lagEvents,
    lagMs: lagEvents === 0 ? 0 : await ageOfNext(connection, of.name, mark.entryId),
    percent: total === 0 ? 100 : (100 * (total - lagEvents)) / total,
    eventsPerSecond: undefined,
    timeLeftMs: lagEvents === 0 ? 0 : undefined,
    isPaused: false,
    unfinished: undefined,
    isServing: false,
    isBuilt: lagEvents === 0,
    deadLetters: 0,
    eventsWaiting: 0,
    partitionsRun: owner === undefined ? 0 : 1,
    owners: owner === undefined ? [] : [owner],
    lastFailure: failure && { ...failure, isCurrent: owner === undefined && lagEvents > 0 },
    partitions: [],
  };
}

const COUNT = 1_000;
/** What is counted of what is behind; more than that is told as so much. */
const COUNT_MAX = 10_000;

/** XINFO tells no count behind an id; from the mark on they are counted. */
async function entriesBehind({ port }: Connection, key: string, mark: string): Promise<number> {
  let count = 0;
  for (let from = `(${mark}`; count < COUNT_MAX; ) {
    const entries = (await port.send(key, ['XRANGE', key, from, '+', 'COUNT', String(COUNT)])) as readonly (readonly [string, unknown])[];
    count += entries.length;
    if (entries.length < COUNT) return count;
    from = `(${entries.at(-1)?.[0] ?? ''}`;
  }
  return count;
}

async function ageOfNext({ port }: Connection, key: string, mark: string): Promise<number> {
  const [next] = (await port.send(key, ['XRANGE', key, `(${mark}`, '+', 'COUNT', '1'])) as readonly (readonly [string, unknown])[];
  return next === undefined ? 0 : Math.max(0, Date.now() - Number(next[0].split('-')[0]));
}
