// What an operator makes of a dead letter's event: by options, or in an editor.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { DeadLetter, EditedEvent, EventMetadata } from '../index.ts';
import { json } from './arguments.ts';
import type { Cli } from './cli.ts';
import { UsageError } from './failure.ts';

export interface EditOptions {
  readonly type?: string;
  readonly data?: string;
  readonly metadata?: string;
}

/** By the options where there are any; else a person edits it. */
export async function editedEvent(cli: Cli, letter: DeadLetter, options: EditOptions): Promise<EditedEvent> {
  const before = letter.edit ?? letter.event;
  if (!before) throw new UsageError(`The event of dead letter ${letter.id} was removed from the log: it can only be discarded.`);
  const { type, data, metadata } = options;
  if (type === undefined && data === undefined && metadata === undefined) return await inEditor(cli, before);
  return checked({
    type: type ?? before.type,
    data: data === undefined ? before.data : json(data === '-' ? await text(cli.streams.stdin) : data),
    ...(metadata === undefined ? {} : { metadata: json(metadata) }),
  });
}

async function inEditor(cli: Cli, before: Pick<EditedEvent, 'type' | 'data' | 'metadata'>): Promise<EditedEvent> {
  const editor = cli.env['VISUAL'] ?? cli.env['EDITOR'];
  if (editor === undefined || editor === '' || !cli.isTerminal)
    throw new UsageError('Expected --type, --data or --metadata, or a terminal and $EDITOR to edit the event in; found neither.');
  const folder = await mkdtemp(join(tmpdir(), 'millrace-'));
  try {
    const file = join(folder, 'event.json');
    const { type, data, metadata } = before;
    await writeFile(file, `${JSON.stringify({ type, data, metadata }, undefined, 2)}\n`, { mode: 0o600 });
    await runEditor(editor, file);
    return checked(json(await readFile(file, 'utf8')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** It may be a command with options, like `code --wait`. */
async function runEditor(editor: string, file: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new UsageError(`The editor (${editor}) ended with ${String(code)}: nothing was done.`);
}

function checked(event: unknown): EditedEvent {
  if (typeof event !== 'object' || event === null || !('type' in event) || !('data' in event) || typeof event.type !== 'string')
    throw new UsageError('Expected an event with type and data, found something else. Nothing was done.');
  const { type, data } = event;
  const metadata = 'metadata' in event ? event.metadata : undefined;
  return { type, data, ...(metadata === undefined ? {} : { metadata: metadata as EventMetadata }) };
}
