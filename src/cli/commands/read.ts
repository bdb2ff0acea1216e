// `millrace read`: the events of a stream, of a category, or of everything, and those that come.
import type { Command } from 'commander';
import {
  type AnyCategory,
  type AnyEvent,
  category as toCategory,
  comparePositions,
  type EventReader,
  type EventStore,
  parsePosition,
  type ReadFrom,
  type RecordedEvent,
  streamName,
} from '../../index.ts';
import { place, positiveNumber } from '../arguments.ts';
import type { Cli } from '../cli.ts';
import { eventLine, eventLines } from '../events.ts';
import { UsageError } from '../failure.ts';
import { withStore } from '../session.ts';
import { type Condition, where } from '../where.ts';

interface Options {
  readonly all?: boolean;
  readonly from?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly backward?: boolean;
  readonly type?: readonly string[];
  readonly where?: readonly Condition[];
  readonly follow?: boolean;
  readonly full?: boolean;
}

export function registerRead(program: Command, cli: Cli): void {
  program
    .command('read')
    .description('events of a stream (category:id), of a category, or of everything, in the order of positions')
    .argument('[what]', 'a stream like user_updates:1, or a category like user_updates')
    .option('--all', 'everything')
    .option('--from <place>', 'where to begin: start, end, a time, a position, a cursor; of a stream also a version')
    .option('--until <place>', 'where to end, included: a time, or a position; of a stream also a version')
    .option('--limit <n>', 'how many events at most', positiveNumber)
    .option('--backward', 'the newest first')
    .option('--type <type>', 'only events of this type (may be repeated)', oneMore)
    .option('--where <condition>', 'only events whose data are so: name=Daffy, address.city~ton, n>=5 (may be repeated)', where)
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .option('--full', 'each event over several lines, with all that it has')
    .action(async (what: string | undefined, options: Options, command: Command) => {
      checkOptions(what, options);
      cli.endsWell = options.follow === true;
      await withStore(cli, command, async ({ store }) => {
        const reader = await open(cli, store, what, options);
        await show(cli, reader, options, what?.includes(':') === true);
      });
    });
}

function oneMore(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function checkOptions(what: string | undefined, { all = false, follow = false, backward = false, until }: Options): void {
  if ((what === undefined) !== all)
    throw new UsageError('Expected a stream, a category, or --all; found ' + (all ? 'two of them.' : 'none of them.'));
  if (follow && backward) throw new UsageError('Expected --follow or --backward, found both: what comes has no end to begin at.');
  if (follow && until !== undefined) throw new UsageError('Expected --follow or --until, found both.');
  if (follow && what?.includes(':') === true)
    throw new UsageError(
      `Expected a category or --all with --follow, found the stream ${JSON.stringify(what)}: follow its category, and see one stream with grep.`,
    );
}

async function open(cli: Cli, store: EventStore, what: string | undefined, options: Options): Promise<EventReader<AnyEvent>> {
  const { from, backward = false, follow = false } = options;
  const { signal } = cli;
  const direction = backward ? 'backward' : 'forward';
  if (what?.includes(':') === true) {
    const begin = from === undefined ? {} : { from: streamPlace(from) };
    return store.readStream(streamName(what), { direction, signal, ...begin });
  }
  const categories: readonly AnyCategory[] = what === undefined ? [] : [toCategory(what)];
  if (follow) {
    const begin = from === undefined ? 'start' : place(from);
    if (begin === 'end') throw new UsageError("Expected --from now, found end: 'now' is where events begin that come.");
    return await store.subscribe({ from: begin as 'start', signal, ...(what === undefined ? {} : { categories }) });
  }
  const begin = from === undefined ? {} : { from: place(from) as ReadFrom };
  const [only] = categories;
  return only ? store.readCategory(only, { direction, signal, ...begin }) : store.readAll({ direction, signal, ...begin });
}

/** Of a stream, a number is a version. */
function streamPlace(text: string): number | 'start' | 'end' | Date {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  const found = place(text);
  if (found === 'now') throw new UsageError("Expected a version, start, end, a time or a position; found 'now'.");
  return found as 'start' | 'end' | Date;
}

async function show(cli: Cli, reader: EventReader<AnyEvent>, options: Options, isStream: boolean): Promise<void> {
  const { limit = Number.POSITIVE_INFINITY, type, where: conditions = [], full = false } = options;
  const isBeyond = endOf(options, isStream);
  let shown = 0;
  let next = '';
  for await (const event of reader) {
    if (isBeyond(event)) break;
    if (type !== undefined && !type.includes(event.type)) continue;
    if (!conditions.every((holds) => holds(event))) continue;
    shown += 1;
    next = isStream ? String(event.streamVersion + (options.backward === true ? -1 : 1)) : reader.cursor;
    await print(cli, event, full);
    // At once: the next one that is asked for may be far away, or still to come.
    if (shown >= limit) break;
  }
  if (shown === 0 && !cli.json && !cli.signal.aborted) cli.note('No event is so. `millrace streams` lists what there is.');
  if (shown >= limit && next !== '0') cli.note(`Go on behind the last one with --from ${next}`);
}

async function print(cli: Cli, event: RecordedEvent, full: boolean): Promise<void> {
  if (cli.json) return await cli.printJsonLine(event);
  const text = full ? `${eventLines(cli, event).join('\n')}\n` : eventLine(cli, event);
  if (!cli.streams.stdout.write(`${text}\n`)) await new Promise<void>((resolve) => cli.streams.stdout.once('drain', resolve));
}

/** Whether an event lies beyond where reading is to end. */
function endOf({ until, backward = false }: Options, isStream: boolean): (event: RecordedEvent) => boolean {
  if (until === undefined) return () => false;
  const sign = backward ? -1 : 1;
  if (isStream && /^[1-9]\d{0,9}$/.test(until)) return ({ streamVersion }) => sign * (streamVersion - Number(until)) > 0;
  const end = place(until);
  if (end instanceof Date) return ({ recordedAt }) => sign * (recordedAt.getTime() - end.getTime()) > 0;
  if (!/^\d/.test(end))
    throw new UsageError(
      `Expected --until to be a time, a position, or of a stream a version; found ${JSON.stringify(until)}. Without it, reading ends at the end.`,
    );
  const position = parsePosition(end);
  return (event) => sign * comparePositions(event.position, position) > 0;
}
