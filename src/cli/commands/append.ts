// `millrace append`: one event, from the command line or from stdin.
import { addAbortSignal, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { type AppendOptions, type EventMetadata, type ExpectedVersion, streamName } from '../../index.ts';
import { json } from '../arguments.ts';
import { type Cli, plain } from '../cli.ts';
import { UsageError } from '../failure.ts';
import { withStore } from '../session.ts';

interface Options {
  readonly expect?: ExpectedVersion;
  readonly metadata?: unknown;
  readonly id?: string;
  readonly idempotencyKey?: string;
}

export function registerAppend(program: Command, cli: Cli): void {
  program
    .command('append')
    .description('append an event to a stream')
    .argument('<stream>', 'like user_updates:1')
    .argument('<type>', 'like Renamed')
    .argument('<data>', 'JSON, like \'{"name":"Daffy"}\'; - reads it from stdin')
    .option(
      '--expect <version>',
      'only if the stream is there: a version (0 for an empty one), no-stream, stream-exists, any (default)',
      expectedVersion,
    )
    .option('--metadata <json>', 'what goes beside the data, like \'{"correlationId":"c1"}\'', json)
    .option('--id <id>', "an id of your own for the event (default: the stream's name and version)")
    .option('--idempotency-key <key>', 'the same command with the same key appends once')
    .action(async (stream: string, type: string, data: string, options: Options, command: Command) => {
      const event = { type, data: await dataOf(cli, data), ...metadataOf(options), ...(options.id === undefined ? {} : { id: options.id }) };
      await withStore(
        cli,
        command,
        async ({ store }) => {
          const result = await store.append(streamName(stream), event, appendOptions(options));
          if (cli.json) return cli.printJson(result);
          const again = result.isRepeated ? ' (it was there already, by this idempotency key)' : '';
          cli.print(`${plain(stream)} is at version ${result.streamVersion}${again}`);
          cli.print(`position ${result.position}`);
          cli.print(`token ${result.token}`);
        },
        'create',
      );
    });
}

function expectedVersion(text: string): ExpectedVersion {
  if (text === 'no-stream' || text === 'stream-exists' || text === 'any') return text;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`Expected a version (0 for an empty stream), no-stream, stream-exists or any with --expect; found ${JSON.stringify(text)}.`);
}

async function dataOf(cli: Cli, given: string): Promise<unknown> {
  return json(given === '-' ? await text(addAbortSignal(cli.signal, cli.streams.stdin as Readable)) : given);
}

function metadataOf({ metadata }: Options): { readonly metadata?: EventMetadata } {
  if (metadata === undefined) return {};
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw new UsageError(`Expected a JSON object with --metadata, found ${JSON.stringify(metadata)}.`);
  return { metadata: metadata as EventMetadata };
}

function appendOptions({ expect, idempotencyKey }: Options): AppendOptions {
  return { ...(expect === undefined ? {} : { expectedVersion: expect }), ...(idempotencyKey === undefined ? {} : { idempotencyKey }) };
}
