// Whether log and indexes agree: each event is in its stream's index at its version, and each entry of an index is an event of the log.
import { CorruptEntryError } from '../errors.ts';
import { splitStreamName } from '../event.ts';
import { decodeEntry, type LogEvent } from '../log/entry.ts';
import { readForward, readHead } from '../log/page.ts';
import { entryIdOf, packEntryId } from '../position.ts';
import type { Connection } from '../redis/connection.ts';
import { patternOf } from '../redis/keys.ts';
import type { RawEntry } from '../redis/scripts.ts';
import type { Report, VerifyFinding } from './finding.ts';

const COUNT = 1_000;
/** Together so many events of streams are held at once. */
const STREAMS_AT_ONCE = 10;
const EVENTS_OF_A_STREAM = 100;
const SCAN_COUNT = 1_000;

/** The logs that lie in a partition, registered or not. */
export async function verifyCategories(connection: Connection, partition: number, report: Report): Promise<readonly string[]> {
  const { port, keys } = connection;
  const prefix = keys.log(partition, '');
  const found = new Set<string>();
  for await (const page of scan(connection, prefix, '')) for (const key of page) found.add(key.slice(prefix.length));
  const categoriesKey = keys.categories(partition);
  const registered = new Set((await port.send(categoriesKey, ['SMEMBERS', categoriesKey])) as string[]);
  const head = await readHead(connection, partition);
  for (const category of found) {
    const logKey = keys.log(partition, category);
    const [last] = (await port.send(logKey, ['XREVRANGE', logKey, '+', '-', 'COUNT', '1'])) as readonly RawEntry[];
    if (last && !registered.has(category))
      report.add({
        kind: 'category',
        where: logKey,
        expected: `${category} among the categories in ${categoriesKey}`,
        found: 'it is missing there, so reads of everything pass over it',
        advice: `SADD ${categoriesKey} ${category}`,
      });
    if (last && packEntryId(last[0]) > (await latestHead(connection, partition, head)))
      report.add({
        kind: 'head',
        where: keys.head(partition),
        expected: `at least ${last[0]}, the last entry of ${logKey}`,
        found: head < 0 ? 'none' : entryIdOf(head),
        advice: 'Something else wrote into the log, or the head was lost: restore it from a backup, before anything is appended.',
      });
  }
  return [...found].sort();
}

/** An append may have come in between. */
async function latestHead(connection: Connection, partition: number, head: number): Promise<number> {
  return Math.max(head, await readHead(connection, partition));
}

/** Every event up to the head as it was at the beginning. `each` is told of all of them, in order. */
export async function verifyEvents(
  connection: Connection,
  { partition, categories, head }: { readonly partition: number; readonly categories: readonly string[]; readonly head: number },
  report: Report,
  each: (event: LogEvent) => void,
): Promise<void> {
  for (let after = -1; after < head; ) {
    const page = await readTolerantly(connection, partition, categories, after, report);
    const events = page.events.filter(({ place }) => place <= head);
    await Promise.all(events.map((event) => verifyIndexed(connection, partition, event, report)));
    for (const event of events) each(event);
    report.events += events.length;
    report.tell();
    if (page.isEnd) return;
    after = page.through;
  }
}

/** An entry of somebody else is told, and passed over. */
async function readTolerantly(
  connection: Connection,
  partition: number,
  categories: readonly string[],
  after: number,
  report: Report,
): Promise<{ readonly events: readonly LogEvent[]; readonly through: number; readonly isEnd: boolean }> {
  try {
    return await readForward(connection, partition, categories, { after, count: COUNT });
  } catch (error) {
    if (!(error instanceof CorruptEntryError)) throw error;
    report.add({
      kind: 'log',
      where: `${error.key} ${error.entryId}`,
      expected: 'an event as append writes it',
      found: error.message,
      advice: `Look at it with XRANGE; if it is none, XDEL ${error.key} ${error.entryId}`,
    });
    const place = packEntryId(error.entryId);
    return { events: [], through: Number.isNaN(place) ? after : Math.max(place, after + 1), isEnd: Number.isNaN(place) };
  }
}

async function verifyIndexed({ port, keys }: Connection, partition: number, { place, event }: LogEvent, report: Report): Promise<void> {
  const key = keys.stream(partition, event.streamName);
  const found = await port.send(key, ['LINDEX', key, String(event.streamVersion - 1)]);
  if (found === String(place)) return;
  report.add({
    kind: 'index',
    where: `${event.streamName}@${event.streamVersion}`,
    expected: `${place} (${event.position}) in ${key} at index ${event.streamVersion - 1}`,
    found: found === null ? 'nothing there' : String(found),
    advice:
      'Index and log disagree: something else wrote to one of them. Restore both from a backup, or export what the log holds and import it into another namespace.',
  });
}

/** Streams of a partition, up to `most`: versions without a gap, and each entry of the index an event. */
export async function verifyStreams(connection: Connection, partition: number, most: number, report: Report): Promise<number> {
  const { keys } = connection;
  const prefix = keys.stream(partition, '');
  const seen = new Set<string>();
  for await (const page of scan(connection, prefix, '')) {
    const names = page
      .map((key) => key.slice(prefix.length))
      .filter((name) => !seen.has(name))
      .slice(0, most - seen.size);
    for (const name of names) seen.add(name);
    for (let from = 0; from < names.length; from += STREAMS_AT_ONCE) {
      const some = names.slice(from, from + STREAMS_AT_ONCE);
      await Promise.all(some.map((name) => verifyStream(connection, partition, name, report)));
      report.streams += some.length;
      report.tell();
    }
    if (seen.size >= most) break;
  }
  return seen.size;
}

async function verifyStream(connection: Connection, partition: number, streamName: string, report: Report): Promise<void> {
  const { port, keys } = connection;
  const { category } = splitStreamName(streamName);
  const [indexKey, logKey] = [keys.stream(partition, streamName), keys.log(partition, category)];
  let before = -1;
  for (let from = 0; ; from += EVENTS_OF_A_STREAM) {
    const places = ((await port.send(indexKey, ['LRANGE', indexKey, String(from), String(from + EVENTS_OF_A_STREAM - 1)])) as string[]).map(Number);
    const wrong = await Promise.all(
      places.map((place, index) => wrongEntry(connection, { partition, category, logKey }, place, { streamName, version: from + index + 1 })),
    );
    for (const [index, place] of places.entries()) {
      const version = from + index + 1;
      if (!(place > before)) report.add(outOfOrder(indexKey, version, before, place));
      before = place;
      const found = wrong[index];
      if (found !== undefined) report.add(notInLog({ streamName, version, place, logKey, found }));
    }
    if (places.length < EVENTS_OF_A_STREAM) return;
  }
}

function notInLog({
  streamName,
  version,
  place,
  logKey,
  found,
}: {
  readonly streamName: string;
  readonly version: number;
  readonly place: number;
  readonly logKey: string;
  readonly found: string;
}): VerifyFinding {
  return {
    kind: 'index',
    where: `${streamName}@${version}`,
    expected: `an event of ${streamName} at version ${version} in ${logKey} at ${entryIdOf(place)}`,
    found,
    advice:
      'An entry of the log is missing or is another one: restore it from a backup, or export what is left and import it into another namespace.',
  };
}

function outOfOrder(indexKey: string, version: number, before: number, place: number): VerifyFinding {
  return {
    kind: 'index',
    where: indexKey,
    expected: `places that rise, above ${before} for version ${version}`,
    found: String(place),
    advice: 'Something else wrote to the index: restore it from a backup, or export what the log holds and import it into another namespace.',
  };
}

interface Where {
  readonly partition: number;
  readonly category: string;
  readonly logKey: string;
}

async function wrongEntry(
  connection: Connection,
  { partition, category, logKey }: Where,
  place: number,
  { streamName, version }: { readonly streamName: string; readonly version: number },
): Promise<string | undefined> {
  const id = entryIdOf(place);
  const [entry] = (await connection.port.send(logKey, ['XRANGE', logKey, id, id])) as readonly RawEntry[];
  if (!entry) return 'no such entry';
  try {
    const { event } = decodeEntry(connection, { partition, category }, entry);
    return event.streamName === streamName && event.streamVersion === version ? undefined : `${event.streamName}@${event.streamVersion}`;
  } catch (error) {
    if (error instanceof CorruptEntryError) return 'an entry of somebody else';
    throw error;
  }
}

async function* scan({ port }: Connection, prefix: string, startsWith: string): AsyncGenerator<readonly string[]> {
  for (let cursor = ''; cursor !== '0'; ) {
    const command = ['SCAN', cursor || '0', 'MATCH', patternOf(`${prefix}${startsWith}`), 'COUNT', String(SCAN_COUNT)];
    const [next, found] = (await port.send(prefix, command)) as [string, string[]];
    cursor = next;
    if (found.length > 0) yield found;
  }
}
