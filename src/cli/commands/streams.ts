// `millrace streams`: what is in the store, by category, or the streams of one.
import type { Command } from 'commander';
import type { CategoryFacts, Inspector, StreamFacts } from '../../index.ts';
import { positiveNumber } from '../arguments.ts';
import { type Cli, type Column, plain } from '../cli.ts';
import { bytesText, countText, timeText } from '../events.ts';
import { NotFoundError } from '../failure.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly bytes?: boolean;
  readonly limit?: number;
  readonly startsWith?: string;
  readonly anyOrder?: boolean;
}

const LIMIT = 50;

export function registerStreams(program: Command, cli: Cli): void {
  program
    .command('streams')
    .description('categories with their events; with a category its streams, those written last first')
    .argument('[category]', 'whose streams to list')
    .option('--bytes', 'of categories also the memory, as Redis samples it')
    .option('--limit <n>', `of streams, how many at most (default: ${LIMIT})`, positiveNumber)
    .option('--starts-with <text>', 'of streams, those whose id begins so')
    .option('--any-order', 'walk the keyspace in place of the log: quicker where few of many streams are wanted')
    .action(async (category: string | undefined, options: Options, command: Command) => {
      await withStore(cli, command, async ({ facts }) => {
        if (category === undefined) showCategories(cli, await facts.categories({ bytes: options.bytes === true, ends: true }), options);
        else await showStreams(cli, facts, category, options);
      });
    });
}

function showCategories(cli: Cli, categories: readonly CategoryFacts[], { bytes = false }: Options): void {
  if (cli.json)
    return cli.printJson(
      categories.map(({ category, events, bytes: size, first, last }) => ({
        category,
        events,
        ...(size === undefined ? {} : { bytes: size }),
        firstRecordedAt: first?.recordedAt,
        lastRecordedAt: last?.recordedAt,
      })),
    );
  if (categories.length === 0) return cli.note('The store has no events yet. Append one with `millrace append`, or from your program.');
  const columns: Column[] = ['category', right('events'), ...(bytes ? [right('memory')] : []), 'first', 'last'];
  cli.printTable(
    columns,
    categories.map(({ category, events, bytes: size, first, last }) => [
      plain(category),
      countText(events),
      ...(bytes ? [bytesText(size ?? 0)] : []),
      first && timeText(first.recordedAt),
      last && timeText(last.recordedAt),
    ]),
  );
}

async function showStreams(cli: Cli, facts: Inspector, category: string, options: Options): Promise<void> {
  const { limit = LIMIT, startsWith = '', anyOrder = false } = options;
  if (!(await facts.categories()).some((each) => each.category === category))
    throw new NotFoundError(
      `Expected a category of this store, found none that is called ${JSON.stringify(category)}. \`millrace streams\` lists those that there are.`,
    );
  const found: StreamFacts[] = [];
  const streams = facts.streams({ category, startsWith, order: anyOrder ? 'any' : 'recent', limit: limit + 1, signal: cli.signal });
  for await (const stream of streams) found.push(stream);
  const shown = found.slice(0, limit);
  if (cli.json) {
    for (const { streamName, events, last } of shown)
      await cli.printJsonLine({ streamName, events, lastType: last?.type, lastRecordedAt: last?.recordedAt });
  } else {
    cli.printTable(
      ['stream', right('events'), 'last event', 'recorded'],
      shown.map(({ streamName, events, last }) => [
        plain(streamName),
        countText(events),
        last && plain(last.type),
        last && timeText(last.recordedAt),
      ]),
    );
  }
  if (found.length > limit) cli.note(`There are more than ${limit}: --limit and --starts-with show others.`);
}

function right(head: string): Column {
  return { head, align: 'right' };
}
