// Whether what processors keep agrees with the log: checkpoints, documents, dead letters and the schedule.
import { isDeepStrictEqual } from 'node:util';
import type { AnyProjection } from '../fold/projection.ts';
import { readDocument, walkDocumentKeys } from '../inspect/document-facts.ts';
import { walkStreams } from '../inspect/store-facts.ts';
import type { LogEvent } from '../log/entry.ts';
import { readHead } from '../log/page.ts';
import { entryIdOf, packEntryId, positionOf } from '../position.ts';
import type { RegisteredFacts } from '../processor/registered.ts';
import { letterKeys, readLetters, readPlaces } from '../reactor/letter-pages.ts';
import type { Connection } from '../redis/connection.ts';
import { foldDocuments } from '../snapshot/fold-documents.ts';
import { readCheckpoint } from '../snapshot/reached.ts';
import type { Report } from './finding.ts';

/** A checkpoint as it was at the beginning, and how many events of its categories were found up to there. */
export interface CountedCheckpoint {
  readonly of: RegisteredFacts;
  readonly key: string;
  readonly place: number;
  readonly seen: number;
  readonly categories: ReadonlySet<string>;
  counted: number;
}

/** Of what keeps the order of the log; others count otherwise. */
export async function readCheckpoints(
  { port, keys }: Connection,
  partition: number,
  registered: readonly RegisteredFacts[],
): Promise<CountedCheckpoint[]> {
  const found: CountedCheckpoint[] = [];
  for (const of of registered) {
    if (of.kind === 'source' || of.order === 'none') continue;
    const key = keys.checkpoint(partition, of.name, of.version);
    const [position, seen] = (await port.send(key, ['HMGET', key, 'position', 'seen'])) as readonly (string | null)[];
    if (position) found.push({ of, key, place: packEntryId(position), seen: Number(seen ?? 0), categories: new Set(of.categories), counted: 0 });
  }
  return found;
}

export function countFor(checkpoints: readonly CountedCheckpoint[], { place, category }: LogEvent): void {
  for (const each of checkpoints) if (place <= each.place && each.categories.has(category)) each.counted += 1;
}

/** `isCounted` where the whole log was walked. */
export async function verifyCheckpoints(
  connection: Connection,
  partition: number,
  checkpoints: readonly CountedCheckpoint[],
  isCounted: boolean,
  report: Report,
): Promise<void> {
  const head = await readHead(connection, partition);
  for (const { of, key, place, seen, counted } of checkpoints) {
    if (place > head)
      report.add({
        kind: 'checkpoint',
        where: key,
        expected: `a position up to ${head < 0 ? 'none' : entryIdOf(head)}, where the log ends`,
        found: entryIdOf(place),
        advice: `The log was lost behind that, or restored: millrace rewind ${of.name}@${of.version}`,
      });
    else if (isCounted && counted !== seen)
      report.add({
        kind: 'checkpoint',
        where: key,
        expected: `${counted} events of ${of.categories.join(', ')} up to there`,
        found: `seen ${seen}`,
        advice: `Its lag is told wrong by so many. To have it right: millrace rewind ${of.name}@${of.version}`,
      });
  }
}

/** Stored documents of a projection against the fold of their events up to where each stands. */
export async function verifyDocuments(connection: Connection, projection: AnyProjection, most: number, report: Report): Promise<void> {
  for await (const key of walkDocumentKeys(connection, projection, { limit: most })) {
    await verifyDocument(connection, projection, key, report);
    report.documents += 1;
    report.tell();
  }
}

/** Of projections keyed by stream: what has events up to the checkpoint has a document, unless the fold removed it. */
export async function verifyNoneMissing(connection: Connection, projection: AnyProjection, most: number, report: Report): Promise<void> {
  if (!projection.isKeyedByStream) return;
  for (const category of projection.categories) {
    for await (const { streamName, partition } of walkStreams(connection, { category, order: 'any', limit: most })) {
      report.tell();
      const place = await readCheckpoint(connection, projection, partition); // before the document: that is there once this is
      const key = streamName.slice(category.length + 1);
      if (place < 0 || (await readDocument(connection, projection, key))) continue;
      const folded = (await foldDocuments(connection, projection, [key], { until: positionOf(partition, place), signal: undefined })).get(key);
      if (folded === undefined || (await readDocument(connection, projection, key))) continue;
      report.add({
        kind: 'document',
        where: connection.keys.snapshot(partition, projection.name, projection.version, key),
        expected: shortened(folded),
        found: 'no document',
        advice: `Something else removed it. millrace rewind ${projection.name}@${projection.version}`,
      });
    }
  }
}

/** With several partitions only those that are keyed by stream have one place to be compared at. */
async function verifyDocument(connection: Connection, projection: AnyProjection, key: string, report: Report): Promise<void> {
  if (!projection.isKeyedByStream && connection.keys.partitions > 1) return;
  const stored = await readDocument(connection, projection, key);
  if (!stored || stored.position === undefined) return;
  const folded = (await foldDocuments(connection, projection, [key], { until: stored.position, signal: undefined })).get(key);
  if (isDeepStrictEqual(normal(connection, folded), normal(connection, stored.state))) return;
  report.add({
    kind: 'document',
    where: connection.keys.snapshot(stored.partition, projection.name, projection.version, key),
    expected: shortened(folded),
    found: shortened(stored.state),
    advice: `Its fold gives another document now: the code changed without a new version, or something else wrote to it. millrace rewind ${projection.name}@${projection.version}, or raise its version.`,
  });
}

/** As it comes back from where it is stored. */
function normal({ codec }: Connection, state: unknown): unknown {
  return state === undefined ? undefined : codec.decode(codec.encode(state));
}

function shortened(value: unknown): string {
  const text = JSON.stringify(value) ?? 'no document';
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}

const LETTERS_AT_ONCE = 100;

/** Each open dead letter has its event, and what is known of it. */
export async function verifyLetters(
  connection: Connection,
  partition: number,
  registered: readonly RegisteredFacts[],
  report: Report,
): Promise<void> {
  for (const { kind, name, version } of registered) {
    if (kind !== 'reactor' && kind !== 'process-manager') continue;
    const of = { name, version, partition };
    const { deadKey } = letterKeys(connection, of);
    for (let after = -1; ; ) {
      const places = await readPlaces(connection, of, { after, through: undefined, count: LETTERS_AT_ONCE });
      const letters = await readLetters(connection, of, places);
      for (const letter of letters)
        if (letter.event === undefined)
          report.add({
            kind: 'dead-letter',
            where: `${deadKey} ${letter.id}`,
            expected: 'its event in the log',
            found: 'it was removed from there',
            advice: `It can only be discarded: millrace dead-letters discard ${name}@${version} ${letter.id}`,
          });
      if (places.length < LETTERS_AT_ONCE) break;
      after = places.at(-1) ?? after;
    }
  }
}

/** Each id that is due has its events, and the other way round; looked at twice, since one may be delivered in between. */
export async function verifySchedule({ port, keys }: Connection, partition: number, report: Report): Promise<void> {
  const [scheduleKey, scheduledKey] = [keys.schedule(partition), keys.scheduled(partition)];
  const missing = async (): Promise<number> => {
    const [due, kept] = await Promise.all([port.send(scheduleKey, ['ZCARD', scheduleKey]), port.send(scheduledKey, ['HLEN', scheduledKey])]);
    return Number(due) - Number(kept);
  };
  if ((await missing()) === 0 || (await missing()) === 0) return;
  const difference = await missing();
  if (difference !== 0)
    report.add({
      kind: 'schedule',
      where: scheduleKey,
      expected: `as many ids as there are entries in ${scheduledKey}`,
      found: `${Math.abs(difference)} ${difference > 0 ? 'more' : 'fewer'}`,
      advice: 'Something else wrote to one of them. Look at both with ZRANGE and HKEYS; an id without its entry can be removed with ZREM.',
    });
}
