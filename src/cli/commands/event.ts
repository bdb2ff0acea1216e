// `millrace event`: one event with all that it has, what caused it, and what it caused.
import type { Command } from 'commander';
import { type EventFacts, type EventPlace, parsePosition } from '../../index.ts';
import { positiveNumber } from '../arguments.ts';
import { type Cli, plain } from '../cli.ts';
import { countText, eventLine, eventLines } from '../events.ts';
import { NotFoundError, UsageError } from '../failure.ts';
import { withStore } from '../session.ts';

const WITHIN = 10_000;

export function registerEvent(program: Command, cli: Cli): void {
  program
    .command('event')
    .description('one event, with what caused it and what it caused')
    .argument('<place>', 'a stream like user_updates:1 with a version behind it, or a position, or an id like user_updates:1@3')
    .argument('[version]', "the event's number in its stream", positiveNumber)
    .option('--within <n>', `how many events behind it to look at for what it caused (default: ${WITHIN}): there is no index of that`, positiveNumber)
    .action(async (place: string, version: number | undefined, { within = WITHIN }: { within?: number }, command: Command) => {
      await withStore(cli, command, async ({ facts }) => {
        const search = { within, signal: cli.signal };
        const asked = placeOf(place, version) ?? (await facts.findById(place, search))?.position;
        const found = asked && (await facts.eventFacts(asked, search));
        if (!found) throw new NotFoundError(notFound(place, version));
        if (cli.json) cli.printJson(found);
        else show(cli, found, within);
      });
    });
}

/** Undefined where it can only be an id. */
function placeOf(place: string, version: number | undefined): EventPlace | undefined {
  if (version !== undefined) {
    if (!place.includes(':')) throw new UsageError(`Expected a stream like user_updates:1 before the version, found ${JSON.stringify(place)}.`);
    return { streamName: place, streamVersion: version };
  }
  return /^\d{13,}-\d+(@\d+)?$/.test(place) ? parsePosition(place) : undefined;
}

function notFound(place: string, version: number | undefined): string {
  const what = version === undefined ? JSON.stringify(place) : `${JSON.stringify(place)} at version ${version}`;
  return `Expected an event ${what}, found none. \`millrace read ${version === undefined ? '--all' : place}\` shows those that there are.`;
}

function show(cli: Cli, { event, cause, causationId, effects, isSearchComplete }: EventFacts, within: number): void {
  const { dim } = cli.colours;
  for (const line of eventLines(cli, event)) cli.print(line);
  cli.print();
  if (cause) cli.print(`${dim('caused by')} ${eventLine(cli, cause)}`);
  else if (causationId !== undefined)
    cli.print(`${dim('caused by')} ${plain(causationId)}, which is no event that was found: a command, or one further away`);
  else cli.print(dim('caused by nothing that it names'));
  for (const effect of effects) cli.print(`${dim('caused')}    ${eventLine(cli, effect)}`);
  if (effects.length === 0)
    cli.print(dim(`caused nothing ${isSearchComplete ? 'up to the end of the log' : `among the next ${countText(within)} events`}`));
  else if (!isSearchComplete) cli.print(dim(`… among the next ${countText(within)} events; --within looks further`));
}
