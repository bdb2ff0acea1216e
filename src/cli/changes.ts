// Shows people what changed between two states of a document.
import type { Change } from '../dashboard/changes.ts';
import { type Cli, oneLine, plain } from './cli.ts';

const SIGNS: Readonly<Record<Change['kind'], string>> = { added: '+', removed: '-', changed: '~' };

/** A sign, the path, and the values: never by colour alone. */
export function changeLine(cli: Cli, { kind, path, before, after }: Change): string {
  const { red, green, yellow } = cli.colours;
  const paint = { added: green, removed: red, changed: yellow }[kind];
  const values = { added: () => oneLine(after), removed: () => oneLine(before), changed: () => `${oneLine(before)} → ${oneLine(after)}` }[kind]();
  return paint(`${SIGNS[kind]} ${plain(path) || '(the whole)'}: ${values}`);
}
