// `millrace dead-letters`: what reactors gave up on: list, show, retry, edit, discard.
import type { Command } from 'commander';
import type { DeadLetter, DeadLetters, ProcessorFacts } from '../../index.ts';
import { positiveNumber } from '../arguments.ts';
import { type Cli, plain } from '../cli.ts';
import { confirm } from '../confirm.ts';
import { editedEvent, type EditOptions } from '../edit-event.ts';
import { countText, eventLines, jsonLines, timeText } from '../events.ts';
import { NotFoundError, UsageError } from '../failure.ts';
import { type Session, withStore } from '../session.ts';
import { findTarget, kindText, titleOf } from '../targets.ts';

const LIMIT = 50;

interface ListOptions {
  readonly limit?: number;
}

/** Which letters, of those that are open. */
interface WhichOptions {
  readonly all?: boolean;
  readonly error?: string;
  readonly type?: string;
  readonly wait?: boolean;
  readonly yes?: boolean;
}

export function registerDeadLetters(program: Command, cli: Cli): void {
  const letters = program.command('dead-letters').description('what reactors gave up on').usage('[list|show|retry|edit|discard] …');
  letters
    .command('list', { isDefault: true })
    .description('reactors with open dead letters; with one its letters')
    .argument('[reactor]', 'a name, or name@version')
    .option('--limit <n>', `how many at most (default: ${LIMIT})`, positiveNumber)
    .action(async (reactor: string | undefined, options: ListOptions, command: Command) => {
      await withStore(cli, command, async (session) => {
        if (reactor === undefined) showReactors(cli, await session.facts.processors());
        else await list(cli, await lettersOf(session, reactor), options);
      });
    });
  letters
    .command('show')
    .description('one letter: its event, its error, what waits behind it')
    .argument('<reactor>')
    .argument('<id>', 'as list tells it')
    .action(async (reactor: string, id: string, _: object, command: Command) => {
      await withStore(cli, command, async (session) => showOne(cli, await letterOf(await lettersOf(session, reactor), id)));
    });
  which(letters.command('retry'), 'have letters tried again, and what waits behind them')
    .option('--wait', 'wait until they are tried, and tell what came of it')
    .action(async (reactor: string, ids: readonly string[], options: WhichOptions, command: Command) => {
      await withStore(cli, command, async (session) => await retry(cli, await reactorOf(session, reactor), ids, options));
    });
  letters
    .command('edit')
    .description('have a letter tried again with another event: in $EDITOR, or as the options say. The log keeps the event as it was')
    .argument('<reactor>')
    .argument('<id>')
    .option('--type <type>', 'another type')
    .option('--data <json>', 'other data; - reads them from stdin')
    .option('--metadata <json>', 'other metadata')
    .option('--wait', 'wait until it is tried, and tell what came of it')
    .action(async (reactor: string, id: string, options: EditOptions & WhichOptions, command: Command) => {
      await withStore(cli, command, async (session) => await edit(cli, await reactorOf(session, reactor), id, options));
    });
  which(letters.command('discard'), 'close letters for good, without their events being handled; what waits behind goes on')
    .option('--yes', 'do not ask')
    .action(async (reactor: string, ids: readonly string[], options: WhichOptions, command: Command) => {
      await withStore(cli, command, async (session) => await discard(cli, await lettersOf(session, reactor), ids, options));
    });
}

function which(command: Command, description: string): Command {
  return command
    .description(description)
    .argument('<reactor>', 'a name, or name@version')
    .argument('[id...]', 'which ones, as list tells them')
    .option('--all', 'all that are open, or those that the next two options choose')
    .option('--error <text>', 'with --all: those whose error has this text in it')
    .option('--type <type>', 'with --all: those whose event is of this type');
}

interface ReactorFound {
  readonly target: ProcessorFacts;
  readonly letters: DeadLetters;
}

async function reactorOf({ facts, control }: Session, name: string): Promise<ReactorFound> {
  const target = await findTarget(facts, name, ['reactor', 'process-manager']);
  const { types, ...reactor } = target;
  return { target, letters: control.deadLetters({ ...reactor, ...(types === undefined ? {} : { types: new Set(types) }) }) };
}

async function lettersOf(session: Session, name: string): Promise<DeadLetters> {
  return (await reactorOf(session, name)).letters;
}

/** Somebody who waits should know what for. */
function noteWhoRuns(cli: Cli, target: ProcessorFacts): void {
  const title = plain(titleOf(target));
  if (target.isPaused) cli.note(`${title} is paused: nothing is tried again before millrace resume ${title}.`);
  else if (target.owners.length === 0) cli.note(`Nobody runs ${title} now: letters are tried again when a StreamProcessor does.`);
}

async function letterOf(letters: DeadLetters, id: string): Promise<DeadLetter> {
  const letter = await letters.get(id);
  if (!letter)
    throw new NotFoundError(
      `Expected an open dead letter ${JSON.stringify(id)}, found none: it was handled or discarded, or never was. \`millrace dead-letters list\` shows those that are open.`,
    );
  return letter;
}

function showReactors(cli: Cli, all: readonly ProcessorFacts[]): void {
  const reactors = all.filter(({ kind }) => kind === 'reactor' || kind === 'process-manager');
  if (cli.json)
    return cli.printJson(
      reactors.map(({ kind, name, version, deadLetters, eventsWaiting }) => ({ kind, name, version, deadLetters, eventsWaiting })),
    );
  const withLetters = reactors.filter(({ deadLetters }) => deadLetters > 0);
  if (withLetters.length === 0) return cli.note(`No dead letters, in ${reactors.length} reactors and process managers.`);
  cli.printTable(
    ['kind', 'name', { head: 'dead letters', align: 'right' }, { head: 'events waiting', align: 'right' }],
    withLetters.map((each) => [kindText(each.kind), plain(titleOf(each)), countText(each.deadLetters), countText(each.eventsWaiting)]),
  );
}

async function list(cli: Cli, letters: DeadLetters, { limit = LIMIT }: ListOptions): Promise<void> {
  const found: DeadLetter[] = [];
  for await (const letter of letters.list({ limit, signal: cli.signal })) {
    if (cli.json) await cli.printJsonLine(letter);
    else found.push(letter);
  }
  const count = await letters.count();
  if (cli.json) return;
  if (found.length === 0) return cli.note('No dead letters.');
  cli.printTable(
    ['id', 'event', 'type', 'error', { head: 'attempts', align: 'right' }, 'last failed', { head: 'waiting', align: 'right' }, ''],
    found.map((letter) => [
      letter.id,
      plain(letter.event ? `${letter.event.streamName}@${letter.event.streamVersion}` : letter.category),
      plain(letter.event?.type ?? '(removed from the log)'),
      plain(shortened(letter.error.message, 60)),
      letter.attempts,
      timeText(letter.lastFailedAt),
      letter.eventsWaiting,
      letter.state === 'retrying' ? 'to be tried again' : '',
    ]),
  );
  if (count > found.length) cli.note(`There are ${countText(count)}: --limit shows more.`);
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function showOne(cli: Cli, letter: DeadLetter): void {
  if (cli.json) return cli.printJson(letter);
  const { dim, red } = cli.colours;
  for (const line of letter.event ? eventLines(cli, letter.event) : ['The event was removed from the log: the letter can only be discarded.'])
    cli.print(line);
  cli.print(`\n${red(plain(`${letter.error.name}: ${letter.error.message}`))}`);
  for (const line of (letter.error.stack ?? '').split('\n').slice(1)) cli.print(dim(plain(line)));
  cli.print(
    `\n${dim('tried')}     ${letter.attempts} times, ${letter.retries} of them by hand; first failed ${timeText(letter.firstFailedAt)}, last ${timeText(letter.lastFailedAt)}`,
  );
  cli.print(`${dim('waiting')}   ${countText(letter.eventsWaiting)} events${letter.key === undefined ? '' : ` of ${plain(letter.key)}`} behind it`);
  cli.print(`${dim('state')}     ${letter.state === 'retrying' ? 'to be tried again' : 'dead'}`);
  if (letter.edit) {
    cli.print(dim('edited to'));
    for (const line of jsonLines(letter.edit)) cli.print(`  ${line}`);
  }
}

async function retry(cli: Cli, reactor: ReactorFound, ids: readonly string[], options: WhichOptions): Promise<void> {
  const { letters } = reactor;
  const condition = conditionOf(ids, options);
  if (condition === undefined)
    return await tellAsked(cli, reactor, { asked: await letters.retry(ids), ids: new Set(ids), named: ids.length }, options);
  const chosen = new Set<string>();
  const where = (letter: DeadLetter): boolean => {
    const isChosen = condition.where?.(letter) ?? true;
    if (isChosen) chosen.add(letter.id);
    return isChosen;
  };
  const asked = await letters.retryAll({ where, signal: cli.signal });
  await tellAsked(cli, reactor, { asked, ids: chosen, named: asked }, options);
}

async function edit(cli: Cli, reactor: ReactorFound, id: string, options: EditOptions & WhichOptions): Promise<void> {
  const { letters } = reactor;
  const letter = await letterOf(letters, id);
  const event = await editedEvent(cli, letter, options);
  const isAsked = await letters.retry(id, { event });
  if (!isAsked) throw new NotFoundError(`The dead letter ${id} was closed meanwhile: nothing was edited.`);
  await tellAsked(cli, reactor, { asked: 1, ids: new Set([id]), named: 1 }, options);
}

interface Asked {
  readonly asked: number;
  readonly ids: ReadonlySet<string>;
  /** How many were to be asked for. */
  readonly named: number;
}

async function tellAsked(cli: Cli, reactor: ReactorFound, { asked, ids, named }: Asked, { wait = false }: WhichOptions): Promise<void> {
  const missing = named - asked;
  if (missing > 0) cli.note(`${missing} of ${named} ${missing === 1 ? 'is' : 'are'} not open (any more).`);
  const failed = wait ? await failedAgain(cli, reactor, ids) : undefined;
  if (missing > 0 || (failed !== undefined && failed.length > 0)) cli.exitCode = 1;
  const left = await reactor.letters.count();
  if (cli.json) return cli.printJson({ asked, left, ...(failed === undefined ? {} : { failed }) });
  cli.print(
    `${countText(asked)} ${asked === 1 ? 'is' : 'are'} tried again${wait ? '' : ', within a second where a processor runs it'}; ${countText(left)} ${wait ? 'are open now' : 'are open still'}.`,
  );
  for (const { id, error } of failed?.slice(0, LIMIT) ?? []) cli.print(`${id} failed again: ${plain(`${error.name}: ${error.message}`)}`);
}

type Failed = Pick<DeadLetter, 'id' | 'error'>;

/** Waits until those with these ids are settled; those of them that are open still. What else is dead is not what was asked for. */
async function failedAgain(cli: Cli, { target, letters }: ReactorFound, ids: ReadonlySet<string>): Promise<readonly Failed[]> {
  noteWhoRuns(cli, target);
  try {
    await letters.settled({ signal: cli.signal });
  } finally {
    if (cli.signal.aborted && !cli.json) cli.note('Those that were asked for stay so, and are tried again where a processor runs the reactor.');
  }
  const failed: Failed[] = [];
  for await (const { id, error } of letters.list({ signal: cli.signal })) if (ids.has(id)) failed.push({ id, error });
  return failed;
}

async function discard(cli: Cli, letters: DeadLetters, ids: readonly string[], options: WhichOptions): Promise<void> {
  const condition = conditionOf(ids, options);
  if (condition !== undefined)
    await confirm(
      cli,
      `All${options.error === undefined && options.type === undefined ? '' : ' chosen'} dead letters would be closed for good, without their events being handled`,
      options.yes === true,
    );
  const discarded =
    condition === undefined ? await letters.discard(ids) : await letters.discardAll({ where: condition.where ?? (() => true), signal: cli.signal });
  if (condition === undefined && discarded < ids.length) {
    cli.exitCode = 1;
    cli.note(`${ids.length - discarded} of ${ids.length} were not open (any more).`);
  }
  const left = await letters.count();
  if (cli.json) cli.printJson({ discarded, left });
  else cli.print(`${countText(discarded)} discarded; ${countText(left)} are open still. What waited behind goes on.`);
}

/** Undefined where ids are given. */
function conditionOf(
  ids: readonly string[],
  { all = false, error, type }: WhichOptions,
): { readonly where?: (letter: DeadLetter) => boolean } | undefined {
  if (ids.length > 0 === all) throw new UsageError(`Expected ids of dead letters, or --all; found ${all ? 'both' : 'neither'}.`);
  if (!all && (error !== undefined || type !== undefined)) throw new UsageError('Expected --all beside --error and --type, which choose among all.');
  if (!all) return undefined;
  if (error === undefined && type === undefined) return {};
  return { where: (letter) => (error === undefined || letter.error.message.includes(error)) && (type === undefined || letter.event?.type === type) };
}
